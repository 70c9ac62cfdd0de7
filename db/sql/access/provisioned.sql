-- access.provisioned: the provisioner has taken messages: number i, which was claimed under `tokens[i]`. They are settled, and their keys
-- move, in one statement: a key that was pending is there (`active`), one that was removing is gone (`removed`). What was there and
-- was added again, and a stray, have no move. `settled`: whose claim held, `lost`: how many did not; `moved`: how many keys moved.
-- Guarantees: only a claim's holder moves a key: of one that was revoked while it was added, the claim is gone (access.follow).
--   Nobody decided this, so the audit has no row: the key and its message tell when.
-- Locks: the keys, in the order of their ids; then messages.settle_many's. Callers: worker
create or replace function access.provisioned(ids uuid[], tokens uuid[], out settled uuid[], out lost integer, out moved integer)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_held record;
begin
  select h.ids, h.kinds, h.bodies into strict v_held from messages.held(provisioned.ids, provisioned.tokens) h;
  perform from access.key k
    where k.id = any (array(select (b.body ->> 'key_id')::uuid from unnest(v_held.bodies) b(body)))
    order by k.id
      for no key update;
  select s.settled, s.lost into strict provisioned.settled, provisioned.lost
    from messages.settle_many(provisioned.ids, provisioned.tokens) s;
  update access.key k
     set state = case m.kind when 'add_key' then 'active' else 'removed' end,
         activated_at = case m.kind when 'add_key' then ops.now() else k.activated_at end,
         removed_at = case m.kind when 'remove_key' then ops.now() end
    from unnest(v_held.ids, v_held.kinds, v_held.bodies) m(id, kind, body)
   where m.id = any (provisioned.settled) and k.id = (m.body ->> 'key_id')::uuid
     and k.state = case m.kind when 'add_key' then 'pending' when 'remove_key' then 'removing' end;
  get diagnostics provisioned.moved = row_count;
end
$$;
