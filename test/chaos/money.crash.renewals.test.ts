import { describe } from "vitest";
import { renewals } from "./crash/renewals.ts";
import { matrix } from "./crash/matrix.ts";

describe("D5 a period's renewal and its end, killed at any point", () => matrix(renewals));
