import { withClient } from "../world/roles.ts";

/**
 * A shop that has been open for a year: of `size` subscriptions of ours seven tenths are renewed every 30 days, a tenth ends
 * with its period, a tenth is a trial, a tenth is over. Each is of a workspace with a balance, a key and a payment (by hand); a tenth of
 * the workspaces has a hold, and a tenth a purchase that somebody is to pay by hand.
 *
 * For each sweep a hundredth of `size` is due at this moment; after it, renewals fall due evenly in time: in each 30 days all.
 * Rows lie in the order in which they came, as they would have: those that are due together lie together, in twelve places.
 *
 * Written in whole sets and past the triggers, by a superuser: by the routines it would take hours. It is what they would
 * have made: ledger.verify holds for everybody.
 */
export async function makeCrowd(superuserUrl: string, size: number): Promise<void> {
  const { now, indexes } = await withClient(superuserUrl, async (client) => {
    await client.query(
      `select billing.create_plan('crowd', 'Crowd', 0, null, null, null, null, 30, 7, '{eur}', '{day}', '{30}', '{${price}}',
         'crowd', true)`,
    );
    const found = await client.query<{ now: string; indexes: string[]; names: string[] }>(
      `select ops.now()::text as now, array_agg(pg_get_indexdef(i.indexrelid)) as indexes,
              array_agg(i.indexrelid::regclass::text) as names
         from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('access', 'billing', 'ledger', 'payments')
          and not exists (select from pg_constraint k where k.conindid = i.indexrelid)`,
    );
    const [row] = found.rows;
    if (row === undefined) throw new Error("there are no indexes");
    // Made again when the rows are there: that is several times as quick.
    await client.query(`drop index ${row.names.join(", ")}`);
    return row;
  });
  await twoByTwo(superuserUrl, statements(size, now));
  await twoByTwo(superuserUrl, indexes);
  await withClient(superuserUrl, (client) => client.query("vacuum analyze"));
}

/** Runs statements on two connections, from the last to the first. */
async function twoByTwo(superuserUrl: string, work: string[]): Promise<void> {
  await Promise.all(
    Array.from({ length: 2 }, () =>
      withClient(superuserUrl, async (client) => {
        await client.query("set session_replication_role = replica; set synchronous_commit = off");
        await client.query("set maintenance_work_mem = '256MB'");
        for (let next = work.pop(); next !== undefined; next = work.pop()) await client.query(next);
      }),
    ),
  );
}

/** What a period costs, in cents. */
const price = 500;
/** What each workspace has put into its balance, in cents: more than any run takes. */
const cents = 1_000_000_000;

/** Ids in the order of time, as uuidv7 makes them: of the i-th workspace, and of what it has, by a digit of its own. */
const ids = (digit: number) => `('0190000${digit.toString(16)}-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid`;
const [workspace, subscription, lot, topup] = [ids(0), ids(1), ids(2), ids(3)];

