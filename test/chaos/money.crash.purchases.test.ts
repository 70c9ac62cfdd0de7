import { purchases } from "./crash/purchases.ts";
import { matrix } from "./crash/matrix.ts";

matrix(purchases);
