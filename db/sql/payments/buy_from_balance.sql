-- payments.buy_from_balance: a pack is paid from the workspace's balance: the money goes to `revenue`, and the purchase is final,
-- in one statement: never one without the other (D7).
-- Locks: the workspace, the purchase, the accounts. Refuses: not_found; workspace_frozen, workspace_read_only; pack_unknown,
--   price_unknown; insufficient_balance (with available, required and currency); idempotency_key_*. Callers: worker
create or replace function payments.buy_from_balance(
  workspace_id uuid,
  pack_code text,
  inout currency text,
  inout quantity integer,
  caused_by text,
  out id uuid,
  out kind text,
  out state text,
  out amount_minor bigint,
  out payment_id uuid,
  out available bigint,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_access record;
  v_offer record;
begin
  if not people.lock_workspace(buy_from_balance.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  v_access := people.access_of(buy_from_balance.workspace_id);
  if v_access.refusal is not null then
    perform ops.refuse(v_access.refusal, jsonb_build_object('reason', v_access.reason));
  end if;
  v_offer := billing.offer(null, null, buy_from_balance.pack_code, buy_from_balance.currency, null, null, published => false);
  buy_from_balance.id := uuidv7();
  buy_from_balance.kind := v_offer.kind;
  buy_from_balance.amount_minor := v_offer.amount_minor * buy_from_balance.quantity;
  buy_from_balance.created_at := ops.now();
  insert into payments.purchase
    (id, workspace_id, kind, provider, state, pack_id, price_id, quantity, amount_minor, currency, trial_days, provider_id,
     expires_at, created_at)
  values
    (buy_from_balance.id, buy_from_balance.workspace_id, v_offer.kind, 'balance', 'pending', v_offer.pack_id, v_offer.price_id,
     buy_from_balance.quantity, buy_from_balance.amount_minor, buy_from_balance.currency, 0, buy_from_balance.id,
     buy_from_balance.created_at, buy_from_balance.created_at);
  if buy_from_balance.amount_minor > 0 then
    perform ledger.charge(owner_id => buy_from_balance.workspace_id, unit => buy_from_balance.currency,
      amount => buy_from_balance.amount_minor, side => 'revenue', reason => null,
      idempotency_key => 'tg:purchase:' || buy_from_balance.id || ':paid', caused_by => buy_from_balance.caused_by);
  end if;
  perform payments.finalize(buy_from_balance.id,
    jsonb_build_object('amount_total', buy_from_balance.amount_minor, 'currency', buy_from_balance.currency),
    buy_from_balance.caused_by);
  select p.state, p.payment_id into strict buy_from_balance.state, buy_from_balance.payment_id
    from payments.purchase p
   where p.id = buy_from_balance.id;
  select b.available into buy_from_balance.available
    from ledger.balance_of(buy_from_balance.workspace_id, buy_from_balance.currency) b;
end
$$;
