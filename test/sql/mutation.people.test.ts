import { expect } from "vitest";
import { unwatched } from "../support/sql.ts";
import { Lab, noticed } from "./mutations/lab.ts";
import { leaving } from "./mutations/leaving.ts";
import { people } from "./mutations/people.ts";

// As mutation.test.ts: each protection of messages to people is taken out once, and its probe must notice.

const test = unwatched.extend("lab", { scope: "file" }, ({ database }) => new Lab(database));

test.for([...people, ...leaving])("without it somebody notices: $guard", async (mutation, { lab }) => {
  await mutation.probe(lab);
  await lab.stands();
  await lab.without(mutation, async () => {
    expect(await noticed(mutation, lab), "nobody noticed that the guard was gone").not.toBeNull();
  });
});
