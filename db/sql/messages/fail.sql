-- messages.fail: a claimed message could not be delivered: it is due again later (a minute, two, four, … half a day), or, when
-- `final` or after 14 tries, dead under an alarm. Guarantees: only the claim's holder says so. Refuses: not_found.
-- Callers: worker
create or replace function messages.fail(
  inout id uuid,
  token uuid,
  error text,
  final boolean,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_message record;
begin
  update messages.outbox o
     set state = case when fail.final or o.attempts >= 14 then 'dead' else 'queued' end,
         due_at = case when fail.final or o.attempts >= 14 then null
           else ops.now() + least(interval '12 hours', interval '1 minute' * power(2, o.attempts - 1)) end,
         lease_token = null, leased_until = null, error = fail.error
   where o.id = fail.id and o.lease_token = fail.token and o.state = 'sending'
  returning o.state, o.kind into v_message;
  if found then
    fail.state := v_message.state;
    if v_message.state = 'dead' then
      perform ops.raise_alarm('message_dead', fail.id::text,
        jsonb_build_object('kind', v_message.kind, 'error', fail.error));
    end if;
    return;
  end if;
  select o.state into fail.state from messages.outbox o where o.id = fail.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
