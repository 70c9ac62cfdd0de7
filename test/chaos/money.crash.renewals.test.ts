import { renewals } from "./crash/renewals.ts";
import { matrix } from "./crash/matrix.ts";

matrix(renewals);
