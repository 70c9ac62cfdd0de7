import type { Pool } from "pg";
import type { StripeMiniature } from "../stripe.ts";

/** The database's clock. */
export interface ClockReading {
  now: string;
  /** By how much it is ahead of real time. */
  offset: string;
}

/** What happened on the way from one time to another. */
export interface Journey extends ClockReading {
  /** The cron's outcome: `ok`, or its first error. That it failed does not undo that the clock was moved. */
  tick: string;
  /** Stripe's events, oldest first, and the status that the Worker answered. */
  events: { at: string; type: string; object: string; answered: number | null }[];
  /** Sweeps that failed, or in which a row did: since when, in how many runs, how many rows, and the first error. */
  sweeps: { name: string; since: string; runs: number; failed: number; error: string | null }[];
}

/** Moves the clocks of the local stack: the database's, and with it that of Stripe in miniature. */
export interface Travel {
  read(): Promise<ClockReading>;
  /** Moves them by a span that Postgres understands; null where that would be too far. */
  advance(span: string): Promise<Journey | null>;
  /** Moves them to an instant; one that has passed does nothing. */
  to(instant: Date): Promise<Journey>;
  /** Has both clocks say the same, after a start. */
  align(): Promise<void>;
  /** No step begins any more; the one under way is waited for. */
  stop(): Promise<void>;
}

/** Beyond this, instants leave what JavaScript and RFC 3339 can say. */
export const furthest = "5000 years";

const [minute, day] = [60_000, 86_400_000];

/** A journey waits so many minutes for what leaves the house: from a sweep to a notice, to a person. */
const mostMinutes = 5;

/** A journey has about that many ticks of the cron at most, besides those that Stripe's due dates ask for. */
const ticksOfAJourney = 120;

/** Who travels along. */
interface Along {
  stripe: StripeMiniature | null;
  tick: () => Promise<void>;
  /** Does something while the cron does not run: between our clock and Stripe's nobody may look at both. */
  still: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Told where the database's clock is, in milliseconds, whenever it was moved. */
  moved: (to: number) => void;
}

/**
 * Time travel for the local stack. A journey goes in steps: to the next instant at which something is due at Stripe, or on by
 * a minute, then by more, a day in the end. At each, the database's clock is moved first, then Stripe does what is due and
 * delivers it, and then the cron runs. So renewals, retries, grace and what follows come in the order in which they would.
 */
export function startTravel(owner: Pool, { stripe, tick, still, moved }: Along): Travel {
  /** The end of the journeys that were asked for: two at once would pass each other. */
  let last: Promise<unknown> = Promise.resolve();
  const stopping = new AbortController();

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  }

  async function go(target: number): Promise<string> {
    let outcome = "ok";
    const began = await nowOf(owner);
    const longest = Math.max(day, (target - began) / ticksOfAJourney);
    let [at, stride, leaving] = [began, minute, 0];
    while (at < target) {
      stopping.signal.throwIfAborted();
      const due = stripe?.nextDue(new Date(Math.min(target, at + stride)))?.getTime();
      // A second at least: what is due again at once must not hold the journey where it is.
      const next = Math.min(target, Math.max(at + 1000, due ?? at + stride));
      at = await still(async () => {
        await moveTo(owner, next);
        return await step();
      });
      // What something leads to takes sweeps some minutes; where nothing happens, nobody needs to look so often.
      stride = due === undefined ? Math.min(longest, stride * 10) : minute;
      await tick().catch((error: unknown) => {
        outcome = outcome === "ok" ? messageOf(error) : outcome;
      });
      // What a sweep had to say is on its way a minute later, and a day later may no longer be so. What nobody takes is not waited for.
      leaving = (await somethingLeaves(owner)) ? leaving + 1 : 0;
      if (leaving > 0 && leaving <= mostMinutes) stride = minute;
    }
    return outcome;
  }

  /** Stripe follows to where the database is, and its events are delivered. */
  async function step(): Promise<number> {
    const at = await nowOf(owner);
    moved(at);
    await stripe?.advance(new Date(at));
    await stripe?.settled();
    return at;
  }

  async function journey(travel: () => Promise<string>): Promise<Journey> {
    const known = new Set(stripe?.events().map(({ id }) => id));
    const { rows } = await owner.query<{ now: string }>("select ops.now()::text as now");
    const outcome = await travel();
    await still(step);
    return {
      ...(await readClock(owner)),
      tick: outcome,
      events: eventsBut(known, stripe),
      sweeps: await failuresSince(owner, rows[0]?.now ?? ""),
    };
  }

  return {
    read: () => readClock(owner),
    advance: (span) =>
      inTurn(async () => {
        const { rows } = await owner.query<{ offset: string; target: number; allowed: boolean }>(
          `select clock_offset::text as offset,
                  extract(epoch from clock_timestamp() + (clock_offset + $1::interval))::float8 * 1000 as target,
                  clock_offset + $1::interval <= $2::interval as allowed
             from ops.clock`,
          [span, furthest],
        );
        const [start] = rows;
        if (start?.allowed !== true) {
          return null;
        }
        return await journey(async () => {
          const outcome = await go(start.target);
          // In the words in which it was asked for, and not as the sum of the steps.
          await owner.query("update ops.clock set clock_offset = $1::interval + $2::interval", [start.offset, span]);
          return outcome;
        });
      }),
    to: (instant) => inTurn(() => journey(() => go(instant.getTime()))),
    align: () =>
      inTurn(async () => {
        if (stripe !== null) {
          // Behind it the database is only when it was made anew and Stripe was not.
          await moveTo(owner, stripe.now().getTime());
          stripe.deliveries = "automatic";
          await step();
          await stripe.deliverDue();
        }
        moved(await nowOf(owner));
      }),
    stop: async () => {
      stopping.abort(new Error("The stack stops."));
      await last;
    },
  };
}

