import { expect } from "vitest";
import { race, tally } from "../support/barrier.ts";
import { advance, rows } from "../support/scenario.ts";
import type { Db } from "../support/scenario.ts";
import { Subscriber, soldPlan, sweepAll, timeOf, travelTo } from "../support/subscriber.ts";
import { test } from "../support/sql.ts";

// Time only goes on, so each test begins where the one before it ended.

/** The ends of the periods that a subscription has after so many renewals. */
async function endsOf(db: Db, of: Subscriber, renewals: number): Promise<string[]> {
  const ends = [(await of.standing()).current_period_end];
  for (let i = 0; i < renewals; i += 1) {
    await travelTo(db, ends.at(-1) ?? "");
    await sweepAll(db, "auto_renew");
    ends.push((await of.standing()).current_period_end);
  }
  return ends.map((end) => new Date(end).toISOString().slice(0, 10));
}

/** The next time, from now, that is this day of this month (of a leap year, where asked), at noon. */
async function travelToDay(db: Db, month: number, day: number): Promise<string> {
  const now = new Date(await timeOf(db));
  for (let year = now.getUTCFullYear(); ; year += 1) {
    const at = new Date(Date.UTC(year, month - 1, day, 12));
    if (at > now && at.getUTCDate() === day && (month !== 2 || day !== 29 || year % 4 === 0)) {
      await travelTo(db, at.toISOString());
      return at.toISOString().slice(0, 4);
    }
  }
}

test.for([
  {
    day: 29,
    ends: ["02-28", "03-29", "04-29", "05-29", "06-29", "07-29", "08-29", "09-29", "10-29", "11-29", "12-29", "01-29"],
  },
  {
    day: 30,
    ends: ["02-28", "03-30", "04-30", "05-30", "06-30", "07-30", "08-30", "09-30", "10-30", "11-30", "12-30", "01-30"],
  },
  {
    day: 31,
    ends: ["02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31", "01-31"],
  },
])("D4 months from January $day end as the table says, and never drift", async ({ day, ends }, { db }) => {
  const plan = await soldPlan(db);
  const of = await Subscriber.make(db, 500 * 13);
  let year = Number(await travelToDay(db, 1, day));
  await of.pay(plan);
  const found = await endsOf(db, of, 12);
  const months = [...ends, "02-28"];
  const leap = (y: number) => (y % 4 === 0 ? "02-29" : "02-28");
  expect(found).toEqual(
    months.map((end) => {
      if (end.startsWith("01")) year += 1;
      return `${year}-${end.startsWith("02") ? leap(year) : end}`;
    }),
  );
  expect(await of.cents()).toBe(500);
  expect((await of.standing()).period_number).toBe(13);
});

test("D4 months and years from February 29 end as the table says", async ({ db }) => {
  const [monthly, yearly] = [await soldPlan(db), await soldPlan(db, { every: [1, "year"] })];
  const [months, years] = [await Subscriber.make(db, 6000), await Subscriber.make(db, 6000)];
  const year = Number(await travelToDay(db, 2, 29));
  await months.pay(monthly);
  await years.pay(yearly);
  expect(await endsOf(db, months, 12)).toEqual([
    ...["03", "04", "05", "06", "07", "08", "09", "10", "11", "12"].map((month) => `${year}-${month}-29`),
    `${year + 1}-01-29`,
    `${year + 1}-02-28`,
    `${year + 1}-03-29`,
  ]);
  await travelTo(db, (await years.standing()).current_period_end);
  await sweepAll(db, "auto_renew");
  const first = (await years.standing()).period_number;
  expect(first).toBe(2);
  expect(
    [
      new Date((await years.standing()).current_period_end).toISOString().slice(0, 10),
      ...(await endsOf(db, years, 4)),
    ].slice(1),
  ).toEqual([`${year + 2}-02-28`, `${year + 3}-02-28`, `${year + 4}-02-29`, `${year + 5}-02-28`, `${year + 6}-02-28`]);
});

