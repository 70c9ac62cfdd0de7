-- access.remove_strays: the provisioner's list was read to its end, in the pass that began at `listed_at`. Strays that it did not show any
-- more are forgotten; those that were seen in two passes are to be removed there. One that stays all the same is told of again after
-- two more passes, never while its removal is under way.
-- Guarantees: a removal is sent only while no row stands for the key (access.still_wanted). More than a thousand at once are removed by
--   nobody: an alarm `strays_many` says so, for then this is hardly the list of our keys. `more`: there are others to forget.
-- Locks: the strays, in the order of their keys, SKIP LOCKED; then the outbox. Callers: worker
create or replace function access.remove_strays(
  listed_at timestamptz,
  out forgotten integer,
  out removing integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  c_most constant integer := 1000;
  v_count integer;
  v_keys uuid[];
  v_names text[];
  v_again record;
begin
  with gone as materialized (
    select s.key from access.stray s where s.seen_at < remove_strays.listed_at
     order by s.key
     limit c_most
       for update skip locked
  )
  delete from access.stray s using gone where s.key = gone.key;
  get diagnostics remove_strays.forgotten = row_count;
  remove_strays.more := remove_strays.forgotten = c_most;
  remove_strays.removing := 0;
  if remove_strays.more then
    return;
  end if;

  select count(*) into strict v_count from access.stray s where s.times >= 2;
  if v_count > c_most then
    perform ops.raise_alarm('strays_many', 'provisioner', jsonb_build_object('strays', v_count));
    return;
  end if;
  perform ops.close_alarm('strays_many', 'provisioner');

  with held as materialized (
    select s.key, access.removal_name(s.key, s.first_seen_at, s.removals) as name from access.stray s
     where s.times >= 2 and s.seen_at = remove_strays.listed_at
     order by s.key
       for no key update skip locked
  )
  select coalesce(array_agg(h.key), '{}'), coalesce(array_agg(h.name), '{}') into v_keys, v_names from held h;
  v_names := messages.unsettled('provisioner', v_names, remove_strays.listed_at);
  with told as (
    update access.stray s set removals = s.removals + 1, times = 0
     where s.key = any (v_keys) and access.removal_name(s.key, s.first_seen_at, s.removals) <> all (v_names)
    returning s.key, s.first_seen_at, s.removals
  )
  select coalesce(array_agg(null::uuid), '{}') as workspace_ids,
         coalesce(array_agg(access.removal_name(t.key, t.first_seen_at, t.removals) order by t.key), '{}') as names,
         coalesce(array_agg(jsonb_build_object('key', t.key) order by t.key), '{}') as bodies
    into strict v_again
    from told t;
  remove_strays.removing := cardinality(v_again.names);
  perform messages.enqueue_many('provisioner', 'remove_stray', v_again.workspace_ids, v_again.names, v_again.bodies);
end
$$;
