import { expect } from "vitest";
import { unwatched } from "../support/sql.ts";
import { crypto } from "./mutations/crypto.ts";
import { Lab, noticed } from "./mutations/lab.ts";

// As mutation.test.ts, of what is paid in crypto.

const test = unwatched.extend("lab", { scope: "file" }, ({ database }) => new Lab(database));

test.for(crypto)("without it somebody notices: $guard", async (mutation, { lab }) => {
  await mutation.probe(lab);
  await lab.stands();
  await lab.without(mutation, async () => {
    expect(await noticed(mutation, lab), "nobody noticed that the guard was gone").not.toBeNull();
  });
});
