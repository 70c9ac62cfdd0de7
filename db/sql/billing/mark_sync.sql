-- billing.mark_sync: the subscription is in doubt: a sweep fetches it from the provider now.
-- Guarantees: the generation steps, also when the row is due already: what was asked of the provider before does not settle this.
-- Callers: billing's and payments' routines
create or replace function billing.mark_sync(id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update billing.subscription s
     set sync_due_at = least(s.sync_due_at, ops.now()), sync_token = null, sync_attempts = 0
   where s.id = mark_sync.id and s.ended_at is null and s.collection = 'stripe';
end
$$;
