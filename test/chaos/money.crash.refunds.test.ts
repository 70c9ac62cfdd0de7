import { describe } from "vitest";
import { refunds } from "./crash/refunds.ts";
import { matrix } from "./crash/matrix.ts";

describe("D6 a refund and what it takes back, killed at any point", () => matrix(refunds));
