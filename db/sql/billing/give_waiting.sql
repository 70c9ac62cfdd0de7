-- billing.give_waiting: gives what a subscription's invoices are waiting to give, period by period, if its time has come.
-- Locks: the caller holds the workspace's row; then the subscription, then the account.
-- Callers: billing.renew, billing.choose_live
create or replace function billing.give_waiting(id uuid, caused_by text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_renewal record;
  v_state text;
begin
  for v_renewal in
    select r.invoice, r.kind, r.plan_id, r.price_id, r.amount, r.starts_at, r.ends_at, r.payment_id from billing.renewal r
     where r.subscription_id = give_waiting.id and r.state = 'waiting'
     order by r.starts_at, r.kind, r.invoice
  loop
    select s.workspace_id, s.ended_at, s.superseded_by, s.renewed_from, s.renewed_until into strict v_row
      from billing.subscription s
     where s.id = give_waiting.id
       for no key update;
    if v_row.ended_at is not null then
      v_state := 'late';
    elsif v_row.superseded_by is not null then
      v_state := 'waiting';
    elsif v_renewal.kind = 'period' then
      v_state := case when v_renewal.starts_at < v_row.renewed_from then 'late' else 'given' end;
    else
      v_state := case
        when v_row.renewed_from is null then 'waiting'
        when v_renewal.starts_at < v_row.renewed_from then 'late'
        -- A change of interval begins a period of its own.
        when v_renewal.starts_at < v_row.renewed_until
          or billing.part_of_period(v_renewal.price_id, v_renewal.starts_at, v_renewal.ends_at) = 1 then 'given'
        else 'waiting' end;
    end if;
    continue when v_state = 'waiting';
    update billing.renewal r set state = v_state
     where r.subscription_id = give_waiting.id and r.invoice = v_renewal.invoice;
    if v_state = 'given' and v_renewal.kind = 'period' then
      perform billing.give_period(give_waiting.id, v_row.workspace_id, v_renewal.invoice, give_waiting.caused_by);
    elsif v_state = 'given' then
      perform billing.give_upgrade(give_waiting.id, v_row.workspace_id, v_renewal.invoice, give_waiting.caused_by);
    elsif v_row.ended_at is null and v_renewal.kind = 'period' then
      perform billing.give_late(v_row.workspace_id, v_renewal.invoice, v_renewal.plan_id, v_renewal.amount,
        v_renewal.payment_id, give_waiting.caused_by);
    end if;
    -- It may have been refunded before it gave.
    perform payments.reckon(v_renewal.payment_id, give_waiting.caused_by);
  end loop;
end
$$;
