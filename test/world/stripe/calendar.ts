/** How often something is paid; Stripe's `recurring` of a price has this. */
export interface Rhythm {
  interval: string;
  interval_count: number;
}

export const day = 86_400;

/**
 * The n-th boundary from an anchor, in seconds. Counted from the anchor each time: month after month, Jan 31 gives
 * Feb 28 and then Mar 31, and not Mar 28.
 */
export function boundary(anchor: number, { interval, interval_count: count }: Rhythm, n: number): number {
  if (interval === "day" || interval === "week") {
    return anchor + n * count * (interval === "week" ? 7 * day : day);
  }
  const months = n * count * (interval === "year" ? 12 : 1);
  const from = new Date(anchor * 1000);
  const [year, month] = [from.getUTCFullYear(), from.getUTCMonth() + months];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const midnight = Date.UTC(year, month, Math.min(from.getUTCDate(), lastDay)) / 1000;
  return midnight + (anchor - Math.floor(anchor / day) * day);
}

/** The period that an instant lies in: from its start on, before its end. */
export function periodAt(anchor: number, rhythm: Rhythm, at: number): { start: number; end: number } {
  const length = boundary(anchor, rhythm, 1) - anchor;
  let n = Math.floor((at - anchor) / length);
  while (boundary(anchor, rhythm, n) > at) {
    n -= 1;
  }
  while (boundary(anchor, rhythm, n + 1) <= at) {
    n += 1;
  }
  return { start: boundary(anchor, rhythm, n), end: boundary(anchor, rhythm, n + 1) };
}
