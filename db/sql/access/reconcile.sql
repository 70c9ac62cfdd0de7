-- access.reconcile: a part of the provisioner's list is held against the rows (access.compare says what its arguments are, and what
-- differs). What is missing there is added again, under a message of its own; a stray is counted, once in each pass (`listed_at` is its
-- beginning): access.remove_strays does the rest, when the list was read to its end.
-- Guarantees: of callers at once, one adds; nothing is added that is being added, nor what was added after the list was asked for.
--   Bounded by the part and by `batch`: `reached` is how far it went, null at the list's end, and `more` that it was cut off there.
-- Locks: the keys, in the order of their ids, SKIP LOCKED (who holds one knows newer); then the strays, the outbox. Callers: worker
create or replace function access.reconcile(
  after uuid,
  until uuid,
  keys uuid[],
  shut uuid[],
  listed_at timestamptz,
  batch integer,
  out strays integer,
  out added integer,
  out reached uuid,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_differs record;
  v_ids uuid[];
  v_names text[];
  v_again record;
begin
  select c.strays, c.missing, c.reached into strict v_differs
    from access.compare(reconcile.after, reconcile.until, reconcile.keys, reconcile.shut, reconcile.listed_at, reconcile.batch) c;
  reconcile.reached := v_differs.reached;
  reconcile.more := v_differs.reached is distinct from reconcile.until;
  reconcile.strays := cardinality(v_differs.strays);

  with held as materialized (
    select k.id, k.adds from access.key k
     where k.key = any (v_differs.missing) and k.state = 'active'
     order by k.id
       for no key update skip locked
  )
  select coalesce(array_agg(h.id order by h.id), '{}'), coalesce(array_agg(access.add_name(h.id, h.adds)), '{}')
    into v_ids, v_names from held h;
  -- Asked again under the lock: another pass may have added it meanwhile.
  v_names := messages.unsettled('provisioner', v_names, reconcile.listed_at);
  with again as (
    update access.key k set adds = k.adds + 1
     where k.id = any (v_ids) and access.add_name(k.id, k.adds) <> all (v_names)
    returning k.id, k.key, k.workspace_id, k.adds
  )
  select coalesce(array_agg(a.workspace_id order by a.id), '{}') as workspace_ids,
         coalesce(array_agg(access.add_name(a.id, a.adds) order by a.id), '{}') as names,
         coalesce(array_agg(jsonb_build_object('key_id', a.id, 'key', a.key) order by a.id), '{}') as bodies
    into strict v_again
    from again a;
  reconcile.added := cardinality(v_again.names);

  insert into access.stray as s (key, first_seen_at, seen_at)
  select l.key, reconcile.listed_at, reconcile.listed_at from unnest(v_differs.strays) l(key) order by l.key
  on conflict on constraint stray_pk do update set times = s.times + 1, seen_at = excluded.seen_at
    where s.seen_at < excluded.seen_at;
  perform messages.enqueue_many('provisioner', 'add_key', v_again.workspace_ids, v_again.names, v_again.bodies);
end
$$;
