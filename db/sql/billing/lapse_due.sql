-- billing.lapse_due: the grace of these subscriptions of a provider's is over: their workspaces are told what that means, once.
-- Locks: the caller holds the rows and their workspaces; then the keys, the outbox. Callers: billing.do_due
create or replace function billing.lapse_due(ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  for v_row in
    update billing.subscription s set lapse_at = null
     where s.id = any (lapse_due.ids) and s.lapse_at <= ops.now()
    returning s.workspace_id
  loop
    perform billing.follow(v_row.workspace_id);
  end loop;
end
$$;
