import * as z from "zod";
import type { MarzbanPanel } from "../../env.ts";
import { type Answer, askPeer, demandOk, Unavailable } from "../peer.ts";
import { keyOf, nameOf } from "./panel-name.ts";
import type { Addition, Listing, Provisioner, Removal } from "./provisioner.ts";

// Marzban's REST API, as of 0.8.4 (its app/routers/user.py and app/routers/admin.py).

/** Whom this note stands at is ours, if the name is, too. A person may take it away: then the key is missing, and adding it puts it back. */
const note = "tollgate";

/** A user brings all links of his along, some kilobytes. */
const pageOfUsers = 200;
const pageBytes = 4_194_304;
/** Of other people's users, a part reads so many pages, and the next one goes on there: a sweep looks at its budget between them. */
const pagesOfPart = 5;
/** Of one part, its search and the way back among it: both halve or double what they step over. */
const mostPages = 100;
/** Before every key: none of ours was seen yet. */
const beforeAll = "00000000-0000-0000-0000-000000000000";
/** An addition asks five times at most: its message's lease outlives them. */
const timeout_ms = 10_000;

const login = z.object({ access_token: z.string().min(1) });
const user = z.object({
  username: z.string(),
  status: z.string(),
  note: z.string().nullish(),
  expire: z.number().nullish(),
  data_limit: z.number().nullish(),
});
const users = z.object({ users: z.array(user), total: z.int().min(0) });

type User = z.infer<typeof user>;

/** Where a part ended: how many rows there were before its last one, and the name on it. */
interface Place {
  offset: number;
  last: string | null;
}

function placeOf(text: string | undefined): Place | null {
  const [, offset, last] = /^(\d{1,15}) (\S+)$/.exec(text ?? "") ?? [];
  return offset === undefined || last === undefined ? null : { offset: Number(offset), last };
}

/** A VPN panel's users as keys. One object is for one run: it logs in once, and again when its token is no longer taken. */
export class Marzban implements Provisioner {
  readonly #panel: MarzbanPanel;
  #token: Promise<string> | null = null;

  constructor(panel: MarzbanPanel) {
    this.#panel = panel;
  }

