-- payments.confirm_purchase: an operator says that money came for a purchase that is paid by hand. Once for ever by its `reference` (the
-- bank's, say): the same again is answered the same. The right money buys it, also after its end, if that can still be had; any
-- other is kept without effect, under an alarm (`outcome` does_not_fit), and the purchase stays as it is.
-- Guarantees: as payments.finalize; an audit row in the same statement. Refuses: not_found (another workspace's, or not by hand);
--   reference_used (for another purchase or another amount; with its purchase_id). Locks: as payments.finalize. Callers: worker
create or replace function payments.confirm_purchase(
  workspace_id uuid,
  inout id uuid,
  inout amount_minor bigint,
  inout currency text,
  inout reference text,
  caused_by text,
  out outcome text,
  out state text,
  out kind text,
  out payment_id uuid,
  out subscription_id uuid,
  out available bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_known record;
begin
  perform people.lock_workspace(confirm_purchase.workspace_id);
  perform from payments.purchase p
    where p.id = confirm_purchase.id and p.workspace_id = confirm_purchase.workspace_id and p.provider = 'manual';
  if not found then
    perform ops.refuse('not_found');
  end if;
  select p.id, p.purchase_id, p.amount_minor::bigint as amount_minor, p.currency into v_known
    from payments.payment p
   where p.provider = 'manual' and p.reference = confirm_purchase.reference;
  if not found then
    perform payments.finalize(confirm_purchase.id,
      jsonb_build_object('amount_total', confirm_purchase.amount_minor, 'currency', confirm_purchase.currency,
        'reference', confirm_purchase.reference), confirm_purchase.caused_by);
    select p.id into strict confirm_purchase.payment_id
      from payments.payment p
     where p.provider = 'manual' and p.reference = confirm_purchase.reference;
  elsif (v_known.purchase_id, v_known.amount_minor, v_known.currency)
    is distinct from (confirm_purchase.id, confirm_purchase.amount_minor, confirm_purchase.currency) then
    perform ops.refuse('reference_used', jsonb_build_object('purchase_id', v_known.purchase_id));
  else
    confirm_purchase.payment_id := v_known.id;
  end if;
  select p.state, p.kind, p.subscription_id,
         case when p.payment_id = confirm_purchase.payment_id then 'paid' else 'does_not_fit' end
    into strict confirm_purchase.state, confirm_purchase.kind, confirm_purchase.subscription_id, confirm_purchase.outcome
    from payments.purchase p
   where p.id = confirm_purchase.id;
  if v_known.id is null then
    perform ops.record_change(
      workspace_id => confirm_purchase.workspace_id, actor => confirm_purchase.caused_by, action => 'purchase.confirm',
      subject => 'purchase:' || confirm_purchase.id,
      detail => jsonb_build_object('amount_minor', confirm_purchase.amount_minor, 'currency', confirm_purchase.currency,
        'reference', confirm_purchase.reference, 'outcome', confirm_purchase.outcome));
  end if;
  select b.available into confirm_purchase.available
    from ledger.balance_of(confirm_purchase.workspace_id, confirm_purchase.currency) b;
end
$$;
