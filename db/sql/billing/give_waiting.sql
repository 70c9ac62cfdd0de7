-- billing.give_waiting: gives what a subscription's invoices are waiting to give, moment by moment, if their time has come.
-- Guarantees: whatever order they come in, and while nothing is spent, the end is that of their own order (billing.in_order), but
--   that nothing is taken away which has been given.
-- Locks: the caller holds the workspace's row; then the subscription, then the account.
-- Callers: billing.renew, billing.choose_live, billing.write_state
create or replace function billing.give_waiting(id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_renewal record;
  v_part numeric;
  v_state text;
  v_before record;
begin
  for v_renewal in
    select r.invoice, r.kind, r.price_id, r.starts_at, r.ends_at, r.payment_id from billing.renewal r
     where r.subscription_id = give_waiting.id and r.state = 'waiting'
     order by r.starts_at, r.kind, r.invoice
  loop
    select s.workspace_id, s.ended_at, s.superseded_by, s.renewed_from, s.renewed_until into strict v_row
      from billing.subscription s
     where s.id = give_waiting.id
       for no key update;
    v_part := billing.part_of_period(give_waiting.id, v_renewal.price_id, v_renewal.starts_at, v_renewal.ends_at);
    v_state := case
      when v_row.ended_at is not null then 'late'
      when v_row.superseded_by is not null then 'waiting'
      when v_renewal.kind = 'period' then case when v_renewal.starts_at < v_row.renewed_from then 'late' else 'given' end
      when v_row.renewed_from is null or v_part is null then 'waiting'
      when v_renewal.starts_at < v_row.renewed_from then 'late'
      when v_renewal.starts_at < v_row.renewed_until then 'given'
      else 'waiting' end;
    continue when v_state = 'waiting';
    v_before := billing.in_order(give_waiting.id);
    update billing.renewal r set state = v_state
     where r.subscription_id = give_waiting.id and r.invoice = v_renewal.invoice;
    if v_row.ended_at is null and v_state = 'given' and v_renewal.kind = 'period' then
      perform billing.give_period(give_waiting.id, v_row.workspace_id, v_renewal.invoice, give_waiting.caused_by);
    elsif v_row.ended_at is null then
      perform billing.give_difference(give_waiting.id, v_row.workspace_id, v_renewal.invoice, v_before.pool, v_before.rollover,
        give_waiting.caused_by);
    end if;
    -- It may have been refunded before it gave.
    perform payments.reckon(v_renewal.payment_id, give_waiting.caused_by);
  end loop;
end
$$;
