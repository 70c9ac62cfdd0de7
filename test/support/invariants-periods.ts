/** The sweeps that may keep a subscription apart, as a list of SQL's. */
export const parking = "('auto_renew', 'expire', 'trial_expire', 'trial_notice', 'reminders')";

/** What must hold of subscriptions that are paid from the balance. As in `invariants.ts`: nothing is right. */
export const periods: Record<string, string> = {
  "a subscription that is kept apart is named, and no other": `
    select coalesce(p.sweep || ':' || p.subject, s.id::text) as subject
      from (select * from ops.parked where sweep in ${parking}) p
      full join (select id from billing.subscription where parked_until is not null) s on s.id::text = p.subject
     where p.subject is null or s.id is null`,

  "a subscription is renewed, ends and is told of when what it is says": `
    select s.id::text as subject
      from billing.subscription s
      join billing.plan p on p.id = s.plan_id
     cross join lateral billing.schedule_of(s.state, s.auto_renew, s.cancel_at, s.current_period_start, s.current_period_end,
             p.grace_days) d
     where s.collection = 'balance' and s.ended_at is null and (
       case s.state
         -- Tried again on a schedule of its own, while its grace lasts.
         when 'past_due' then s.expire_at <> d.expire_at or s.renew_at >= s.expire_at
           or s.past_due_since <> s.current_period_end or s.notice_at is not null
         when 'trialing' then (s.renew_at, s.expire_at) is distinct from (d.renew_at, d.expire_at)
           -- It could not be paid for when it was over.
           and (s.renew_attempts = 0 or s.renew_at is not null or s.expire_at <> s.current_period_end)
         else (s.renew_at, s.expire_at) is distinct from (d.renew_at, d.expire_at) or s.past_due_since is not null
       end
       or s.state not in ('trialing', 'active', 'past_due')
       or s.renew_at is not null and (not s.auto_renew or s.cancel_at is not null)
       or s.notice_at not in (select s.current_period_end - make_interval(days => x) from unnest('{1,3,7}'::integer[]) x)
       or s.notice_at <= s.current_period_start
       or s.cancel_at <> s.current_period_end
       or (s.next_price_id is null) <> (s.next_price_at is null) or s.next_price_at <> s.current_period_end)`,

  "a period ends as many intervals after its anchor as its number says, and after it began": `
    select s.id::text as subject
      from billing.subscription s join billing.price r on r.id = s.price_id
     where s.collection = 'balance' and (
       s.current_period_start >= s.current_period_end
       or case when s.period_number = 0 then s.trial_end is distinct from s.current_period_end
          else s.current_period_end <> ((s.anchor at time zone 'UTC') + (s.period_number + 1 - s.anchor_number)
            * (r.interval_count || ' ' || r.interval_unit)::interval) at time zone 'UTC' end
       or s.anchor_number > greatest(s.period_number, 1)
       or s.ended_at is null and (s.state = 'trialing') <> (s.period_number = 0))`,

  "a subscription of ours that is over says why, and no other": `
    select id::text as subject from billing.subscription
     where (collection = 'balance' and ended_at is not null) <> (ended_reason is not null)
        or ended_reason not in ('not_renewed', 'unpaid', 'trial_ended', 'canceled')
        or ended_reason = 'trial_ended' and period_number > 0
        or ended_reason in ('not_renewed', 'unpaid') and period_number = 0
        or ended_at is not null and parked_until is not null`,

  "a period that was renewed was charged, and paid, once, and the subscription has it": `
    select coalesce(p.reference, t.idempotency_key) as subject
      from (select p.*, split_part(p.reference, ':', 2) as subscription, split_part(p.reference, ':', 3)::integer as number
              from payments.payment p where p.provider = 'balance' and p.reference like 'renewal:%') p
      full join (select * from ledger.transaction where idempotency_key like 'tg:renewal:%') t
        on t.owner_id = p.workspace_id and t.idempotency_key = 'tg:' || p.reference
      left join billing.subscription s on s.id::text = p.subscription and s.workspace_id = p.workspace_id
     where p.id is null or t.id is null and p.amount_minor > 0
        or (t.kind, t.unit, t.amount) is distinct from ('charge', p.currency, p.amount_minor) and p.amount_minor > 0
        or s.id is null or p.subscription_id <> s.id or p.number not between 1 and s.period_number`,

  "what a period gave is of a period that the subscription has, and was paid for": `
    select r.invoice as subject
      from billing.renewal r
      join billing.subscription s on s.id = r.subscription_id and s.collection = 'balance'
      left join payments.payment p on p.id = r.payment_id and p.workspace_id = s.workspace_id
     where p.id is null or split_part(r.invoice, ':', 3)::integer not between 1 and s.period_number`,

  "a trial of ours is written down, for ever": `
    select s.id::text as subject from billing.subscription s
      left join billing.trial t on t.holder = 'workspace:' || s.workspace_id and t.subscription_id = s.id
     where s.collection = 'balance' and s.trial_end is not null and t.holder is null`,
};
