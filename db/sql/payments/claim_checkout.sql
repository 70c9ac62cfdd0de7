-- payments.claim_checkout: a purchase as it stands, with the right to make its customer and its session at the provider, if
-- they are not there and nobody else has it. Who waits asks again; a right that was not used runs out after 30 seconds.
-- What has no price there is `amount_minor` in `session_currency` altogether, for something called `name`: a top-up, and what is
-- `discounted`, by a promo code or because it is one period of a plan. A plan's period is paid once (mode payment).
-- `session_token` comes with a customer, or with the right to make one; BTCPay has no customers. `search_session`: somebody had that
-- right before, and may have made a session that is not written down: BTCPay takes no idempotency key, so it is looked for first.
-- Locks: the workspace, the purchase, the customer. Refuses: not_found. Callers: worker, payments.start_checkout
create or replace function payments.claim_checkout(
  inout id uuid,
  out kind text,
  out state text,
  out url text,
  out session_id text,
  out price_provider_id text,
  out quantity integer,
  out mode text,
  out trial_days integer,
  out success_url text,
  out cancel_url text,
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
  v_row record;
  v_customer record;
begin
  select p.workspace_id into v_row from payments.purchase p where p.id = claim_checkout.id;
  if not found then
    perform ops.refuse('not_found');
  end if;
  perform people.lock_workspace(v_row.workspace_id);
  select p.workspace_id, p.kind, p.state, p.url, p.provider_id, p.provider, p.quantity, p.trial_days, p.success_url, p.cancel_url,
         p.expires_at, p.created_at, p.price_id, p.lease_token, p.leased_until, p.awaits_payment, p.amount_minor, p.currency,
         p.promo_code_id, p.kind = 'subscription' and coalesce(p.collection, 'stripe') = 'stripe' as is_collected
    into strict v_row
    from payments.purchase p
   where p.id = claim_checkout.id
     for no key update;
  claim_checkout.kind := v_row.kind;
  claim_checkout.state := v_row.state;
  claim_checkout.url := v_row.url;
  claim_checkout.session_id := v_row.provider_id;
  claim_checkout.price_provider_id := billing.price_at_provider(v_row.price_id);
  claim_checkout.quantity := v_row.quantity;
  claim_checkout.mode := case when v_row.is_collected then 'subscription' else 'payment' end;
  claim_checkout.trial_days := v_row.trial_days;
  claim_checkout.success_url := v_row.success_url;
  claim_checkout.cancel_url := v_row.cancel_url;
  claim_checkout.expires_at := v_row.expires_at;
  claim_checkout.created_at := v_row.created_at;
  claim_checkout.amount_minor := v_row.amount_minor;
  claim_checkout.session_currency := v_row.currency;
  claim_checkout.discounted := v_row.promo_code_id is not null or v_row.kind = 'subscription' and not v_row.is_collected;
  claim_checkout.name := case v_row.kind when 'balance_topup' then 'Balance' else billing.name_of(v_row.price_id) end;
  if v_row.state <> 'pending' or v_row.provider_id is not null then
    return;
  end if;
  if v_row.provider = 'stripe' then
    v_customer := payments.claim_customer(v_row.workspace_id, v_row.provider);
    claim_checkout.customer_id := v_customer.customer;
    claim_checkout.customer_number := v_customer.number;
    claim_checkout.customer_token := v_customer.token;
    claim_checkout.search_customer := v_customer.search;
  end if;
  claim_checkout.search_session := v_row.lease_token is not null;
  if (v_row.provider <> 'stripe' or claim_checkout.customer_id is not null or claim_checkout.customer_token is not null)
    and (v_row.leased_until is null or v_row.leased_until <= ops.now()) then
    claim_checkout.session_token := uuidv7();
    update payments.purchase p
       set lease_token = claim_checkout.session_token, leased_until = ops.now() + interval '30 seconds'
     where p.id = claim_checkout.id;
  end if;
end
$$;
