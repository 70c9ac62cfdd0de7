-- ledger.set_low_mark: below how much an account of credits is told to be low (null: never). One that is below already is told when it has
-- been above, and falls again. Guarantees: an audit row in the same statement. Locks: the account. Callers: worker
create or replace function ledger.set_low_mark(
  owner_id uuid,
  unit text,
  inout below bigint,
  caused_by text,
  out available bigint
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform ledger.lock_account(set_low_mark.owner_id, set_low_mark.unit);
  update ledger.account a set low_at = set_low_mark.below
   where a.owner_id = set_low_mark.owner_id and a.unit = set_low_mark.unit
  returning a.available into strict set_low_mark.available;
  perform ops.record_change(
    workspace_id => set_low_mark.owner_id, actor => set_low_mark.caused_by, action => 'credits.low_mark',
    subject => 'workspace:' || set_low_mark.owner_id,
    detail => jsonb_build_object('unit', set_low_mark.unit, 'below', set_low_mark.below));
end
$$;
