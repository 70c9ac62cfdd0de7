import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { endpointSecret } from "../../src/outside/webhook/secret.ts";
import { dice, newSeed } from "../support/dice.ts";
import { footprint } from "../support/footprint.ts";
import { test } from "../support/leaving.ts";
import { webhookKey } from "../support/worker.ts";

describe("D13 a token", () => {
  test("D13 that is none of ours leaves nobody out, and all of them look alike", async ({ post, readers }) => {
    const seed = newSeed();
    const throws = dice(seed);
    const [ada, bob] = [await readers.one(), await readers.one()];
    await readers.invited(ada);
    const spring = tokenIn(readers.wayOut(ada));
    const ofBob = tokenIn(readers.wayOut(bob));
    await readers.invited(ada);
    const summer = tokenIn(readers.wayOut(ada));
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const forged = new Set<string>(["x", "null", randomUUID(), ada.id, "%00", "%ff", "..%2f", "x".repeat(5000)]);
    for (let i = 0; i < 150; i += 1) {
      const flipped = Buffer.from(spring, "base64url");
      const at = throws(flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << throws(8));
      forged.add(flipped.toString("base64url"));
      const place = throws(spring.length);
      forged.add(spring.slice(0, place) + (alphabet[throws(64)] ?? "") + spring.slice(place + 1));
      forged.add(spring.slice(0, 1 + throws(spring.length - 1)));
      forged.add(spring.slice(1 + throws(spring.length - 1)));
      forged.add(spring + (alphabet[throws(64)] ?? ""));
    }
    // The last character holds bits that no byte has, of a token of this length.
    expect(Buffer.from(spring, "base64url").length % 3).not.toBe(0);
    for (const last of alphabet) forged.add(spring.slice(0, -1) + last);
    const [mac, other] = [Buffer.from(spring, "base64url"), Buffer.from(summer, "base64url")];
    const his = Buffer.from(ofBob, "base64url");
    for (const parts of [
      [mac.subarray(0, 32), other.subarray(32)],
      [mac.subarray(0, 32), his.subarray(32)],
      [mac.subarray(0, 32), his.subarray(32, 48), mac.subarray(48)],
      [mac, Buffer.from("s")],
      [Buffer.alloc(32), mac.subarray(32)],
      [mac.subarray(32)],
    ]) {
      forged.add(Buffer.concat(parts).toString("base64url"));
    }
    forged.add(`${spring}=`).add(`${spring}==`);
    for (const ours of [spring, summer, ofBob]) forged.delete(ours);
    expect(forged.size).toBeGreaterThan(500);
    const before = await footprint(post.db);
    const looks = new Set<string>();
    const waiting = [...forged];
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        for (let token = waiting.pop(); token !== undefined; token = waiting.pop()) {
          for (const answer of [
            await readers.press(`/unsubscribe/${token}`),
            await readers.open(`/unsubscribe/${token}`),
          ]) {
            expect(answer.status, `seed ${seed}: ${token}`).toBe(404);
            const told = [...answer.headers].filter(([name]) => name !== "request-id" && name !== "date");
            looks.add(JSON.stringify([told, answer.html]));
          }
        }
      }),
    );
    expect(await footprint(post.db)).toEqual(before);
    expect(looks.size).toBe(1);
    expect([...looks][0]).toContain("This link is not valid");
    // And the token itself was a good one.
    expect((await readers.press(`/unsubscribe/${spring}`)).status).toBe(200);
    expect(await readers.leftAt(ada)).not.toBeNull();
  });

  test.for(["/", ".", ")", ">", "%3E", "%20", ").", "%2F", ".%20/", "%0D%0A", "'/"])(
    "D13 is taken from a link with %s at its end, which mail programs glue to it",
    async (end, { readers }) => {
      const ada = await readers.one();
      const path = await readers.invited(ada);
      for (const answer of [await readers.open(path + end), await readers.press(path + end)]) {
        expect(answer.status).toBe(200);
      }
      expect(await readers.leftAt(ada)).not.toBeNull();
    },
  );

  test("D13 with anything else glued to it, before it or within it is none", async ({ readers }) => {
    const ada = await readers.one();
    const path = await readers.invited(ada);
    const token = tokenIn(path);
    const inner = `${token.slice(0, 40)}.${token.slice(40)}`;
    for (const odd of [
      `${token}=`,
      `${token}A`,
      `${token}.A`,
      `.${token}`,
      `%20${token}`,
      inner,
      `${token}%00`,
      ".",
      "%20",
    ]) {
      expect([odd, (await readers.press(`/unsubscribe/${odd}`)).status]).toEqual([odd, 404]);
    }
    for (const more of ["//", "/x", "/x/"]) expect((await readers.press(path + more)).status).toBe(404);
    const other = await readers.open(`${path}/`, { method: "PUT" });
    expect([other.status, other.headers.get("Allow")]).toEqual([405, "GET, HEAD, POST"]);
    expect(await readers.leftAt(ada)).toBeNull();
  });

  test("D13 that is made as webhook secrets are, with the deployment's key itself, or for a notice, is none", async ({
    post,
    readers,
  }) => {
    const ada = await readers.one();
    const said = Buffer.from(tokenIn(await readers.invited(ada)), "base64url").subarray(32);
    const key = Uint8Array.from(Buffer.from(webhookKey, "base64"));
    const endpoint = await endpointSecret(key, ada.id, 1);
    const bare = Buffer.from(endpoint.slice("whsec_".length), "base64");
    const keys = [
      key,
      bare,
      Buffer.from(endpoint),
      await derived(key, ""),
      await derived(key, "tollgate webhook endpoint"),
    ];
    const tokens = await Promise.all(keys.map((one) => signed(one, said)));
    const ours = await derived(key, "tollgate unsubscribe");
    const names = ["", "REMINDER", "a.b", "x".repeat(51), "ä"];
    for (const name of names) tokens.push(await signed(ours, Buffer.concat([said.subarray(0, 16), Buffer.from(name)])));
    const before = await footprint(post.db);
    for (const token of tokens) expect((await readers.press(`/unsubscribe/${token}`)).status).toBe(404);
    expect(await footprint(post.db)).toEqual(before);
    // What is signed as ours are is one, or this test would see nothing.
    expect((await readers.press(`/unsubscribe/${await signed(ours, said)}`)).status).toBe(200);
    expect(await readers.leftAt(ada)).not.toBeNull();
  });
});

function tokenIn(path: string): string {
  return path.split("/").at(-1) ?? "";
}

async function derived(key: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode(name);
  return new Uint8Array(
    await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, material, 256),
  );
}

/** A token that says this, signed with a key. */
async function signed(key: Uint8Array, said: Uint8Array): Promise<string> {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const material = await crypto.subtle.importKey("raw", Uint8Array.from(key), hmac, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", material, Uint8Array.from(said));
  return Buffer.concat([new Uint8Array(mac), said]).toString("base64url");
}
