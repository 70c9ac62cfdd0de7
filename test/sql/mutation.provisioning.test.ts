import { expect } from "vitest";
import { unwatched } from "../support/sql.ts";
import { Lab, noticed } from "./mutations/lab.ts";
import { provisioning } from "./mutations/provisioning.ts";
import { strays } from "./mutations/strays.ts";

// As mutation.test.ts: each guard of provisioning is taken out once, and its probe must notice.

const test = unwatched.extend("lab", { scope: "file" }, ({ database }) => new Lab(database));

test.for([...provisioning, ...strays])("without it somebody notices: $guard", async (mutation, { lab }) => {
  await mutation.probe(lab);
  await lab.stands();
  await lab.without(mutation, async () => {
    expect(await noticed(mutation, lab), "nobody noticed that the guard was gone").not.toBeNull();
  });
});
