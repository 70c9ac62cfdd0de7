-- messages.fail: a claimed message could not be delivered: it is due again later (messages.next_attempt, and not before `retry_after`), or,
-- when `final` or after its last try, dead under an alarm. `unavailable`: that was not the message's fault but the channel's, or its
-- endpoint's: it counts for the circuit, and a `retry_after` opens that at once. `gone`: its endpoint is no more, and is disabled,
-- if it is still at the address that was `asked`.
-- `silence`: its contact takes no message any more, and why. `open`: nothing is to be sent there now.
-- Guarantees: only the claim's holder says so. Refuses: not_found.
-- Locks: the message, then its endpoint, channel or contact. Callers: worker
create or replace function messages.fail(
  inout id uuid,
  token uuid,
  error text,
  final boolean,
  out state text,
  retry_after interval default null,
  unavailable boolean default false,
  out open boolean,
  gone boolean default false,
  silence text default null,
  asked text default null
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_message record;
  v_wait interval;
  v_gone boolean;
begin
  fail.open := false;
  select o.channel, o.kind, o.attempts, o.endpoint_id, o.contact_id into v_message
    from messages.outbox o
   where o.id = fail.id and o.lease_token = fail.token and o.state = 'sending'
     for no key update;
  if found then
    v_gone := fail.gone and messages.is_at(v_message.endpoint_id, fail.asked);
    v_wait := case when not fail.final or fail.gone and not v_gone then messages.next_attempt(v_message.channel, v_message.attempts) end;
    update messages.outbox o
       set state = case when v_wait is null then 'dead' else 'queued' end,
           due_at = ops.now() + greatest(v_wait, case when v_wait is not null then fail.retry_after end),
           lease_token = null, leased_until = null, error = fail.error
     where o.id = fail.id
    returning o.state into fail.state;
    if fail.unavailable and v_message.endpoint_id is not null then
      fail.open := messages.endpoint_failed(v_message.endpoint_id, fail.error, fail.retry_after);
    elsif fail.unavailable then
      fail.open := messages.channel_failed(v_message.channel, fail.error, fail.retry_after);
    end if;
    if v_gone then
      perform messages.disable_endpoint(v_message.endpoint_id, 'gone', fail.error);
      fail.open := true;
      return;
    end if;
    if fail.silence is not null then
      perform messages.silence(v_message.contact_id, fail.silence);
    end if;
    if fail.state = 'dead' then
      perform messages.bury(fail.id, v_message.channel, v_message.kind, v_message.endpoint_id, v_message.contact_id, fail.error,
        silenced => fail.silence is not null);
    end if;
    return;
  end if;
  select o.state into fail.state from messages.outbox o where o.id = fail.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
