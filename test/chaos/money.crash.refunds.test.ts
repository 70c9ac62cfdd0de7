import { refunds } from "./crash/refunds.ts";
import { matrix } from "./crash/matrix.ts";

matrix(refunds);
