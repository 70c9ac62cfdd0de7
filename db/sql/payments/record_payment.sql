-- payments.record_payment: money that came, once per provider and reference, whoever tells of it and how often. Answers its id.
-- `exact`: the teller knows the amount (an invoice knows it better than the checkout that made it).
-- Locks: the caller holds the workspace's row. Callers: payments.apply_invoice, payments.finalize
create or replace function payments.record_payment(
  workspace_id uuid,
  provider text,
  reference text,
  amount_minor bigint,
  currency text,
  paid_at timestamptz,
  exact boolean
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  insert into payments.payment as n (id, workspace_id, provider, reference, amount_minor, currency, paid_at, created_at)
  values (uuidv7(), record_payment.workspace_id, record_payment.provider, record_payment.reference,
          record_payment.amount_minor, record_payment.currency, record_payment.paid_at, ops.now())
  on conflict on constraint payment_reference_once do nothing
  returning n.id into v_id;
  if v_id is null then
    select p.id into strict v_id
      from payments.payment p
     where p.provider = record_payment.provider and p.reference = record_payment.reference
       for no key update;
    if record_payment.exact then
      update payments.payment p set amount_minor = record_payment.amount_minor
       where p.id = v_id and p.amount_minor <> record_payment.amount_minor;
    end if;
  end if;
  return v_id;
end
$$;
