import { rows } from "../../support/scenario.ts";
import { Subscriber, soldPlan, travelTo } from "../../support/subscriber.ts";
import { Till } from "../../support/till.ts";
import type { Lab } from "./lab.ts";

type Wish = Parameters<typeof soldPlan>[1];

/** One who has so many cents, and has paid for a first period of a plan. */
export async function paid(lab: Lab, cents = 0, wish: Wish = {}, auto_renew = true) {
  const plan = await soldPlan(lab.db, wish);
  const of = await Subscriber.make(lab.db, cents);
  return { of, plan, id: await of.pay(plan, { auto_renew }) };
}

/** The same, whose period has just ended. */
export async function due(lab: Lab, cents = 0, wish: Wish = {}, auto_renew = true) {
  const made = await paid(lab, cents, wish, auto_renew);
  await travelTo(lab.db, (await made.of.standing()).current_period_end);
  return made;
}

/** One who tries a plan out for a week. */
export async function trying(lab: Lab, cents = 0, wish: Wish = {}, auto_renew = false) {
  const plan = await soldPlan(lab.db, { trial_days: 7, ...wish });
  const of = await Subscriber.make(lab.db, cents);
  const { id, trial_end } = await of.tryOut(plan, { auto_renew });
  return { of, plan, id, trial_end };
}

export const creditsOf = (of: Subscriber) => new Till(of.db).credits(of.workspace);

export const noticesOf = async (of: Subscriber, ...kinds: string[]) =>
  (await of.notices()).map(({ kind }) => kind).filter((kind) => kinds.includes(kind));

export const parked = (lab: Lab) =>
  rows<{ sweep: string; subject: string }>(lab.db, "select sweep, subject from ops.parked");

/** While `work` goes on, the payment of a period fails for this workspace. */
export async function poisoned(lab: Lab, { workspace }: Subscriber, work: () => Promise<void>): Promise<void> {
  await lab.db.query(`
    create function public.refuse() returns trigger language plpgsql as
      $$ begin if new.workspace_id = '${workspace}' then raise 'it is poisoned'; end if; return new; end $$;
    create trigger poison before insert on payments.payment for each row execute function public.refuse()`);
  try {
    await work();
  } finally {
    await lab.db.query("drop trigger poison on payments.payment; drop function public.refuse()");
  }
}

/** On a connection whose wait for a lock soon ends with an error. */
export async function impatient<Result>(lab: Lab, work: (on: Subscriber["db"]) => Promise<Result>): Promise<Result> {
  const connection = await lab.db.connect();
  try {
    await connection.query("set lock_timeout = '500ms'");
    return await work(connection);
  } finally {
    connection.release(true);
  }
}

/** While `work` goes on, somebody else has done this, and has not committed. */
export async function besideHeld(
  lab: Lab,
  statement: string,
  values: unknown[],
  work: () => Promise<void>,
): Promise<void> {
  const other = await lab.db.connect();
  try {
    await other.query("begin");
    await other.query(statement, values);
    await work();
  } finally {
    other.release(true);
  }
}
