-- billing.auto_renew: periods that begin are paid from the balance: once each (D4), all or nothing (D5); who lacks the money
-- is past due and tried again on a schedule. Guarantees and locks: as billing.sweep_due.
-- Callers: worker (sweep auto_renew)
create or replace function billing.auto_renew(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict auto_renew.processed, auto_renew.failed, auto_renew.more
    from billing.sweep_due('auto_renew', auto_renew.batch) d;
end
$$;
