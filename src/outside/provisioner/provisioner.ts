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
  /** The last key of this part, after which the next one begins; null at the end. */
  next: string | null;
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
  /** The first keys after one (null: from the beginning): all that there are up to the last of them, `limit` at most. */
  list(after: string | null, limit: number): Promise<Listing>;
}
