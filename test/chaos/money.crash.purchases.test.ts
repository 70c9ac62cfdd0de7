import { describe } from "vitest";
import { purchases } from "./crash/purchases.ts";
import { matrix } from "./crash/matrix.ts";

describe("D7 what is paid and what it buys, killed at any point", () => matrix(purchases));
