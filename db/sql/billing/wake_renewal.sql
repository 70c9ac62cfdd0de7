-- billing.wake_renewal: a workspace's balance has grown: what it could not pay is tried again by the next run of the sweep.
-- Locks: the caller holds the workspace's row; then the subscription. Callers: payments' routines
create or replace function billing.wake_renewal(workspace_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update billing.subscription s set renew_at = ops.now()
   where s.workspace_id = wake_renewal.workspace_id and s.collection = 'balance' and s.state = 'past_due' and s.auto_renew
     and s.ended_at is null and s.expire_at > ops.now() and (s.renew_at is null or s.renew_at > ops.now());
end
$$;
