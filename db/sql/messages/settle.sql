-- messages.settle: messages.settle_many of one, as the Worker of the release before calls it. Answers the state that it has.
-- Refuses: not_found. Callers: worker
create or replace function messages.settle(
  inout id uuid,
  token uuid,
  out state text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform messages.settle_many(array[settle.id], array[settle.token]);
  select o.state into settle.state from messages.outbox o where o.id = settle.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
end
$$;
