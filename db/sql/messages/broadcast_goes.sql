-- messages.broadcast_goes: may what was queued for this broadcast be sent? Not while it is stopped. Null: of no broadcast.
-- Callers: messages.claim
create or replace function messages.broadcast_goes(broadcast_id uuid)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return broadcast_goes.broadcast_id is null or not exists (
    select from messages.broadcast b where b.id = broadcast_goes.broadcast_id and b.state = 'stopped');
end
$$;
