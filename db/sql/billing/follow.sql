-- billing.follow: what a workspace's subscription means for it: whether it is read-only, and from when; its seats; its storage; the
-- key by which it lets its customer in.
-- Who owes has the plan's grace from the first moment that it owed; a subscription paused for want of a payment method, and one
--   that is over (policy after_end), leave the workspace read-only at once. One that was never paid means nothing.
-- Guarantees: a function of the rows alone, so that it ends the same in whatever order they came to be so.
-- Locks: the caller holds the workspace's row; then the subscription, the key, then the accounts. Callers: billing's routines
create or replace function billing.follow(workspace_id uuid)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  -- Half of what an account holds: more than anybody counts, with room for what is in use.
  c_unlimited constant bigint := 4503599627370496;
  v_row record;
  v_after_end text;
  v_seats bigint;
  v_bytes bigint;
begin
  select s.id, s.version, s.state, s.collection, s.quantity, s.past_due_since, s.healthy_at, s.ended_at, s.seats_given, s.bytes_given,
         p.seats, p.storage_bytes, p.grace_days, coalesce(p.grants_access, false) as grants_access
    into v_row
    from billing.subscription s
    left join billing.plan p on p.id = s.plan_id
   where s.workspace_id = follow.workspace_id and s.superseded_by is null
     and s.lived
   order by s.ended_at is null desc, s.ended_at desc, s.id desc
   limit 1;
  if not found then
    return;
  end if;
  select p.after_end into strict v_after_end from billing.policy p;
  if v_row.state in ('past_due', 'unpaid') then
    perform people.set_read_only(follow.workspace_id,
      v_row.past_due_since + make_interval(days => coalesce(v_row.grace_days, 0)), v_row.state);
  elsif v_row.state = 'paused' then
    perform people.set_read_only(follow.workspace_id, v_row.healthy_at, 'paused');
  elsif v_row.state = 'canceled' and v_after_end = 'read_only' then
    perform people.set_read_only(follow.workspace_id, v_row.ended_at, 'canceled');
  else
    perform people.set_read_only(follow.workspace_id, null, null);
  end if;

  perform access.follow(follow.workspace_id,
    case when v_row.grants_access and v_row.state in ('trialing', 'active', 'past_due')
      -- Ours ends with its grace; a provider's may owe for long after it (billing.lapse).
      and not (v_row.state = 'past_due' and v_row.collection <> 'balance'
        and v_row.past_due_since + make_interval(days => coalesce(v_row.grace_days, 0)) <= ops.now())
      then v_row.id end);

  -- A plan without a limit takes away the one that another had set; where there never was one, there is nothing to count.
  v_seats := case
    when v_row.seats is null and not ledger.has_limit(follow.workspace_id, 'seat') then null
    when v_row.state = 'canceled' then 0
    else coalesce(v_row.seats * v_row.quantity, c_unlimited) end;
  v_bytes := case
    when v_row.storage_bytes is null and not ledger.has_limit(follow.workspace_id, 'byte') then null
    when v_row.state = 'canceled' then 0
    else coalesce(v_row.storage_bytes, c_unlimited) end;
  if v_seats is distinct from v_row.seats_given then
    perform ledger.set_limit(owner_id => follow.workspace_id, unit => 'seat', amount => v_seats,
      idempotency_key => 'tg:seats:' || v_row.id || ':' || v_row.version, caused_by => 'subscription:' || v_row.id);
  end if;
  if v_bytes is distinct from v_row.bytes_given then
    perform ledger.set_limit(owner_id => follow.workspace_id, unit => 'byte', amount => v_bytes,
      idempotency_key => 'tg:bytes:' || v_row.id || ':' || v_row.version, caused_by => 'subscription:' || v_row.id);
  end if;
  update billing.subscription s
     set seats_given = v_seats, bytes_given = v_bytes
   where s.id = v_row.id and (v_seats, v_bytes) is distinct from (s.seats_given, s.bytes_given);
end
$$;
