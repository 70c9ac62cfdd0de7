-- billing.end_due: these subscriptions of ours are over: what their plans gave and nobody has spent ends with them, their keys are
-- revoked, their customers told. Only those whose time has come, or, for a `reason` that is named, whatever their time.
-- Locks: the caller holds the rows and their workspaces; then the accounts, the keys, the outbox.
-- Callers: billing.do_due, billing.change_ours, billing.choose_live
create or replace function billing.end_due(ids uuid[], caused_by text, reason text default null)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  for v_row in
    update billing.subscription s
       set state = 'canceled', ended_at = ops.now(), renew_at = null, expire_at = null, notice_at = null, next_price_id = null,
           next_price_at = null, next_quantity = null, parked_until = null,
           ended_reason = case when end_due.reason is not null then end_due.reason
             when s.cancel_at is not null then 'canceled'
             when s.state = 'trialing' then 'trial_ended'
             when s.state = 'past_due' then 'unpaid' else 'not_renewed' end
     where s.id = any (end_due.ids) and s.ended_at is null and (end_due.reason is not null or s.expire_at <= ops.now())
    returning s.id, s.workspace_id, s.ended_reason, old.state as was, s.renewed_from, s.plan_id, old.parked_until
  loop
    if v_row.renewed_from is not null
      or v_row.was = 'trialing' and (select p.included_credits > 0 from billing.plan p where p.id = v_row.plan_id) then
      perform ledger.reset(owner_id => v_row.workspace_id, unit => 'credit', pool => 'subscription', amount => 0,
        expires_at => null, reason => 'the subscription has ended', idempotency_key => 'tg:ended:' || v_row.id,
        caused_by => end_due.caused_by);
      perform ledger.reset(owner_id => v_row.workspace_id, unit => 'credit', pool => 'rollover', amount => 0,
        expires_at => null, reason => 'the subscription has ended', idempotency_key => 'tg:ended:' || v_row.id || ':rollover',
        caused_by => end_due.caused_by);
    end if;
    perform billing.choose_live(v_row.workspace_id, end_due.caused_by);
    perform billing.follow(v_row.workspace_id);
    perform messages.enqueue('notice', case v_row.was when 'trialing' then 'trial_ended' else 'subscription_ended' end,
      v_row.workspace_id, 'ended:' || v_row.id,
      jsonb_build_object('subscription_id', v_row.id, 'reason', v_row.ended_reason));
    if v_row.parked_until is not null then
      perform billing.unpark(v_row.id);
    end if;
  end loop;
end
$$;
