import type { Pool } from "pg";
import { type MailService, startMail } from "../world/mail.ts";
import { startTelegram, type TelegramService } from "../world/telegram.ts";
import type { RunningWorker } from "../world/worker.ts";
import { Api } from "./api.ts";
import { advance } from "./scenario.ts";
import { sweepOnly, type SweepRun } from "./sweeping.ts";
import { Wires } from "./wires.ts";
import { test as inWorld } from "./world.ts";

/** A Worker that writes to people, by a mail service and a bot of a test's own. */
export interface Post {
  db: Pool;
  worker: RunningWorker;
  mail: MailService;
  telegram: TelegramService;
  /** To the database, the mail service and the Bot API. */
  wires: Wires;
  /** Speaks to the Worker as the operator. */
  api: Api;
  sweep(...names: string[]): Promise<SweepRun[]>;
  /** Hands out what is to be said, and sends it. */
  run(): Promise<void>;
  /** All is whole again: leases and back-offs run out, and the sweeps run until nothing is on its way. */
  mend(): Promise<void>;
}

/** Where the Worker is, as its mails say. */
export const publicUrl = "https://tollgate.example";

const couriers = ["email_outbox", "telegram_outbox"];

/** `test` with a post of the file's own. */
export const test = inWorld
  .extend("opened", { scope: "file" }, async ({ world }, { onCleanup }): Promise<Post> => {
    const [mail, telegram, wires] = [await startMail(), await startTelegram(), new Wires()];
    const db = world.database.owner;
    const worker = await world.another({
      ...mail.bindings,
      ...telegram.bindings,
      PUBLIC_URL: publicUrl,
      MAIL_API_BASE: await wires.to("peer", mail.url),
      TELEGRAM_API_BASE: await wires.to("peer", telegram.url),
      DATABASE_FETCH_ENDPOINT: await wires.to("database", world.bridge.url),
    });
    onCleanup(async () => {
      wires.stop();
      await mail.stop();
      await telegram.stop();
    });
    const sweep = (...names: string[]) => sweepOnly(db, worker, ...names);
    const run = async () => {
      await sweep("notices", "broadcasts");
      await sweep(...couriers);
    };
    const mend = async () => {
      wires.mend();
      mail.behave("ok");
      telegram.behave("ok");
      for (let round = 0; round < 3; round += 1) {
        await advance(db, "31 minutes");
        await run();
      }
    };
    return { db, worker, mail, telegram, wires, api: new Api(worker.url, world.operatorKey), sweep, run, mend };
  })
  .extend("post", ({ opened }, { onCleanup }) => {
    onCleanup(() => {
      opened.wires.mend();
      opened.mail.behave("ok");
      opened.telegram.behave("ok");
    });
    return opened;
  });
