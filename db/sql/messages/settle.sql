-- messages.settle: a claimed message was delivered. Guarantees: only the claim's holder settles it; anyone else, and a second
-- time, changes nothing. Answers the state that it has. Refuses: not_found. Callers: worker
create or replace function messages.settle(
  inout id uuid,
  token uuid,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.outbox o
     set state = 'delivered', due_at = null, lease_token = null, leased_until = null, error = null, settled_at = ops.now()
   where o.id = settle.id and o.lease_token = settle.token and o.state = 'sending'
  returning o.state into settle.state;
  if found then
    return;
  end if;
  select o.state into settle.state from messages.outbox o where o.id = settle.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
