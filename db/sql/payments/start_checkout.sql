-- payments.start_checkout: a purchase that is to be paid at the provider: of a plan, a credit pack, a retail token, or (`topup_minor`)
-- money for the balance. Answers it
-- with what its session is to be made of, and with the right to make customer and session, if nobody else has it.
-- Guarantees: while one for a plan is open, the same again is that one, for as long as the provider may still take its payment
--   (only the provider says that it may not); by constraint there are never two.
-- Refuses: not_found; plan_unknown, pack_unknown, price_unknown, price_not_published; subscription_exists (with its state);
--   checkout_open (another one for a plan is: id, url, expires_at); workspace_frozen, workspace_read_only (but not a plan for a
--   workspace whose last one is over: that is paying).
-- Locks: the workspace, the purchase, the customer. Callers: worker
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
  out session_currency text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_access record;
  v_offer record;
  v_standing record;
  v_trial_days integer;
  v_open record;
  v_now timestamptz;
begin
  if not people.lock_workspace(start_checkout.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  v_access := people.access_of(start_checkout.workspace_id);
  if v_access.refusal is not null
    and not (v_access.refusal = 'workspace_read_only' and v_access.reason = 'canceled' and start_checkout.plan_code is not null) then
    perform ops.refuse(v_access.refusal, jsonb_build_object('reason', v_access.reason));
  end if;
  if start_checkout.topup_minor is null then
    v_offer := billing.offer(start_checkout.plan_code, start_checkout.plan_number, start_checkout.pack_code,
      start_checkout.currency, start_checkout.interval_unit, start_checkout.interval_count);
  else
    select 'balance_topup' as kind, null::uuid as plan_id, null::uuid as pack_id, null::uuid as price_id,
           start_checkout.topup_minor as amount_minor, 0 as trial_days
      into v_offer;
  end if;
  v_now := ops.now();
  v_trial_days := v_offer.trial_days;
  if v_offer.kind = 'subscription' then
    v_standing := billing.standing_of(start_checkout.workspace_id);
    if v_standing.state is not null then
      perform ops.refuse('subscription_exists', jsonb_build_object('state', v_standing.state));
    end if;
    -- One trial per workspace.
    v_trial_days := case when v_standing.had_one then 0 else v_offer.trial_days end;
    select p.id, p.price_id, p.quantity, p.url, p.expires_at into v_open
      from payments.purchase p
     where p.workspace_id = start_checkout.workspace_id and p.kind = 'subscription' and p.state = 'pending';
    if found and (v_open.price_id, v_open.quantity) is distinct from (v_offer.price_id, start_checkout.quantity) then
      perform ops.refuse('checkout_open',
        jsonb_build_object('id', v_open.id, 'url', v_open.url, 'expires_at', v_open.expires_at));
    end if;
    start_checkout.id := v_open.id;
  end if;
  if start_checkout.id is null then
    start_checkout.id := uuidv7();
    insert into payments.purchase
      (id, workspace_id, kind, provider, state, plan_id, pack_id, price_id, quantity, amount_minor, currency, trial_days,
       success_url, cancel_url, check_due_at, expires_at, created_at)
    values
      (start_checkout.id, start_checkout.workspace_id, v_offer.kind, 'stripe', 'pending', v_offer.plan_id, v_offer.pack_id,
       v_offer.price_id, start_checkout.quantity, v_offer.amount_minor * start_checkout.quantity, start_checkout.currency, v_trial_days,
       start_checkout.success_url, start_checkout.cancel_url, v_now + interval '15 minutes',
       -- In whole seconds, as the provider keeps it; it takes no session of more than 24 hours.
       date_trunc('second', v_now + interval '23 hours'), v_now);
  end if;
  select c.quantity, c.success_url, c.cancel_url, c.kind, c.state, c.url, c.session_id, c.price_provider_id, c.mode,
         c.trial_days, c.expires_at, c.created_at, c.customer_id, c.customer_number, c.customer_token, c.search_customer,
         c.session_token, c.amount_minor, c.session_currency
    into strict start_checkout.quantity, start_checkout.success_url, start_checkout.cancel_url, start_checkout.kind,
         start_checkout.state, start_checkout.url, start_checkout.session_id, start_checkout.price_provider_id,
         start_checkout.mode, start_checkout.trial_days, start_checkout.expires_at, start_checkout.created_at,
         start_checkout.customer_id, start_checkout.customer_number, start_checkout.customer_token,
         start_checkout.search_customer, start_checkout.session_token, start_checkout.amount_minor,
         start_checkout.session_currency
    from payments.claim_checkout(start_checkout.id) c;
end
$$;
