-- access.approve_strays: a person says that the strays which wait may be removed, however many they are: the next pass does it, within a day.
-- It holds for those that wait now and for no other: one that comes to wait later is not among them, and then none is removed.
-- Guarantees: saying it again changes nothing, nor does saying it while none waits; an audit row in the same statement, where it changed
--   something. Refuses: strays_more (with their number): there are more than he has seen.
-- Locks: access.stray_day, as the end of a pass does; then the strays, in the order of their keys. Callers: worker
create or replace function access.approve_strays(
  most integer,
  caused_by text,
  out strays integer,
  out approved_until timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz;
  v_keys uuid[];
  v_count integer;
begin
  perform from access.stray_day d for no key update;
  v_now := ops.now();
  -- As of what the last pass has seen.
  v_keys := access.waiting_strays((select coalesce(max(s.seen_at), v_now) from access.stray s));
  approve_strays.strays := cardinality(v_keys);
  if approve_strays.strays > approve_strays.most then
    perform ops.refuse('strays_more', jsonb_build_object('strays', approve_strays.strays));
  end if;
  with held as materialized (
    select s.key from access.stray s
     where s.key = any (v_keys) and s.times >= 2 and (s.approved_at is null or s.approved_at <= v_now - interval '1 day')
     order by s.key
       for no key update
  )
  update access.stray s set approved_at = v_now from held h where s.key = h.key;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform ops.record_change(
      workspace_id => null, actor => approve_strays.caused_by, action => 'strays.approve', subject => 'provisioner',
      detail => jsonb_build_object('strays', approve_strays.strays, 'most', approve_strays.most));
  end if;
  select min(s.approved_at) + interval '1 day' into approve_strays.approved_until
    from access.stray s where s.key = any (v_keys) and s.times >= 2;
end
$$;
