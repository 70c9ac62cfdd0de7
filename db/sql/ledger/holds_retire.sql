-- ledger.holds_retire: drops holds that ended 400 days ago. What they moved stays in their transactions, for ever.
-- Callers: worker (sweep holds_retire)
create or replace function ledger.holds_retire(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  with old as materialized (
    select h.ctid from ledger.hold h
     where h.ended_at <= (select ops.now()) - interval '400 days'
     order by h.ended_at
     limit holds_retire.batch
       for update skip locked
  )
  delete from ledger.hold h using old where h.ctid = old.ctid;
  get diagnostics holds_retire.processed = row_count;
  holds_retire.failed := 0;
  holds_retire.more := holds_retire.processed = holds_retire.batch;
end
$$;
