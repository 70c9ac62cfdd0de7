-- access.remove_strays: the provisioner's list was read to its end, in the pass that began at `listed_at`. Strays that it did not show any
-- more are forgotten; those that were seen in two passes are to be removed there. One that stays all the same is told of again after
-- two more passes, never while its removal is under way.
-- Guarantees: a removal is sent only while no row stands for the key (access.still_wanted). Where those that wait, and those that went by
--   themselves within the last day, are more than access.most_strays, none is removed, under an alarm `strays_many`, unless a person has
--   approved each that waits within a day (access.approve_strays): for then this is hardly the list of our keys. An approval is used up by
--   the removal, and what it removes does not count against the day. `more`: there are others to forget, or to remove.
-- Locks: access.stray_day; the strays, SKIP LOCKED, in the order of their keys; then the outbox. Callers: worker
create or replace function access.remove_strays(
  listed_at timestamptz,
  out forgotten integer,
  out removing integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  c_batch constant integer := 1000;
  v_most integer := access.most_strays();
  v_now timestamptz;
  v_today timestamptz[];
  v_keys uuid[];
  v_again record;
begin
  -- Of passes that end at once, each waits here for the one before, and counts what that one has removed; and a person's word comes before
  -- or after, so that no stray is passed over whose row he holds.
  select d.removed_at into strict v_today from access.stray_day d for no key update;
  with gone as materialized (
    select s.key from access.stray s where s.seen_at < remove_strays.listed_at
     order by s.key
     limit c_batch
       for update skip locked
  )
  delete from access.stray s using gone where s.key = gone.key;
  get diagnostics remove_strays.forgotten = row_count;
  remove_strays.more := remove_strays.forgotten = c_batch;
  remove_strays.removing := 0;
  if remove_strays.more then
    return;
  end if;

  v_now := ops.now();
  v_today := array(select r.at from unnest(v_today) r(at) where r.at > v_now - interval '1 day');
  v_keys := access.waiting_strays(remove_strays.listed_at);
  if cardinality(v_today) + cardinality(v_keys) > v_most and exists (
    select from access.stray s
     where s.key = any (v_keys) and (s.approved_at is null or s.approved_at <= v_now - interval '1 day')) then
    perform ops.raise_alarm('strays_many', 'provisioner', jsonb_build_object(
      'strays', cardinality(v_keys), 'removed_today', cardinality(v_today), 'most', v_most));
    return;
  end if;
  perform ops.close_alarm('strays_many', 'provisioner');

  -- One that was told of meanwhile was seen no more since.
  with held as materialized (
    select s.key, s.approved_at is null or s.approved_at <= v_now - interval '1 day' as unsaid from access.stray s
     where s.key = any (v_keys) and s.times > 0 and s.seen_at = remove_strays.listed_at
     order by s.key
     limit c_batch
       for no key update skip locked
  ), told as (
    update access.stray s set removals = s.removals + 1, times = 0, approved_at = null
      from held h where s.key = h.key
    returning s.key, s.first_seen_at, s.removals, h.unsaid
  )
  select coalesce(array_agg(null::uuid), '{}') as workspace_ids,
         coalesce(array_agg(access.removal_name(t.key, t.first_seen_at, t.removals) order by t.key), '{}') as names,
         coalesce(array_agg(jsonb_build_object('key', t.key) order by t.key), '{}') as bodies,
         count(*) filter (where t.unsaid)::integer as unsaid
    into strict v_again
    from told t;
  remove_strays.removing := cardinality(v_again.names);
  remove_strays.more := remove_strays.removing = c_batch;
  if v_again.unsaid > 0 then
    update access.stray_day d set removed_at = v_today || array_fill(v_now, array[v_again.unsaid]);
  end if;
  perform messages.enqueue_many('provisioner', 'remove_stray', v_again.workspace_ids, v_again.names, v_again.bodies);
end
$$;
