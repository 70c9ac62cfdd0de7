-- billing.renew_due: the next period of each of these subscriptions is paid from its workspace's balance, all of them in a few
-- statements: money, payment, period, message. Who lacks the money is past due, and asked again after 1 hour, 6 hours, then each day,
-- while its grace lasts; a trial that cannot be paid ends. A period that would be over already, because sweeps were late or money
-- came late, begins now (as in billing.pay_period): what billing.paid_until promised is there. Per row goes only what few have: a plan with credits, another plan,
-- a state that changes.
-- Guarantees: a period is paid once for ever: its key is made from the subscription and the period's number; a renewal that cannot be
--   completed leaves nothing (D5). The key of access stays (D19).
-- Locks: the caller holds the rows and their workspaces; then the accounts. Callers: billing.do_due
create or replace function billing.renew_due(ids uuid[])
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_due record;
  v_charge record;
  -- Of each that is due, in the same order: was it paid?
  v_paid boolean[];
  v_row record;
begin
  select array_agg(d.id) as ids, array_agg(d.workspace_id) as workspaces, array_agg(d.number) as numbers,
         array_agg(d.amount) as amounts, array_agg(d.currency) as currencies, array_agg(uuidv7()) as payments,
         array_agg(d.price_id) as prices, array_agg(d.plan_id) as plans, array_agg(d.quantity) as quantities,
         array_agg(d.anchor) as anchors, array_agg(d.anchor_number) as anchor_numbers, array_agg(d.starts_at) as starts,
         array_agg(d.ends_at) as ends,
         array_agg(x.expire_at) as expiries, array_agg(x.renew_at) as renewals,
         array_agg(billing.next_notice('active', d.starts_at, d.ends_at, v_now)) as notices,
         array_agg('tg:renewal:' || d.id || ':' || d.number) as keys,
         array_agg('renewal:' || d.id || ':' || d.number) as names,
         array_agg(d.given) as given, array_agg(d.after_trial) as after_trial, array_agg(d.follows) as follows
    into v_due
    from (select n.id, n.workspace_id, n.number, n.amount, n.currency, n.price_id, n.plan_id, n.quantity, n.grace_days, n.cancel_at,
                 n.given, n.after_trial, n.follows,
                 case when e.over then v_now else n.stood end as starts_at,
                 case when e.over then v_now else n.anchor end as anchor,
                 case when e.over then n.number else n.anchor_number end as anchor_number,
                 case when e.over then billing.period_starts_at(v_now, n.every, 1) else e.ends_at end as ends_at
            from (select s.id, s.workspace_id, s.period_number + 1 as number, s.current_period_end as stood, s.cancel_at,
                         r.amount_minor::bigint * coalesce(s.next_quantity, s.quantity) as amount, r.currency,
                         r.id as price_id, r.plan_id, coalesce(s.next_quantity, s.quantity) as quantity, p.grace_days,
                         (r.interval_count || ' ' || r.interval_unit)::interval as every,
                         -- Another interval is reckoned from its own beginning; numbers go on.
                         case when m.moves then s.current_period_end else s.anchor end as anchor,
                         case when m.moves then s.period_number + 1 else s.anchor_number end as anchor_number,
                         p.included_credits > 0 or s.renewed_from is not null or t.after as given, t.after as after_trial,
                         s.state <> 'active' or r.plan_id <> s.plan_id or s.next_quantity is not null as follows
                    from billing.subscription s
                    join billing.price o on o.id = s.price_id
                    join billing.price r on r.id = coalesce(s.next_price_id, s.price_id)
                    join billing.plan p on p.id = r.plan_id
                    join billing.plan q on q.id = s.plan_id
                   -- What was given to be tried ends with the trial, whatever comes.
                   cross join lateral (select s.state = 'trialing' and q.included_credits > 0 as after) t
                   cross join lateral (
                     select (o.interval_unit, o.interval_count) <> (r.interval_unit, r.interval_count) as moves) m
                   where s.id = any (renew_due.ids) and s.renew_at <= v_now and s.expire_at > v_now) n
           cross join lateral (
             select x.ends_at, x.ends_at <= v_now as over
               from billing.period_starts_at(n.anchor, n.every, n.number + 1 - n.anchor_number) x(ends_at)) e) d
   cross join lateral billing.schedule_of('active', true, d.cancel_at, d.starts_at, d.ends_at, d.grace_days) x;
  if v_due.ids is null then
    return;
  end if;

  -- What costs nothing needs no money, and moves none.
  select array_agg(d.position) as positions, array_agg(d.workspace_id) as workspaces, array_agg(d.currency) as currencies,
         array_agg(d.amount) as amounts, array_agg(d.key) as keys, null::boolean[] as charged
    into v_charge
    from unnest(v_due.workspaces, v_due.currencies, v_due.amounts, v_due.keys) with ordinality
      d(workspace_id, currency, amount, key, position)
   where d.amount > 0;
  if v_charge.positions is not null then
    select c.charged into strict v_charge.charged
      from ledger.charge_many(v_charge.workspaces, v_charge.currencies, v_charge.amounts, v_charge.keys, 'revenue',
        'sweep:auto_renew') c;
  end if;
  -- A full join is none row by row, which a thousand with a thousand would cost more than all the rest.
  v_paid := array(
    select coalesce(c.charged, true)
      from unnest(v_due.ids) with ordinality d(id, position)
      full join unnest(v_charge.positions, v_charge.charged) c(position, charged) on c.position = d.position
     order by d.position);

  if true = any (v_paid) then
    select array_agg(d.payment) as payments, array_agg(d.workspace_id) as workspaces, array_agg(d.id) as ids,
           array_agg(d.name) as names, array_agg(d.amount) as amounts, array_agg(d.currency) as currencies,
           array_agg('renewed:' || d.id || ':' || d.number) as keys,
           array_agg(jsonb_build_object('subscription_id', d.id, 'period', d.number, 'amount_minor', d.amount,
             'currency', d.currency, 'ends_at', d.ends_at)) as bodies
      into v_row
      from unnest(v_due.ids, v_due.workspaces, v_due.numbers, v_due.names, v_due.amounts, v_due.currencies, v_due.payments,
        v_due.ends, v_paid) d(id, workspace_id, number, name, amount, currency, payment, ends_at, paid)
     where d.paid;
    perform payments.record_renewals(v_row.payments, v_row.workspaces, v_row.ids, v_row.names, v_row.amounts, v_row.currencies,
      v_now);
    update billing.subscription s
       set state = 'active', period_number = d.number, anchor = d.anchor, anchor_number = d.anchor_number,
           price_id = d.price_id, plan_id = d.plan_id, quantity = d.quantity, next_price_id = null, next_price_at = null,
           next_quantity = null, current_period_start = d.starts_at, current_period_end = d.ends_at,
           renew_at = d.renew_at, expire_at = d.expire_at, notice_at = d.notice_at, renew_attempts = 0, past_due_since = null
      from unnest(v_due.ids, v_due.numbers, v_due.anchors, v_due.anchor_numbers, v_due.prices, v_due.plans, v_due.quantities,
        v_due.starts, v_due.ends, v_due.renewals, v_due.expiries, v_due.notices, v_paid)
        d(id, number, anchor, anchor_number, price_id, plan_id, quantity, starts_at, ends_at, renew_at, expire_at, notice_at, paid)
     where s.id = d.id and d.paid;
    perform messages.enqueue_many('notice', 'subscription_renewed', v_row.workspaces, v_row.keys, v_row.bodies);
    for v_row in
      select d.id, d.workspace_id, d.number, d.payment, d.given, d.after_trial, d.follows
        from unnest(v_due.ids, v_due.workspaces, v_due.numbers, v_due.payments, v_due.given, v_due.after_trial, v_due.follows, v_paid)
          d(id, workspace_id, number, payment, given, after_trial, follows, paid)
       where d.paid and (d.given or d.follows)
    loop
      if v_row.given then
        perform billing.give_paid_period(v_row.id, v_row.workspace_id, v_row.number, v_row.payment, 'sweep:auto_renew',
          v_row.after_trial);
      end if;
      if v_row.follows then
        perform billing.follow(v_row.workspace_id);
      end if;
    end loop;
  end if;

  for v_row in
    update billing.subscription s
       set state = case when s.state = 'trialing' then 'trialing' else 'past_due' end,
           past_due_since = case when s.state <> 'trialing' then coalesce(s.past_due_since, s.current_period_end) end,
           renew_attempts = s.renew_attempts + 1, notice_at = null,
           expire_at = x.until,
           renew_at = case when s.state <> 'trialing' and x.again < x.until then x.again end
      from unnest(v_due.ids, v_due.numbers, v_due.amounts, v_due.currencies, v_paid) d(id, number, amount, currency, paid)
      join billing.subscription b on b.id = d.id
      join billing.plan p on p.id = b.plan_id
     cross join lateral (
       select b.current_period_end + make_interval(days => case when b.state = 'trialing' then 0 else p.grace_days end) as until,
              v_now + case b.renew_attempts when 0 then interval '1 hour' when 1 then interval '6 hours'
                else interval '1 day' end as again) x
     where s.id = d.id and not d.paid
    returning s.id, s.workspace_id, s.state, old.state as was, d.number, d.amount, d.currency, s.expire_at
  loop
    perform messages.enqueue('notice', 'renewal_failed', v_row.workspace_id, 'renewal_failed:' || v_row.id || ':' || v_row.number,
      jsonb_build_object('subscription_id', v_row.id, 'period', v_row.number, 'amount_minor', v_row.amount,
        'currency', v_row.currency, 'ends_at', v_row.expire_at));
    if v_row.state <> v_row.was then
      perform billing.follow(v_row.workspace_id);
    end if;
  end loop;
end
$$;
