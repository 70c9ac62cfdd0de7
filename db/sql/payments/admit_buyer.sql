-- payments.admit_buyer: the workspace, locked, if it may buy this now. A frozen one buys nothing. A read-only one may pay what it
-- is read-only for want of: money for its balance, and a plan where its last is over (`collection` stripe) or owes (balance).
-- Refuses: not_found; workspace_frozen, workspace_read_only (with the reason). Locks: the workspace.
-- Callers: payments.start_checkout, payments.start_purchase, payments.buy_from_balance
create or replace function payments.admit_buyer(workspace_id uuid, kind text, collection text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_access record;
  v_pays boolean;
begin
  if not people.lock_workspace(admit_buyer.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  v_access := people.access_of(admit_buyer.workspace_id);
  v_pays := case admit_buyer.kind
    when 'balance_topup' then true
    when 'subscription' then coalesce(v_access.reason = 'canceled'
      or admit_buyer.collection = 'balance' and v_access.reason = 'past_due', false)
    else false end;
  if v_access.refusal is not null and not (v_access.refusal = 'workspace_read_only' and v_pays) then
    perform ops.refuse(v_access.refusal, jsonb_build_object('reason', v_access.reason));
  end if;
end
$$;