/** Milliseconds. */
async function nowOf(owner: Pool): Promise<number> {
  const { rows } = await owner.query<{ now: number }>("select extract(epoch from ops.now())::float8 * 1000 as now");
  return rows[0]?.now ?? Number.NaN;
}

/** Whether a message waits for the next tick: a notice to be told on, or what a channel that is delivered has to send now. */
async function somethingLeaves(owner: Pool): Promise<boolean> {
  const { rows } = await owner.query<{ leaves: boolean }>(
    `select exists (
       select from messages.outbox o
        where o.due_at <= ops.now() + interval '1 minute'
          and (o.channel = 'notice' or o.channel in (
            select c.name from messages.channel c where c.open_until is null or c.open_until <= ops.now()))) as leaves`,
  );
  return rows[0]?.leaves ?? false;
}

/** Moves the database's clock to an instant in milliseconds, never back. */
async function moveTo(owner: Pool, instant: number): Promise<void> {
  await owner.query(
    `update ops.clock set clock_offset = clock_offset
       + greatest(to_timestamp($1::float8 / 1000) - (clock_timestamp() + clock_offset), interval '0')`,
    [instant],
  );
}

async function readClock(owner: Pool): Promise<ClockReading> {
  const { rows } = await owner.query<ClockReading>(
    `select to_char(ops.now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now,
            clock_offset::text as offset from ops.clock`,
  );
  const [clock] = rows;
  if (clock === undefined) {
    throw new Error("ops.clock has no row.");
  }
  return clock;
}

function eventsBut(known: ReadonlySet<string>, stripe: StripeMiniature | null): Journey["events"] {
  const deliveries = new Map(
    [...(stripe?.state.deliveries.values() ?? [])].map((delivery) => [delivery.event, delivery]),
  );
  return (stripe?.events() ?? []).flatMap(({ id, type, created, data: { object } }) => {
    const delivery = deliveries.get(id);
    return known.has(id) || delivery === undefined
      ? []
      : [
          {
            at: new Date(created * 1000).toISOString(),
            type,
            object: "id" in object && typeof object.id === "string" ? object.id : "",
            answered: delivery.last_status,
          },
        ];
  });
}

async function failuresSince(owner: Pool, since: string): Promise<Journey["sweeps"]> {
  const { rows } = await owner.query<Journey["sweeps"][number]>(
    `select name, to_char(min(started_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since,
            count(*)::int as runs, sum(failed)::int as failed,
            (array_agg(error order by id) filter (where error is not null))[1] as error
       from ops.sweep_run
      where started_at >= $1::timestamptz and (error is not null or failed > 0)
      group by name
      order by min(started_at), name`,
    [since],
  );
  return rows.map(({ name, since: from, runs, failed, error }) => ({
    name,
    since: from,
    runs,
    failed,
    error: error === null ? null : withoutPlaces(error),
  }));
}

/** An error without the lines that say where in the bundle it was thrown; the Worker's log has them. */
function withoutPlaces(error: string): string {
  return error
    .split("\n")
    .filter((line) => !line.startsWith("    at "))
    .join("; ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
