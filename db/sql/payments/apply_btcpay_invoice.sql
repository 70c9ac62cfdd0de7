-- payments.apply_btcpay_invoice: how an invoice of BTCPay Server stands: what came for it is kept, once, and buys what it was for.
-- What came is a total, and so is what is known of it (payments `<invoice>`, `<invoice>:2`, …): only the difference is new, so that
-- any order and any repetition end the same. Nothing counts that waits for confirmations.
-- Paid in full, in time or late: the purchase is bought; what is more goes to the balance. Marked settled there by a person: bought, by
-- the operator's word that the money is there, unless some of it was settled here before.
-- Too little, once the invoice is over; whatever comes for an invalid one, or for a purchase that was paid by another: kept without
-- effect, under an alarm, until the operator settles it.
-- The purchase is found by the invoice, or by its own id, which the invoice carries. The first invoice of the right amount is the
-- purchase's; another one ends nothing, and its money buys only what is not paid yet.
-- Less came than is known and was not refunded, by an answer that was asked for after that was written (`asked_at`): alarm crypto_payment_undone; else
-- the provider is asked again. Nothing is taken back by itself.
-- Locks: the workspace, the purchase, its payments, then as payments.finalize. Callers: ops.apply_event, payments.sync_checkout
create or replace function payments.apply_btcpay_invoice(
  provider text,
  fact jsonb,
  caused_by text,
  asked_at timestamptz default null
)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  c_watched constant interval := interval '7 days';
  v_now timestamptz := ops.now();
  v_invoice text := apply_btcpay_invoice.fact ->> 'invoice';
  v_status text := apply_btcpay_invoice.fact ->> 'status';
  v_currency text := apply_btcpay_invoice.fact ->> 'currency';
  v_asked bigint := (apply_btcpay_invoice.fact ->> 'amount_minor')::bigint;
  v_paid bigint := (apply_btcpay_invoice.fact ->> 'paid_minor')::bigint;
  v_unconfirmed boolean := (apply_btcpay_invoice.fact ->> 'unconfirmed')::boolean;
  -- By hand, at BTCPay.
  v_marked boolean := v_status = 'Settled' and (apply_btcpay_invoice.fact ->> 'marked')::boolean;
  v_expires_at timestamptz := billing.second_of(apply_btcpay_invoice.fact, 'expires_at');
  v_purchase record;
  v_own boolean;
  v_row record;
  v_number integer := 0;
  v_reference text;
  v_free text;
  v_open uuid;
  v_open_reference text;
  v_open_minor bigint := 0;
  v_closed_minor bigint := 0;
  v_closed integer := 0;
  v_refunded_minor bigint := 0;
  v_pays boolean := false;
  -- What bought it is not all refunded.
  v_holds boolean := false;
  v_touched timestamptz := '-infinity';
  v_left bigint;
  v_doubt boolean;
  v_outcome text := 'known';
  v_state text;
  v_word jsonb;
