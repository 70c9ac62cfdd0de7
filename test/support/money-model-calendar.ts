/** The calendar of the money's model, and nothing of Postgres's: instants are milliseconds since 1970, in UTC. */

export const hour = 3_600_000;
export const day = 24 * hour;

/** How long a period is. */
export interface Every {
  unit: "day" | "month" | "year";
  count: number;
}

const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The instant so many periods after another: the same day of the month at the same time, or the month's last, where it is shorter. */
export function later(at: number, { unit, count }: Every, steps: number): number {
  if (unit === "day") return at + steps * count * day;
  const from = new Date(at);
  const months = from.getUTCFullYear() * 12 + from.getUTCMonth() + steps * count * (unit === "year" ? 12 : 1);
  const year = Math.floor(months / 12);
  const month = months % 12;
  const leaps = month === 1 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const date = Math.min(from.getUTCDate(), (lengths[month] ?? 0) + (leaps ? 1 : 0));
  return Date.UTC(year, month, date) + (at % day);
}
