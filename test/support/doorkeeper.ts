import type { Pool } from "pg";
import { type PanelMiniature, startPanel } from "../world/marzban.ts";
import { type ProvisionerMiniature, startProvisioner } from "../world/provisioner.ts";
import type { RunningWorker } from "../world/worker.ts";
import { Api } from "./api.ts";
import { Guest } from "./guest.ts";
import { advance, rows } from "./scenario.ts";
import { type SweepRun, sweepOnly } from "./sweeping.ts";
import { Wires } from "./wires.ts";
import { test as inWorld, type World } from "./world.ts";

/** A provisioner in miniature, of either kind, as tests look at it: by keys. */
export interface Door {
  kind: "http" | "marzban";
  peer: ProvisionerMiniature | PanelMiniature;
  /** The keys that open it, sorted. */
  there(): string[];
  /** It loses a key, or has one that nobody gave it; nobody is told. */
  lose(key: string): void;
  have(key: string): void;
  /** How often a key was added, and how often removed. */
  deeds(key: string): { added: number; removed: number };
}

const nameOf = (key: string) => key.replaceAll("-", "");
const keyOf = (name: string) => name.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

async function openDoor(kind: Door["kind"]): Promise<Door> {
  const count = (history: readonly { did: string; key: string }[], name: string) => ({
    added: history.filter(({ did, key }) => did === "added" && key === name).length,
    removed: history.filter(({ did, key }) => did === "removed" && key === name).length,
  });
  if (kind === "http") {
    const peer = await startProvisioner();
    return {
      kind,
      peer,
      there: () => [...peer.keys.keys()].toSorted(),
      lose: (key) => void peer.keys.delete(key),
      have: (key) => void peer.keys.set(key, { key_id: "", workspace_id: null }),
      deeds: (key) => count(peer.history, key),
    };
  }
  const peer = await startPanel();
  const ours = () => [...peer.users.values()].filter(({ note, status }) => note === "tollgate" && status === "active");
  return {
    kind,
    peer,
    there: () =>
      ours()
        .map(({ username }) => keyOf(username))
        .toSorted(),
    lose: (key) => void peer.users.delete(nameOf(key)),
    have: (key) => peer.make(nameOf(key), { note: "tollgate" }),
    deeds: (key) => count(peer.history, nameOf(key)),
  };
}

/** Workers that tell a provisioner, and customers who come and go. */
export interface Doorkeeper extends Door {
  db: Pool;
  /** They are of one deployment; each has wires of its own to the database and the provisioner, if any has. */
  workers: readonly { worker: RunningWorker; wires: Wires }[];
  /** The first one's. */
  api: Api;
  wires: Wires;
  sweep(...names: string[]): Promise<SweepRun[]>;
  /** Lets leases and back-offs run out and the sweeps run, until nothing is on its way: two passes and what they ask for. */
  mend(): Promise<void>;
  /** Keys that are paid for, sorted: every row that lives. */
  paid(): Promise<string[]>;
  /** A customer whose key is there. */
  admitted(): Promise<{ guest: Guest; id: string; key: string }>;
}

export const outbox = "provisioner_outbox";
export const reconcile = "provisioner_reconcile";

/** How many Workers, and whether the ways to the provisioner and the database can be cut. */
export interface Manning {
  workers?: number;
  wired?: boolean;
}

/** One for the whole of a file. */
async function openDoorkeeper(
  world: World,
  kind: Door["kind"],
  { workers: count = 1, wired = false }: Manning = {},
): Promise<Doorkeeper & { stop(): Promise<void> }> {
  const door = await openDoor(kind);
  const db = world.database.owner;
  const workers: { worker: RunningWorker; wires: Wires }[] = [];
  for (let i = 0; i < count; i += 1) {
    const wires = new Wires();
    const cut = wired
      ? {
          PROVISIONER_URL: await wires.to("peer", door.peer.url),
          DATABASE_FETCH_ENDPOINT: await wires.to("database", world.bridge.url),
        }
      : {};
    const worker = await world.another({ ...door.peer.bindings, ...cut });
    workers.push({ worker, wires });
  }
  const [first] = workers;
  if (first === undefined) throw new Error("it has no Worker");
  const sweep = (...names: string[]) => sweepOnly(db, first.worker, ...names);
  return {
    ...door,
    db,
    workers,
    api: new Api(first.worker.url, world.operatorKey),
    wires: first.wires,
    sweep,
    mend: async () => {
      for (const { wires } of workers) wires.mend();
      door.peer.behave("ok");
      door.peer.answers = null;
      for (let round = 0; round < 4; round += 1) {
        await advance(db, "31 minutes");
        await sweep(outbox);
        await sweep(reconcile);
        await sweep(outbox);
      }
    },
    paid: async () => {
      const found = await rows<{ key: string }>(
        db,
        "select key from access.key where state in ('pending', 'active') order by key",
      );
      return found.map(({ key }) => key);
    },
    admitted: async () => {
      const guest = await Guest.withKey(db);
      await sweep(outbox);
      const { id, key } = await guest.key();
      return { guest, id, key };
    },
    stop: async () => {
      for (const { wires } of workers) wires.stop();
      await door.peer.stop();
    },
  };
}

/** `test` with a doorkeeper of a kind, of the file's own. What a test left broken is mended before the next. */
export function testAt(kind: Door["kind"], manning: Manning = {}) {
  return inWorld
    .extend("opened", { scope: "file" }, async ({ world }, { onCleanup }) => {
      const opened = await openDoorkeeper(world, kind, manning);
      onCleanup(() => opened.stop());
      return opened;
    })
    .extend("door", async ({ opened }, { onCleanup }): Promise<Doorkeeper> => {
      // The strays of other tests were removed on another day.
      await opened.db.query("update access.stray_day set removed_at = default");
      onCleanup(async () => {
        for (const { wires } of opened.workers) wires.mend();
        opened.peer.behave("ok");
        opened.peer.answers = null;
        opened.peer.delay_ms = 0;
      });
      return opened;
    });
}
