import { access } from "./access/routes.ts";
import { changes, plans } from "./billing/routes.ts";
import { views as billing } from "./billing/views.ts";
import { docs } from "./http/docs.ts";
import { notFound, onError } from "./http/failure.ts";
import { openApiText } from "./http/openapi.ts";
import { record } from "./http/request.ts";
import { router } from "./http/router.ts";
import { movements } from "./ledger/routes.ts";
import { views } from "./ledger/views.ts";
import { broadcasts } from "./messages/broadcast-routes.ts";
import { contacts } from "./messages/contact-routes.ts";
import { messages } from "./messages/routes.ts";
import { leaving } from "./messages/unsubscribe-routes.ts";
import { webhooks } from "./messages/webhook-routes.ts";
import { templates } from "./messages/template-routes.ts";
import { events, house } from "./ops/routes.ts";
import { promo } from "./payments/promo-routes.ts";
import { referring } from "./payments/referral-routes.ts";
import { buying } from "./payments/routes.ts";
import { views as payments } from "./payments/views.ts";
import { keys, workspaces } from "./people/routes.ts";

/** The whole HTTP interface: the only file that knows every domain. */
export const app = router();

app.use(record);
for (const routes of [
  movements,
  views,
  workspaces,
  keys,
  plans,
  billing,
  changes,
  buying,
  payments,
  referring,
  promo,
  access,
  contacts,
  templates,
  broadcasts,
  messages,
  webhooks,
  events,
  house,
])
  app.route("/", routes);
app.route("/", docs);
app.route("/", leaving);

const document = openApiText(app);
app.get("/openapi.json", (c) => c.body(document(), 200, { "Content-Type": "application/json" }));

app.onError(onError);
app.notFound(notFound(app));
