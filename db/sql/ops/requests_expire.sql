-- ops.requests_expire: drops stored answers after 35 days (a late duplicate then gets 409 idempotency_key_expired from
-- the transaction, which keeps the key for ever).
-- Callers: worker (sweep requests_expire)
create or replace function ops.requests_expire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select r.ctid from ops.request r
     where r.created_at <= (select ops.now()) - interval '35 days'
     order by r.created_at
     limit requests_expire.batch
       for update skip locked
  )
  delete from ops.request r using old where r.ctid = old.ctid;
  get diagnostics requests_expire.processed = row_count;
  requests_expire.failed := 0;
  requests_expire.more := requests_expire.processed = requests_expire.batch;
end
$$;