test("D4 eight sweeps at once charge each subscription once a period", async ({ db }) => {
  const plan = await soldPlan(db);
  const all = await race(60, async () => {
    const of = await Subscriber.make(db, 1200);
    await of.pay(plan);
    return of;
  });
  for (let round = 1; round <= 2; round += 1) {
    await advance(db, "32 days");
    const ran = await race(8, () => sweepAll(db, "auto_renew", 7));
    const missed = await sweepAll(db, "auto_renew", 7);
    expect(ran.reduce((sum, { processed }) => sum + processed, missed.processed)).toBeGreaterThanOrEqual(60);
    expect(
      tally(await Promise.all(all.map(async (of) => `${await of.cents()} ${(await of.standing()).period_number}`))),
    ).toEqual({
      [`${1200 - 500 * round} ${round + 1}`]: 60,
    });
  }
  await advance(db, "28 days");
  await race(4, () => sweepAll(db, "auto_renew", 7));
  await sweepAll(db, "auto_renew", 7);
  expect(tally(await Promise.all(all.map(async (of) => `${await of.cents()} ${(await of.standing()).state}`)))).toEqual(
    {
      "200 past_due": 60,
    },
  );
});

test("D5 a renewal that cannot be completed leaves the balance as it was, is parked alone, and goes on when it can", async ({
  db,
}) => {
  const plan = await soldPlan(db);
  const all = await race(9, async () => {
    const of = await Subscriber.make(db, 600);
    await of.pay(plan);
    return of;
  });
  const [poor] = all;
  if (poor === undefined) throw new Error("nobody");
  await travelTo(db, (await poor.standing()).current_period_end);
  await advance(db, "1 minute");
  // Whatever comes after the money fails for this one.
  await db.query(`
    create function public.refuse() returns trigger language plpgsql as
      $$ begin if new.workspace_id = '${poor.workspace}' then raise 'it is poisoned'; end if; return new; end $$;
    create trigger poison before insert on payments.payment for each row execute function public.refuse()`);
  try {
    expect(await sweepAll(db, "auto_renew")).toEqual({ processed: 8, failed: 1 });
    expect([await poor.cents(), (await poor.standing()).period_number]).toEqual([600, 1]);
    expect(tally(await Promise.all(all.map((of) => of.cents())))).toEqual({ 100: 8, 600: 1 });
    expect(await rows(db, "select sweep, subject, error from ops.parked")).toEqual([
      { sweep: "auto_renew", subject: (await poor.standing()).id, error: "it is poisoned" },
    ]);
    expect(await sweepAll(db, "auto_renew")).toEqual({ processed: 0, failed: 0 });
  } finally {
    await db.query("drop trigger poison on payments.payment; drop function public.refuse()");
  }
  await advance(db, "2 minutes");
  expect(await sweepAll(db, "auto_renew")).toEqual({ processed: 1, failed: 0 });
  expect([await poor.cents(), (await poor.standing()).period_number]).toEqual([100, 2]);
  expect(await rows(db, "select from ops.parked")).toEqual([]);
  expect(await rows(db, "select from ops.alarm where code = 'row_parked' and closed_at is null")).toEqual([]);
});

test("D4 what could not be paid is tried again on a schedule, and at once when the balance grows; then it ends", async ({
  db,
}) => {
  const plan = await soldPlan(db, { grace_days: 3 });
  const [dry, late] = [await Subscriber.make(db, 100), await Subscriber.make(db, 100)];
  await dry.pay(plan);
  await late.pay(plan);
  const end = (await dry.standing()).current_period_end;
  await travelTo(db, (await late.standing()).current_period_end);
  const tries: number[] = [];
  const started = Date.parse(await timeOf(db));
  for (let hour = 0; hour < 24 * 4; hour += 1) {
    const before = (await dry.standing()).renew_attempts;
    await sweepAll(db, "auto_renew");
    if ((await dry.standing()).renew_attempts > before)
      tries.push(Math.round((Date.parse(await timeOf(db)) - started) / 3_600_000));
    await sweepAll(db, "expire");
    if (hour === 30) {
      expect(await late.access()).toMatchObject({ states: ["pending"], until: expect.any(String) });
      await late.topup(1000);
      await sweepAll(db, "auto_renew");
      expect(await late.standing()).toMatchObject({ state: "active", period_number: 2, renew_attempts: 0 });
    }
    await advance(db, "1 hour");
  }
  expect(tries).toEqual([0, 1, 7, 31, 55]);
  expect(await late.cents()).toBe(600);
  expect(await dry.standing()).toMatchObject({ state: "canceled", ended_reason: "unpaid", current_period_end: end });
  expect(await dry.access()).toMatchObject({ states: ["removing"], until: null });
  expect(await dry.cents()).toBe(100);
  expect((await dry.notices()).map(({ kind }) => kind).filter((kind) => kind !== "purchase_paid")).toEqual([
    "renewal_failed",
    "subscription_ended",
  ]);
});
