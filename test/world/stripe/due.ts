/** Something that time brings. */
export interface Due {
  /** When, in seconds of the account's clock. */
  at: number;
  /** Which of those of one instant comes first. */
  rank: number;
  run(): void;
}

/** The first of what comes due until an instant, in seconds; undefined when nothing does. */
export function firstDue(all: Iterable<Due>, until: number): Due | undefined {
  let first: Due | undefined;
  for (const due of all) {
    const sooner = first === undefined || due.at < first.at || (due.at === first.at && due.rank < first.rank);
    if (due.at <= until && sooner) {
      first = due;
    }
  }
  return first;
}