  /** The same key gives the same credentials, however often it is added. */
  async add({ key }: Addition): Promise<void> {
    const wanted = { ...this.#credentials(key), status: "active", expire: 0, data_limit: 0, note };
    const made = await this.#ask("POST", "/api/user", { username: nameOf(key), ...wanted });
    if (made.status !== 409) return demandOk(made);
    const path = `/api/user/${nameOf(key)}`;
    const there = await this.#ask("GET", path);
    // Somebody removes it at this moment.
    if (there.status === 404) throw new Unavailable("the panel has it, and has it not");
    demandOk(there);
    if (!isOpen(read(user, there))) demandOk(await this.#ask("PUT", path, wanted));
  }

  async remove({ key }: Removal): Promise<void> {
    const answer = await this.#ask("DELETE", `/api/user/${nameOf(key)}`);
    if (answer.status !== 404) demandOk(answer);
  }

  /**
   * The panel pages by offset: what is removed meanwhile moves the rest forward, and a page would be left out. So a page counts only
   * if it begins within what was seen already, by names that are sorted; if not, it is looked for further back.
   */
  async list(after: string | null, limit: number, place?: string): Promise<Listing> {
    const size = Math.max(2, Math.min(limit, pageOfUsers));
    let { offset, last } = placeOf(place) ?? {
      offset: after === null ? 0 : await this.#search(nameOf(after), size),
      last: null,
    };
    let pages = 0;
    for (let [asked, back] = [0, size]; asked < mostPages; asked += 1) {
      const page = await this.#page(offset, size);
      const known = page.users.some(
        (one) => one.username === last || (after !== null && (keyOfUser(one) ?? "z") <= after),
      );
      if (offset > 0 && !known) {
        offset = Math.max(0, offset - back);
        back *= 2;
        continue;
      }
      back = size;
      const { keys, shut } = ours(page.users, after);
      last = page.users.at(-1)?.username ?? "";
      if (offset + page.users.length >= page.total || pastAll(page.users)) {
        return { keys, shut, next: null };
      }
      offset += page.users.length - 1;
      pages += 1;
      const next = [...keys, ...shut].toSorted().at(-1);
      if (next === undefined && pages < pagesOfPart) continue;
      return { keys, shut, next: next ?? after ?? beforeAll, place: `${offset} ${last}` };
    }
    throw new Unavailable("the panel's list moves faster than it can be read");
  }

  /** About how many users come before a name, never more but by who was removed meanwhile. */
  async #search(name: string, near: number): Promise<number> {
    let [low, high] = [0, (await this.#page(0, 1)).total];
    while (high - low > near / 2) {
      const middle = Math.floor((low + high) / 2);
      const [there] = (await this.#page(middle, 1)).users;
      if (there !== undefined && there.username.toLowerCase() <= name) low = middle;
      else high = middle;
    }
    return low;
  }

  async #page(offset: number, limit: number): Promise<z.infer<typeof users>> {
    const answer = await this.#ask("GET", `/api/users?offset=${offset}&limit=${limit}&sort=username`);
    demandOk(answer);
    const page = read(users, answer);
    // One row of several would lead nowhere: a page begins with the last row of the one before.
    if (page.users.length > limit || page.users.length < Math.min(limit, 2, page.total - offset)) {
      throw new Unavailable("the panel does not page as it was asked to");
    }
    return page;
  }

  #credentials(key: string) {
    const proxies: Record<string, object> = {};
    const inbounds: Record<string, string[]> = {};
    for (const [protocol, { flow, method, inbounds: tags }] of Object.entries(this.#panel.proxies)) {
      const secret = protocol === "vless" || protocol === "vmess" ? { id: key } : { password: nameOf(key) };
      proxies[protocol] = { ...secret, ...(flow && { flow }), ...(method && { method }) };
      // Without a word of it, the panel takes all that the protocol has.
      if (tags !== undefined) inbounds[protocol] = tags;
    }
    return { proxies, inbounds };
  }

  async #ask(method: string, path: string, body?: object): Promise<Answer> {
    const once = async () => {
      const token = await (this.#token ??= this.#login());
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
      const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
      return askPeer(`${this.#panel.url}${path}`, init, { limit_bytes: pageBytes, timeout_ms });
    };
    const used = this.#token;
    const answer = await once();
    if (answer.status !== 401 || used === null) return answer;
    // A token lasts for a day, or until the panel is told otherwise; whoever comes first logs in for all.
    if (this.#token === used) this.#token = null;
    return once();
  }

  async #login(): Promise<string> {
    const { user: username, password } = this.#panel;
    try {
      const body = new URLSearchParams({ grant_type: "password", username, password });
      const answer = await askPeer(`${this.#panel.url}/api/admin/token`, { method: "POST", body }, { timeout_ms });
      demandOk(answer);
      return read(login, answer).access_token;
    } catch (error) {
      this.#token = null;
      throw error;
    }
  }
}

/** Those of a sorted page that are ours and come after a key. Out of order, the panel has not sorted, and the page says nothing. */
function ours(page: readonly User[], after: string | null): { keys: string[]; shut: string[] } {
  const found = page.flatMap((one) => {
    const key = keyOfUser(one);
    return key === null ? [] : [{ key, open: isOpen(one) }];
  });
  if (found.some(({ key }, i) => i > 0 && key <= (found[i - 1]?.key ?? ""))) {
    throw new Unavailable("the panel does not sort its users");
  }
  const fresh = found.filter(({ key }) => after === null || key > after);
  return {
    keys: fresh.filter(({ open }) => open).map(({ key }) => key),
    shut: fresh.filter(({ open }) => !open).map(({ key }) => key),
  };
}

/**
 * Our names are hexadecimal, in small letters: on a sorted page that ends with a later letter, none comes after it. Where that is a capital,
 * it must come after a small one: MySQL has capitals before all small letters (`utf8mb4_bin`, as the panel has its names there), and
 * SQLite among them.
 */
function pastAll(page: readonly User[]): boolean {
  const last = page.at(-1)?.username ?? "";
  return /^[g-z]/.test(last) || (/^[G-Z]/.test(last) && page.some(({ username }) => /^[a-z]/.test(username)));
}

const keyOfUser = (one: User) => (one.note === note ? keyOf(one.username) : null);

/** It lets its customer in, for as long as he pays, and as much as he likes. */
const isOpen = ({ status, expire, data_limit, note: noted }: User) =>
  status === "active" && !expire && !data_limit && noted === note;

function read<Schema extends z.ZodType>(schema: Schema, { text }: Answer): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new Unavailable("the panel's answer cannot be read", null, { cause: error });
  }
}
