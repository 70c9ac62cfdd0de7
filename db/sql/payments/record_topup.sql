-- payments.record_topup: money that came outside of Stripe, a bank transfer or cash, goes to a workspace's balance; an operator says
-- so. Once for ever by its `reference` (the bank's, say): the same again is answered with the first, another amount is refused.
-- Guarantees: purchase, payment and balance in one statement (D1); an audit row. Refuses: not_found; reference_used (with the
--   purchase). Locks: the workspace, the purchase, the account. Callers: worker
create or replace function payments.record_topup(
  workspace_id uuid,
  inout amount_minor bigint,
  inout currency text,
  inout reference text,
  caused_by text,
  out id uuid,
  out state text,
  out payment_id uuid,
  out available bigint,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_known record;
begin
  if not people.lock_workspace(record_topup.workspace_id) then
    perform ops.refuse('not_found');
  end if;
  record_topup.created_at := ops.now();
  record_topup.id := uuidv7();
  insert into payments.purchase
    (id, workspace_id, kind, provider, state, quantity, list_minor, amount_minor, currency, trial_days, provider_id, expires_at, created_at)
  values
    (record_topup.id, record_topup.workspace_id, 'balance_topup', 'manual', 'pending', 1, record_topup.amount_minor,
     record_topup.amount_minor, record_topup.currency, 0, record_topup.reference, record_topup.created_at, record_topup.created_at)
  on conflict on constraint purchase_provider_id_once do nothing;
  if not found then
    select p.id, p.workspace_id, p.amount_minor, p.currency, p.created_at into strict v_known
      from payments.purchase p
     where p.provider = 'manual' and p.provider_id = record_topup.reference;
    if (v_known.workspace_id, v_known.amount_minor, v_known.currency)
      is distinct from (record_topup.workspace_id, record_topup.amount_minor, record_topup.currency) then
      perform ops.refuse('reference_used', jsonb_build_object('purchase_id', v_known.id));
    end if;
    record_topup.id := v_known.id;
    record_topup.created_at := v_known.created_at;
  else
    -- Refuses a reference under which money came for a purchase (payments.confirm_purchase).
    perform payments.finalize(record_topup.id,
      jsonb_build_object('amount_total', record_topup.amount_minor, 'currency', record_topup.currency), record_topup.caused_by);
    perform ops.record_change(
      workspace_id => record_topup.workspace_id, actor => record_topup.caused_by, action => 'balance.topup',
      subject => 'purchase:' || record_topup.id,
      detail => jsonb_build_object('amount_minor', record_topup.amount_minor, 'currency', record_topup.currency,
        'reference', record_topup.reference));
  end if;
  select p.state, p.payment_id into strict record_topup.state, record_topup.payment_id
    from payments.purchase p
   where p.id = record_topup.id;
  select b.available into record_topup.available from ledger.balance_of(record_topup.workspace_id, record_topup.currency) b;
end
$$;
