/** A key that is to be there, and what it is of. */
export interface Addition {
  /** What its customer is let in by: a UUID in lower case. */
  key: string;
  key_id: string;
  workspace_id: string | null;
  /** The message's id: the same when it is said again. */
  message_id: string;
}

/** A key that is not to be there. */
export interface Removal {
  key: string;
  message_id: string;
}

/** A part of what is there, in the order of the keys. */
export interface Listing {
  /** Those that let somebody in. */
  keys: string[];
  /** Those that are there and let nobody in: somebody disabled them. */
  shut: string[];
  /** Up to which key this part says all: after it the next one begins. Null at the end. */
  next: string | null;
  /** Where the next part begins in the provisioner's own list, in its own words; without it, `next` says enough. */
  place?: string;
}

/**
 * What lets customers in by their keys. Every call may be made twice, and says the same then. Throws `Refused` where it will never be
 * taken, `Unavailable` where it may pass. An object of it is for one run: it may know how it is logged in.
 */
export interface Provisioner {
  /** The key is there. */
  add(addition: Addition): Promise<void>;
  /** The key is not there. */
  remove(removal: Removal): Promise<void>;
  /**
   * The first keys after one (null: from the beginning): all that there are up to the last of them, `limit` at most. `place` is what the part
   * before said, in this run or in another. A part may be without a key, and `next` be where it began: then only `place` leads on.
   */
  list(after: string | null, limit: number, place?: string): Promise<Listing>;
}