begin
  select p.id, p.workspace_id into v_purchase
    from payments.purchase p
   where p.provider = apply_btcpay_invoice.provider and p.provider_id = v_invoice;
  if not found then
    select p.id, p.workspace_id into v_purchase
      from payments.purchase p
     where p.provider = apply_btcpay_invoice.provider and p.id = (apply_btcpay_invoice.fact ->> 'purchase')::uuid;
    if not found then
      return 'not_ours';
    end if;
  end if;
  perform people.lock_workspace(v_purchase.workspace_id);
  -- Whoever made it died before writing it down. Anybody may make an invoice at some stores, and name it as they like: one of another
  -- amount is not the purchase's.
  update payments.purchase p
     set provider_id = v_invoice, lease_token = null, leased_until = null, expires_at = v_expires_at
   where p.id = v_purchase.id and p.provider_id is null and (p.amount_minor, p.currency) = (v_asked, v_currency);
  select p.id, p.provider_id, p.state, p.payment_id, p.amount_minor::bigint as amount_minor, p.currency, p.canceled_at
    into strict v_purchase
    from payments.purchase p
   where p.id = v_purchase.id
     for no key update;
  v_own := v_purchase.provider_id is not distinct from v_invoice;

  loop
    v_number := v_number + 1;
    v_reference := v_invoice || case when v_number = 1 then '' else ':' || v_number end;
    select p.id, p.reference, p.amount_minor::bigint as amount_minor, p.refunded, p.created_at, p.unsettled_at into v_row
      from payments.payment p
     where p.provider = apply_btcpay_invoice.provider and p.reference = v_reference
       for no key update;
    if not found then
      v_free := v_reference;
      exit;
    end if;
    v_touched := greatest(v_touched, v_row.created_at, v_row.unsettled_at);
    if v_row.unsettled_at is not null and v_row.refunded = 0 and v_open is null then
      v_open := v_row.id;
      v_open_reference := v_row.reference;
      v_open_minor := v_row.amount_minor;
    else
      v_closed := v_closed + 1;
      v_closed_minor := v_closed_minor + v_row.amount_minor;
      v_refunded_minor := v_refunded_minor + v_row.refunded;
      if v_row.id is not distinct from v_purchase.payment_id then
        v_pays := true;
        v_holds := v_row.refunded < v_row.amount_minor;
      end if;
    end if;
  end loop;
  v_doubt := v_open_minor + v_closed_minor - v_refunded_minor > v_paid and not v_marked or v_status = 'Invalid' and v_holds;

  v_left := case
    when v_status not in ('Settled', 'Expired', 'Invalid') then 0
    when not v_unconfirmed then v_paid
    -- Confirmed is what was asked for, at least.
    when v_status = 'Settled' and not v_marked then least(v_paid, v_asked)
    else 0 end - v_closed_minor;
  v_word := jsonb_build_object('currency', v_currency, 'created', apply_btcpay_invoice.fact -> 'paid_at',
    'reference', coalesce(v_open_reference, v_free));
  if v_purchase.payment_id is null and (v_asked, v_currency) = (v_purchase.amount_minor, v_purchase.currency)
    and (v_status in ('Settled', 'Expired') and v_left >= v_purchase.amount_minor
      or v_marked and not v_unconfirmed and v_closed = 0) then
    if v_open is not null then
      update payments.payment p set amount_minor = v_purchase.amount_minor where p.id = v_open;
      v_reference := v_free;
    else
      v_reference := v_invoice || ':' || v_number + 1;
    end if;
    v_outcome := payments.finalize(v_purchase.id,
      v_word || jsonb_build_object('amount_total', v_purchase.amount_minor), apply_btcpay_invoice.caused_by);
    v_left := v_left - v_purchase.amount_minor;
    if v_left > 0 and v_outcome = 'paid' then
      perform payments.keep_surplus(v_purchase.id, v_reference, v_left, v_currency,
        coalesce(billing.second_of(apply_btcpay_invoice.fact, 'paid_at'), v_now), apply_btcpay_invoice.caused_by);
    elsif v_left > 0 then
      -- What cannot be had is not paid for: all of it waits.
      perform payments.finalize(v_purchase.id,
        v_word || jsonb_build_object('amount_total', v_left, 'reference', v_reference, 'worth', 'none'),
        apply_btcpay_invoice.caused_by);
    end if;
  elsif v_left > v_open_minor and v_pays and v_open is null and v_closed_minor >= v_purchase.amount_minor then
    perform payments.keep_surplus(v_purchase.id, v_free, v_left, v_currency,
      coalesce(billing.second_of(apply_btcpay_invoice.fact, 'paid_at'), v_now), apply_btcpay_invoice.caused_by);
    v_outcome := 'surplus';
  elsif v_left > v_open_minor then
    if v_open is not null then
      update payments.payment p set amount_minor = v_left where p.id = v_open;
    end if;
    v_outcome := payments.finalize(v_purchase.id, v_word || jsonb_build_object('amount_total', v_left, 'worth', 'none'),
      apply_btcpay_invoice.caused_by);
  end if;

  if v_doubt and apply_btcpay_invoice.asked_at > v_touched then
    perform ops.raise_alarm('crypto_payment_undone', 'purchase:' || v_purchase.id, jsonb_build_object('invoice', v_invoice,
      'status', v_status, 'currency', v_currency, 'known_minor', v_open_minor + v_closed_minor - v_refunded_minor, 'paid_minor', v_paid));
    v_outcome := 'undone';
    v_doubt := false;
  elsif not v_doubt and v_own and apply_btcpay_invoice.asked_at is not null then
    perform ops.close_alarm('crypto_payment_undone', 'purchase:' || v_purchase.id);
  end if;

  if v_own then
    select p.state into strict v_state from payments.purchase p where p.id = v_purchase.id;
    if v_state = 'pending' and (v_status in ('Expired', 'Invalid') or v_status = 'Settled' and not (v_marked and v_unconfirmed)) then
      v_state := case when v_status = 'Invalid' or v_purchase.canceled_at is not null then 'canceled' else 'expired' end;
      v_outcome := case when v_outcome = 'known' then v_state else v_outcome end;
      update payments.purchase p
         set state = v_state, ended_at = v_now, url = null, awaits_payment = null, lease_token = null
       where p.id = v_purchase.id;
      perform payments.release_redemption(v_purchase.id, apply_btcpay_invoice.caused_by);
    elsif v_state = 'pending' then
      v_outcome := case when v_status = 'New' then 'open' else 'awaits_payment' end;
    end if;
  end if;
  -- Asked for until it ends, and for some days after that: money comes late, and a chain may forget.
  update payments.purchase p
     set url = case when v_own and p.state = 'pending' and v_status = 'New' then apply_btcpay_invoice.fact ->> 'url'
           when v_own then null else p.url end,
         awaits_payment = case when p.state = 'pending' then case when v_own then case when v_status <> 'New' then 'confirmations' end
           else p.awaits_payment end end,
         check_due_at = case
           when v_doubt then v_now
           when not v_own then case when v_outcome = 'paid' then v_now + interval '1 hour' else p.check_due_at end
           when p.state = 'pending' and v_status = 'New'
             then greatest(least(v_expires_at + interval '1 minute', v_now + interval '5 minutes'), v_now + interval '1 minute')
           when p.state = 'pending' then v_now + interval '10 minutes'
           when v_now >= greatest(v_expires_at + c_watched, billing.second_of(apply_btcpay_invoice.fact, 'monitored_until')) then null
           when v_unconfirmed then v_now + interval '10 minutes'
           else v_now + greatest(interval '1 hour', (v_now - v_expires_at) / 2) end
   where p.id = v_purchase.id;
  return v_outcome;
end
$$;
