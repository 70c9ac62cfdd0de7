-- ledger.spend_many: up to 1000 spends of one account in one statement, in the order given, each on its own: an item that
-- cannot be paid is refused alone (`codes`) and later, smaller ones may still pass.
-- Guarantees: per item as ledger.spend, whose keys the items share: an item whose key has spent the same amount before,
--   by an item or by a single spend, is `replayed` and takes nothing; another amount is refused.
-- Locks: the owner's batches (advisory), account, then its lots. Refuses (the whole call): nothing but a second use of one
--   key at the same moment, within it (the edge refuses that before) or in another unit (constraint transaction_key_once).
-- Callers: worker
create or replace function ledger.spend_many(
  owner_id uuid,
  unit text,
  inout keys text[],
  inout amounts bigint[],
  reasons text[],
  caused_by text,
  out outcomes text[],
  out codes text[],
  out transaction_ids uuid[],
  out available bigint,
  out held bigint,
  out debt bigint,
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
  v_item record;
  v_left bigint;
  v_code text;
  -- The account's lots in drain order, what each has left, and which of them is drained now.
  v_lots uuid[];
  v_lots_left bigint[];
  v_place integer := 1;
  v_rest bigint;
  v_part bigint;
  -- What was drawn, one after the other: by which item, from which lot, how much.
  v_drawers bigint[] := '{}';
  v_drawn_lots uuid[] := '{}';
  v_drawn bigint[] := '{}';
begin
  -- Batches of two units may name the same keys in opposite orders, and each key waits for whoever has just used it.
  perform pg_advisory_xact_lock(hashtextextended(spend_many.owner_id || 'tg:spend_many', 0));
  v_account := ledger.lock_account(spend_many.owner_id, spend_many.unit);
  v_left := v_account.available;
  select array_agg(l.id), array_agg(l.available::bigint) into v_lots, v_lots_left
    from (
      select l.id, l.available from ledger.lot l
       where l.owner_id = spend_many.owner_id and l.unit = spend_many.unit and not l.empty
       order by l.drain_order, l.expires_at, l.id
    ) l;

  -- Read after the lock, in one go: a key is free or used for good from here on.
  for v_item in
    select i.position, i.amount, t.id as transaction_id,
           t.kind = 'spend' and t.unit = spend_many.unit and t.amount = i.amount as same,
           t.created_at > ops.now() - interval '35 days' as recent
      from unnest(spend_many.keys, spend_many.amounts) with ordinality i(key, amount, position)
      -- LIMIT, so that it is looked up key by key: a join of the two might read all that the owner ever did.
      left join lateral (
        select t.id, t.kind, t.unit, t.amount, t.created_at from ledger.transaction t
         where t.owner_id = spend_many.owner_id and t.idempotency_key = i.key
         limit 1) t on true
     order by i.position
  loop
    v_code := null;
    if v_item.transaction_id is null then
      if v_item.amount > v_left then
        v_code := 'insufficient_credits';
      else
        v_item.transaction_id := uuidv7();
        v_left := v_left - v_item.amount;
        v_rest := v_item.amount;
        while v_rest > 0 loop
          if v_lots_left[v_place] = 0 then
            v_place := v_place + 1;
          end if;
          if v_lots[v_place] is null then
            raise exception using errcode = 'TG004',
              message = format('the lots of %s in %s lack %s', spend_many.owner_id, spend_many.unit, v_rest);
          end if;
          v_part := least(v_rest, v_lots_left[v_place]);
          v_drawers := v_drawers || v_item.position;
          v_drawn_lots := v_drawn_lots || v_lots[v_place];
          v_drawn := v_drawn || v_part;
          v_lots_left[v_place] := v_lots_left[v_place] - v_part;
          v_rest := v_rest - v_part;
        end loop;
        spend_many.outcomes := spend_many.outcomes || 'spent'::text;
      end if;
    elsif not v_item.recent then
      v_code := 'idempotency_key_expired';
    elsif not v_item.same then
      v_code := 'idempotency_key_reused';
    else
      spend_many.outcomes := spend_many.outcomes || 'replayed'::text;
    end if;
    if v_code is not null then
      spend_many.outcomes := spend_many.outcomes || 'refused'::text;
    end if;
    spend_many.codes := spend_many.codes || v_code;
    spend_many.transaction_ids := spend_many.transaction_ids || case when v_code is null then v_item.transaction_id end;
  end loop;

  -- All at once, in the items' order. An item that drew nothing, since it has no amount, is refused by the trigger.
  insert into ledger.transaction
    (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, reason, caused_by, created_at)
  select spend_many.owner_id, spend_many.unit, i.id, 'spend', i.amount, d.sides, d.lots, d.amounts, i.key, i.reason,
         spend_many.caused_by, ops.now()
    from unnest(spend_many.transaction_ids, spend_many.keys, spend_many.amounts, spend_many.reasons, spend_many.outcomes)
         with ordinality i(id, key, amount, reason, outcome, position)
    left join (
      select d.drawer, array_agg(e.side order by d.position, e.sign) as sides,
             array_agg(d.lot_id order by d.position, e.sign) as lots,
             array_agg(e.sign * d.amount order by d.position, e.sign) as amounts
        from unnest(v_drawers, v_drawn_lots, v_drawn) with ordinality d(drawer, lot_id, amount, position)
       cross join (values ('available', -1), ('spent', 1)) e(side, sign)
       group by d.drawer
    ) d on d.drawer = i.position
   where i.outcome = 'spent'
   order by i.position;
  update ledger.lot l set available = l.available - d.amount, empty = (l.available = d.amount)
    from (
      select d.lot_id, sum(d.amount)::bigint as amount from unnest(v_drawn_lots, v_drawn) d(lot_id, amount) group by d.lot_id
    ) d
   where l.owner_id = spend_many.owner_id and l.unit = spend_many.unit and l.id = d.lot_id;
  update ledger.account a set available = v_left
   where a.owner_id = spend_many.owner_id and a.unit = spend_many.unit;
  perform ledger.note_fall(spend_many.owner_id, spend_many.unit, v_account.available);

  select b.* into spend_many.available, spend_many.held, spend_many.debt, spend_many.pools, spend_many.pool_available,
      spend_many.pool_expires_at
    from ledger.balance_of(spend_many.owner_id, spend_many.unit) b;
end
$$;
