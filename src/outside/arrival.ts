/** An event of a provider's, as the inbox takes it. */
export interface Arrival {
  id: string;
  type: string;
  /** The id of the object that it is about, where that has one. */
  subject: string | null;
  occurred_at: string;
  /** What an effect needs of it. */
  fact: object | null;
  /** Why it is not ours. */
  foreign_because: string | null;
  /** Why its object must be fetched. */
  fetch_because: string | null;
  /** What is wrong with it. */
  fault: string | null;
}
