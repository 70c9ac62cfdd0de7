-- billing.give_late: an invoice of a period that another has followed: of its credits there is left what would have rolled over.
-- Locks: the caller holds workspace and subscription; then the account. Callers: billing.give_waiting
create or replace function billing.give_late(
  workspace_id uuid,
  invoice text,
  plan_id uuid,
  amount bigint,
  payment_id uuid,
  caused_by text
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_plan record;
  v_room bigint;
begin
  select p.rollover_cap, p.rollover_expires_in into strict v_plan from billing.plan p where p.id = give_late.plan_id;
  if v_plan.rollover_cap is null then
    return;
  end if;
  select v_plan.rollover_cap - coalesce(sum(x.available) filter (where x.pool = 'rollover'), 0) into v_room
    from ledger.balance_of(give_late.workspace_id, 'credit') b
   cross join lateral unnest(b.pools, b.pool_available) x(pool, available);
  if least(v_room, give_late.amount) > 0 then
    perform ledger.grant(owner_id => give_late.workspace_id, unit => 'credit', pool => 'rollover',
      amount => least(v_room, give_late.amount), expires_at => ops.now() + v_plan.rollover_expires_in, reason => null,
      idempotency_key => 'tg:invoice:' || give_late.invoice, caused_by => give_late.caused_by,
      payment_id => give_late.payment_id);
  end if;
end
$$;
