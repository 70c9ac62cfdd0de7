-- payments.buy_from_balance: a pack, or a period of a plan, is paid from the workspace's balance: the money goes to `revenue`, and the
-- purchase is final, in one statement: never one without the other (D7). What a promo code makes free is charged nothing.
-- Locks: the workspace, the purchase, the redemption, the accounts of code and campaign, the workspace's accounts.
-- Refuses: as payments.admit_buyer and payments.quote; subscription_exists (with its state); checkout_open (a purchase of a plan is
--   open: id, url, expires_at); insufficient_balance (with available, required and currency); idempotency_key_*. Callers: worker
create or replace function payments.buy_from_balance(
  workspace_id uuid,
  pack_code text,
  inout currency text,
  inout quantity integer,
  caused_by text,
  plan_code text default null,
  plan_number integer default null,
  interval_unit text default null,
  interval_count integer default null,
  promo_code text default null,
  auto_renew boolean default true,
  out id uuid,
  out kind text,
  out state text,
  out amount_minor bigint,
  out payment_id uuid,
  out available bigint,
  out created_at timestamptz,
  out subscription_id uuid,
  out list_minor bigint,
  out discount_minor bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_price uuid;
  v_standing text;
  v_quote record;
begin
  perform payments.admit_buyer(buy_from_balance.workspace_id,
    case when buy_from_balance.plan_code is not null then 'subscription' end, 'balance');
  if buy_from_balance.plan_code is not null then
    v_price := (billing.offer(buy_from_balance.plan_code, buy_from_balance.plan_number, null, buy_from_balance.currency,
      buy_from_balance.interval_unit, buy_from_balance.interval_count, published => false)).price_id;
    v_standing := billing.may_pay_period(buy_from_balance.workspace_id, v_price, buy_from_balance.quantity);
    if v_standing is not null then
      perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing));
    end if;
    -- None that is open is paid so: two open ones could both be paid.
    perform payments.open_plan(buy_from_balance.workspace_id, 'balance', v_price, buy_from_balance.quantity,
      buy_from_balance.promo_code, 'balance', buy_from_balance.auto_renew, buy_from_balance.caused_by);
  end if;
  v_quote := payments.quote(buy_from_balance.workspace_id, buy_from_balance.plan_code, buy_from_balance.plan_number,
    buy_from_balance.pack_code, null, buy_from_balance.currency, buy_from_balance.interval_unit, buy_from_balance.interval_count,
    buy_from_balance.quantity, buy_from_balance.promo_code, 'balance');
  buy_from_balance.id := uuidv7();
  buy_from_balance.kind := v_quote.kind;
  buy_from_balance.list_minor := v_quote.list_minor;
  buy_from_balance.discount_minor := v_quote.discount_minor;
  buy_from_balance.amount_minor := v_quote.amount_minor;
  buy_from_balance.created_at := ops.now();
  insert into payments.purchase
    (id, workspace_id, kind, provider, state, plan_id, pack_id, price_id, quantity, list_minor, discount_minor, amount_minor, currency,
     promo_code_id, collection, auto_renew, trial_days, provider_id, expires_at, created_at)
  values
    (buy_from_balance.id, buy_from_balance.workspace_id, v_quote.kind, 'balance', 'pending', v_quote.plan_id, v_quote.pack_id,
     v_quote.price_id, buy_from_balance.quantity, v_quote.list_minor, v_quote.discount_minor, v_quote.amount_minor,
     buy_from_balance.currency, v_quote.promo_code_id, case when v_quote.kind = 'subscription' then 'balance' end,
     case when v_quote.kind = 'subscription' then buy_from_balance.auto_renew end, 0, buy_from_balance.id,
     buy_from_balance.created_at, buy_from_balance.created_at);
  perform payments.hold_redemption(buy_from_balance.id, buy_from_balance.caused_by);
  if buy_from_balance.amount_minor > 0 then
    perform ledger.charge(owner_id => buy_from_balance.workspace_id, unit => buy_from_balance.currency,
      amount => buy_from_balance.amount_minor, side => 'revenue', reason => null,
      idempotency_key => 'tg:purchase:' || buy_from_balance.id || ':paid', caused_by => buy_from_balance.caused_by);
  end if;
  if payments.finalize(buy_from_balance.id,
      jsonb_build_object('amount_total', buy_from_balance.amount_minor, 'currency', buy_from_balance.currency),
      buy_from_balance.caused_by) <> 'paid' then
    raise exception using errcode = 'TG011', message = format('purchase %s was charged and is not paid', buy_from_balance.id);
  end if;
  select p.state, p.payment_id, p.subscription_id
    into strict buy_from_balance.state, buy_from_balance.payment_id, buy_from_balance.subscription_id
    from payments.purchase p
   where p.id = buy_from_balance.id;
  select b.available into buy_from_balance.available
    from ledger.balance_of(buy_from_balance.workspace_id, buy_from_balance.currency) b;
end
$$;