/** The longest first, at the end: two connections take them from there. */
function statements(size: number, now: string): string[] {
  const t0 = `timestamptz '${now}'`;
  const all = `from generate_series(0, ${size - 1}) i`;
  const tenth = `from generate_series(0, ${size - 1}, 10) i`;
  /** Of each, by the last digit of its number: 0 to 6 are renewed, 7 ends, 8 is a trial, 9 is over. */
  const kind = "(i % 10)";
  /** How many periods ago the i-th came, and where in a period that was. */
  const age = `(12 * i::float8 / ${size})`;
  /** A hundredth of all is due: of those that are renewed a seventieth, of the others a tenth. */
  const ends = `${t0} + (${age} - floor(${age}) - case when ${kind} < 7 then 1.0 / 70 else 0.1 end) * interval '30 days'`;
  const came = `${t0} - (12 - ${age}) * interval '30 days'`;
  /** When notices were last looked for, so that a hundredth of all is to hear: 3 notices of a period, and 2 of a trial. */
  const looked = `${t0} - case when ${kind} = 8 then interval '2 days' else interval '30 days' / 210 end`;
  const state = `case ${kind} when 8 then 'trialing' when 9 then 'canceled' else 'active' end`;
  return [
    `insert into payments.purchase
       (id, workspace_id, kind, provider, state, quantity, list_minor, amount_minor, currency, trial_days, expires_at, created_at)
     select ${ids(7)}, ${workspace}, 'balance_topup', 'manual', 'pending', 1, ${price}, ${price}, 'eur', 0,
            ${t0} + case when i % 100 = 0 then interval '-1 minute' else interval '3 days' end, ${t0} - interval '1 day' ${tenth}`,
    `insert into ledger.hold (owner_id, id, unit, state, amount, lots, lot_amounts, expires_at, created_at)
     select ${workspace}, ${ids(6)}, 'credit', 'held', 1, array[${ids(5)}], '{1}',
            ${t0} + case when i % 100 = 0 then interval '-1 minute' else interval '3 days' end, ${t0} - interval '1 day' ${tenth};
     insert into ledger.lot (owner_id, unit, id, pool, drain_order, given, available, empty, created_at)
     select ${workspace}, 'credit', ${ids(5)}, 'bulk', 1, 1, 0, true, ${t0} - interval '1 day' ${tenth};
     insert into ledger.account (owner_id, unit, held, created_at)
     select ${workspace}, 'credit', 1, ${t0} - interval '1 day' ${tenth};
     insert into ledger.transaction
       (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, hold_id, caused_by, created_at)
     select ${workspace}, 'credit', ${ids(8)}, 'grant', 1, array['issued', 'available'], array[${ids(5)}, ${ids(5)}],
            array[-1, 1]::bigint[], 'grant', null::uuid, 'crowd', ${t0} - interval '1 day' ${tenth}
     union all
     select ${workspace}, 'credit', ${ids(9)}, 'hold', 1, array['available', 'held'], array[${ids(5)}, ${ids(5)}],
            array[-1, 1]::bigint[], 'hold', ${ids(6)}, 'crowd', ${t0} - interval '1 day' ${tenth}`,
    `insert into people.workspace (id, name, created_at) select ${workspace}, 'Acme', ${came} ${all}`,
    `insert into ledger.account (owner_id, unit, available, created_at)
     select ${workspace}, 'eur', ${cents}, ${came} ${all}`,
    `insert into ledger.lot (owner_id, unit, id, pool, drain_order, given, available, empty, created_at)
     select ${workspace}, 'eur', ${lot}, 'balance', 1, ${cents}, ${cents}, false, ${came} ${all}`,
    `insert into payments.payment
       (id, workspace_id, provider, reference, subscription_id, amount_minor, currency, paid_at, created_at)
     select ${ids(10)}, ${workspace}, 'manual', 'bank-' || i, ${subscription}, ${price}, 'eur', ${came}, ${came}
       ${all} where ${kind} <> 8`,
    `insert into access.key (id, key, workspace_id, subscription_id, state, activated_at, revoked_at, removed_at, created_at)
     select ${ids(11)}, ${ids(12)}, ${workspace}, ${subscription}, case when ${kind} = 9 then 'removed' else 'active' end,
            ${came}, x.over, x.over, ${came} ${all}
      cross join lateral (select case when ${kind} = 9 then ${came} + interval '30 days' end as over) x`,
    `insert into ledger.transaction
       (owner_id, unit, id, kind, amount, sides, lots, amounts, idempotency_key, caused_by, created_at)
     select ${workspace}, 'eur', ${topup}, 'grant', ${cents}, '{payments,available}', array[${lot}, ${lot}],
            '{-${cents},${cents}}', 'tg:payment:1', 'crowd', ${came} ${all}`,
    `insert into billing.subscription
       (id, workspace_id, collection, plan_id, price_id, quantity, state, lived, created_at, auto_renew,
        current_period_start, current_period_end, trial_end, ended_at, ended_reason,
        anchor, anchor_number, period_number, renew_at, expire_at, notice_at)
     select ${subscription}, ${workspace}, 'balance', r.plan_id, r.id, 1, ${state}, true, ${came}, ${kind} < 7,
            e.ends_at - interval '30 days', e.ends_at, case when ${kind} = 8 then e.ends_at end,
            case when ${kind} = 9 then e.ends_at end, case when ${kind} = 9 then 'not_renewed' end,
            case when ${kind} = 8 then e.ends_at else e.ends_at - interval '30 days' end, 1,
            case when ${kind} = 8 then 0 else 1 end,
            case when ${kind} < 7 then e.ends_at end,
            case when ${kind} < 7 then e.ends_at + interval '7 days' when ${kind} < 9 then e.ends_at end,
            case when e.ends_at > ${t0} then
              case when ${kind} < 8 and e.ends_at - interval '7 days' > l.looked then e.ends_at - interval '7 days'
                when ${kind} < 9 and e.ends_at - interval '3 days' > l.looked then e.ends_at - interval '3 days'
                when ${kind} < 9 and e.ends_at - interval '1 day' > l.looked then e.ends_at - interval '1 day' end end
       ${all}
      cross join lateral (select ${ends} - case when ${kind} = 9 then interval '30 days' else interval '0' end as ends_at) e
      cross join lateral (select case when ${kind} = 7 then ${t0} else ${looked} end as looked) l
      cross join billing.price r`,
  ];
}
