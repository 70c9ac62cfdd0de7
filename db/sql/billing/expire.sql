-- billing.expire: what was not paid for, or is not to go on, ends with its period or its grace; looked at anew under its
-- lock: what was renewed meanwhile is left (D9). Guarantees and locks: as billing.sweep_due.
-- Callers: worker (sweep expire)
create or replace function billing.expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select d.processed, d.failed, d.more into strict expire.processed, expire.failed, expire.more
    from billing.sweep_due('expire', expire.batch) d;
end
$$;
