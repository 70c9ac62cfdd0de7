-- payments.start_purchase: a purchase that is to be paid by hand (a bank transfer, cash): a plan's period, a pack, or money for the
-- balance (`topup_minor`). It is its own quote, and holds its promo code's redemption, for `expires_in`; an operator confirms the
-- money (payments.confirm_purchase).
-- Guarantees: while one of a plan is open, the same again is that one; by constraint there are never two.
-- Refuses: as payments.admit_buyer and payments.quote; subscription_exists (with its state); checkout_open (another one of a plan is:
--   id, url, expires_at); nothing_to_pay; expires_in_past. Locks: the workspace, the purchase, the redemption, the accounts of
--   code and campaign. Callers: worker
create or replace function payments.start_purchase(
  workspace_id uuid,
  plan_code text,
  plan_number integer,
  pack_code text,
  topup_minor bigint,
  inout currency text,
  interval_unit text,
  interval_count integer,
  inout quantity integer,
  promo_code text,
  expires_in interval,
  auto_renew boolean,
  caused_by text,
  out id uuid,
  out kind text,
  out state text,
  out list_minor bigint,
  out discount_minor bigint,
  out amount_minor bigint,
  out expires_at timestamptz,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_quote record;
  v_price uuid;
  v_standing text;
  v_now timestamptz;
begin
  perform payments.admit_buyer(start_purchase.workspace_id,
    case when start_purchase.topup_minor is not null then 'balance_topup'
      when start_purchase.plan_code is not null then 'subscription' end, 'balance');
  if start_purchase.plan_code is not null and start_purchase.topup_minor is null then
    v_price := (billing.offer(start_purchase.plan_code, start_purchase.plan_number, null, start_purchase.currency,
      start_purchase.interval_unit, start_purchase.interval_count, published => false)).price_id;
    v_standing := billing.may_pay_period(start_purchase.workspace_id, v_price, start_purchase.quantity);
    if v_standing is not null then
      perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing));
    end if;
    start_purchase.id := payments.open_plan(start_purchase.workspace_id, 'manual', v_price, start_purchase.quantity,
      start_purchase.promo_code, 'balance', start_purchase.auto_renew, start_purchase.caused_by);
  end if;
  if start_purchase.id is null then
    v_quote := payments.quote(start_purchase.workspace_id, start_purchase.plan_code, start_purchase.plan_number,
      start_purchase.pack_code, start_purchase.topup_minor, start_purchase.currency, start_purchase.interval_unit,
      start_purchase.interval_count, start_purchase.quantity, start_purchase.promo_code, 'balance');
    v_now := ops.now();
    if start_purchase.expires_in <= interval '0' then
      perform ops.refuse('expires_in_past');
    end if;
    start_purchase.id := uuidv7();
    insert into payments.purchase
      (id, workspace_id, kind, provider, state, plan_id, pack_id, price_id, quantity, list_minor, discount_minor, amount_minor,
       currency, promo_code_id, collection, auto_renew, trial_days, expires_at, created_at)
    values
      (start_purchase.id, start_purchase.workspace_id, v_quote.kind, 'manual', 'pending', v_quote.plan_id, v_quote.pack_id,
       v_quote.price_id, start_purchase.quantity, v_quote.list_minor, v_quote.discount_minor, v_quote.amount_minor,
       start_purchase.currency, v_quote.promo_code_id, case when v_quote.kind = 'subscription' then 'balance' end,
       case when v_quote.kind = 'subscription' then start_purchase.auto_renew end, 0, v_now + start_purchase.expires_in, v_now);
    if v_quote.amount_minor = 0 then
      perform ops.refuse('nothing_to_pay');
    end if;
    perform payments.hold_redemption(start_purchase.id, start_purchase.caused_by);
  end if;
  select p.kind, p.state, p.list_minor, p.discount_minor, p.amount_minor, p.expires_at, p.created_at
    into strict start_purchase.kind, start_purchase.state, start_purchase.list_minor, start_purchase.discount_minor,
         start_purchase.amount_minor, start_purchase.expires_at, start_purchase.created_at
    from payments.purchase p
   where p.id = start_purchase.id;
end
$$;
