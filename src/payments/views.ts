import { createRoute } from "@hono/zod-openapi";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import { jsonAnswer, readRefusals, secured } from "../http/route.ts";
import { Problem } from "../http/problem.ts";
import { router } from "../http/router.ts";
import * as model from "./model.ts";
import * as reads from "./reads.ts";

const path = "/v1/workspaces/{workspace}";
const tags = ["payments"];

const purchases = createRoute({
  method: "get",
  path: `${path}/purchases`,
  operationId: "listPurchases",
  tags,
  summary: "List purchases",
  description: "Whatever it bought or is buying, newest first, and what became of it.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.purchasesQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.purchaseItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const purchase = createRoute({
  method: "get",
  path: `${path}/purchases/{purchase}`,
  operationId: "getPurchase",
  tags,
  summary: "Get a purchase",
  ...secured("billing:read"),
  request: { params: model.purchaseParams },
  responses: { 200: jsonAnswer(model.purchaseItem, "The purchase"), ...readRefusals("not_found") },
});

const payments = createRoute({
  method: "get",
  path: `${path}/payments`,
  operationId: "listPayments",
  tags,
  summary: "List payments",
  description: "Money that came, newest first, with what was refunded or is disputed of it.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.paymentsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.paymentItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

/** Everything that shows purchases and payments. */
export const views = router()
  .openapi(purchases, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    const rows = await reads.listPurchases(c, c.req.valid("param").workspace, page, query);
    return c.json(
      cut(rows, page, ({ id }) => id),
      200,
    );
  })
  .openapi(purchase, async (c) => {
    const { workspace, purchase: id } = c.req.valid("param");
    const found = await reads.getPurchase(c, workspace, id);
    if (found === null) throw new Problem("not_found");
    return c.json(found.shown, 200);
  })
  .openapi(payments, async (c) => {
    const page = pageOf(c.req.valid("query"));
    const rows = await reads.listPayments(c, c.req.valid("param").workspace, page);
    return c.json(
      cut(rows, page, ({ id }) => id),
      200,
    );
  });
