-- billing.create_pack: a version of what is bought once: credits, or tokens for one piece of work each. Equal to the newest
-- version, it is that one (`created` false). Guarantees: of two at once, one makes the version; an audit row in the same statement.
-- Refuses: constraints pack_*, price_*. Locks: the pack's code (advisory). Callers: worker, the command `npm run db:seed`
create or replace function billing.create_pack(
  inout code text,
  kind text,
  name text,
  quantity bigint,
  currencies text[],
  amounts_minor bigint[],
  caused_by text,
  out id uuid,
  out number integer,
  out created boolean,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_newest record;
  v_same boolean := false;
begin
  perform pg_advisory_xact_lock(hashtextextended('billing.pack:' || create_pack.code, 0));
  select p.id, p.number, p.created_at,
         (p.kind, p.name, p.quantity) is not distinct from (create_pack.kind, create_pack.name, create_pack.quantity) as same
    into v_newest
    from billing.pack p
   where p.code = create_pack.code
   order by p.number desc
   limit 1;
  if v_newest.same then
    v_same := not exists (
      select from (
        select r.currency, r.amount_minor::bigint as amount_minor from billing.price r where r.pack_id = v_newest.id) stands
      full join unnest(create_pack.currencies, create_pack.amounts_minor) asked(currency, amount_minor)
        on (asked.currency, asked.amount_minor) = (stands.currency, stands.amount_minor)
       where asked.currency is null or stands.currency is null);
  end if;
  create_pack.created := not v_same;
  if v_same then
    create_pack.id := v_newest.id;
    create_pack.number := v_newest.number;
    create_pack.created_at := v_newest.created_at;
    return;
  end if;

  create_pack.id := uuidv7();
  create_pack.number := coalesce(v_newest.number, 0) + 1;
  create_pack.created_at := ops.now();
  insert into billing.pack (id, code, number, kind, name, quantity, created_at)
  values (create_pack.id, create_pack.code, create_pack.number, create_pack.kind, create_pack.name, create_pack.quantity,
          create_pack.created_at);
  insert into billing.price (id, pack_id, currency, amount_minor, lookup_key)
  select uuidv7(), create_pack.id, x.currency, x.amount_minor,
         concat_ws('_', 'tollgate', create_pack.code, create_pack.number, x.currency)
    from unnest(create_pack.currencies, create_pack.amounts_minor) x(currency, amount_minor);
  perform ops.record_change(
    workspace_id => null, actor => create_pack.caused_by, action => 'pack.create', subject => 'pack:' || create_pack.code,
    detail => jsonb_build_object('number', create_pack.number, 'quantity', create_pack.quantity));
end
$$;
