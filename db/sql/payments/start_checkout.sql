-- payments.start_checkout: a purchase that is to be paid at the provider: of a plan, a credit pack, a retail token, or (`topup_minor`)
-- money for the balance. Answers it with what its session is to be made of, and with the right to make customer and session, if
-- nobody else has it. A plan of `collection` stripe is collected there; of collection balance, one period of it is paid once. What
-- `provider` btcpay is asked for is paid once, and at no published price.
-- Guarantees: while one for a plan is open, the same again is that one, for as long as the provider may still take its payment
--   (only the provider says that it may not); by constraint there are never two.
-- A trial is had once by a workspace, and by whoever it is (`identity_hash`): who had it pays at once.
-- Refuses: as payments.admit_buyer and payments.quote; subscription_exists (with its state); checkout_open (another one for a plan
--   is: id, url, expires_at); nothing_to_pay (of what is paid once).
-- Locks: the workspace, the purchase, the redemption, the accounts of code and campaign, the customer. Callers: worker
create or replace function payments.start_checkout(
  workspace_id uuid,
  plan_code text,
  plan_number integer,
  pack_code text,
  currency text,
  interval_unit text,
  interval_count integer,
  inout quantity integer,
  inout success_url text,
  inout cancel_url text,
  caused_by text,
  topup_minor bigint default null,
  promo_code text default null,
  collection text default 'stripe',
  auto_renew boolean default true,
  identity_hash text default null,
  provider text default 'stripe',
  out id uuid,
  out kind text,
  out state text,
  out url text,
  out session_id text,
  out price_provider_id text,
  out mode text,
  out trial_days integer,
  out expires_at timestamptz,
  out created_at timestamptz,
  out customer_id text,
  out customer_number integer,
  out customer_token uuid,
  out search_customer boolean,
  out session_token uuid,
  out amount_minor bigint,
  out session_currency text,
  out discounted boolean,
  out name text,
  out search_session boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_published boolean := start_checkout.provider = 'stripe' and start_checkout.collection = 'stripe'
    and start_checkout.promo_code is null;
  v_price uuid;
  v_standing text;
  v_quote record;
  v_now timestamptz;
begin
  if start_checkout.provider <> 'stripe' then
    start_checkout.collection := 'balance';
  end if;
  perform payments.admit_buyer(start_checkout.workspace_id,
    case when start_checkout.topup_minor is not null then 'balance_topup'
      when start_checkout.plan_code is not null then 'subscription' end, start_checkout.collection);
  if start_checkout.plan_code is not null and start_checkout.topup_minor is null then
    v_price := (billing.offer(start_checkout.plan_code, start_checkout.plan_number, null, start_checkout.currency,
      start_checkout.interval_unit, start_checkout.interval_count, v_published)).price_id;
    v_standing := case when start_checkout.collection = 'balance'
      then billing.may_pay_period(start_checkout.workspace_id, v_price, start_checkout.quantity)
      else (billing.standing_of(start_checkout.workspace_id)).state end;
    if v_standing is not null then
      perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing));
    end if;
    start_checkout.id := payments.open_plan(start_checkout.workspace_id, start_checkout.provider, v_price, start_checkout.quantity,
      start_checkout.promo_code, start_checkout.collection, start_checkout.auto_renew, start_checkout.caused_by);
  end if;
  if start_checkout.id is null then
    v_quote := payments.quote(start_checkout.workspace_id, start_checkout.plan_code, start_checkout.plan_number,
      start_checkout.pack_code, start_checkout.topup_minor, start_checkout.currency, start_checkout.interval_unit,
      start_checkout.interval_count, start_checkout.quantity, start_checkout.promo_code, start_checkout.collection, v_published);
    v_now := ops.now();
    start_checkout.id := uuidv7();
    if v_quote.trial_days > 0 and start_checkout.collection = 'stripe' and start_checkout.identity_hash is not null
      and not billing.claim_trial(start_checkout.workspace_id, start_checkout.identity_hash, start_checkout.id) then
      v_quote.trial_days := 0;
    end if;
    insert into payments.purchase
      (id, workspace_id, kind, provider, state, plan_id, pack_id, price_id, quantity, list_minor, discount_minor, amount_minor,
       currency, promo_code_id, collection, auto_renew, identity_hash, trial_days, success_url, cancel_url, check_due_at, expires_at, created_at)
    values
      (start_checkout.id, start_checkout.workspace_id, v_quote.kind, start_checkout.provider, 'pending', v_quote.plan_id, v_quote.pack_id,
       v_quote.price_id, start_checkout.quantity, v_quote.list_minor, v_quote.discount_minor, v_quote.amount_minor,
       start_checkout.currency, v_quote.promo_code_id,
       case when v_quote.kind = 'subscription' then start_checkout.collection end,
       case when v_quote.kind = 'subscription' and start_checkout.collection = 'balance' then start_checkout.auto_renew end,
       start_checkout.identity_hash, v_quote.trial_days, start_checkout.success_url, start_checkout.cancel_url, v_now + interval '15 minutes',
       -- In whole seconds, as the provider keeps it; it takes no session of more than 24 hours.
       date_trunc('second', v_now + interval '23 hours'), v_now);
    if v_quote.amount_minor = 0 and not (v_quote.kind = 'subscription' and start_checkout.collection = 'stripe') then
      perform ops.refuse('nothing_to_pay');
    end if;
    perform payments.hold_redemption(start_checkout.id, start_checkout.caused_by);
  end if;
  select c.quantity, c.success_url, c.cancel_url, c.kind, c.state, c.url, c.session_id, c.price_provider_id, c.mode,
         c.trial_days, c.expires_at, c.created_at, c.customer_id, c.customer_number, c.customer_token, c.search_customer,
         c.session_token, c.amount_minor, c.session_currency, c.discounted, c.name, c.search_session
    into strict start_checkout.quantity, start_checkout.success_url, start_checkout.cancel_url, start_checkout.kind,
         start_checkout.state, start_checkout.url, start_checkout.session_id, start_checkout.price_provider_id,
         start_checkout.mode, start_checkout.trial_days, start_checkout.expires_at, start_checkout.created_at,
         start_checkout.customer_id, start_checkout.customer_number, start_checkout.customer_token,
         start_checkout.search_customer, start_checkout.session_token, start_checkout.amount_minor,
         start_checkout.session_currency, start_checkout.discounted, start_checkout.name, start_checkout.search_session
    from payments.claim_checkout(start_checkout.id) c;
end
$$;
