import { createRoute } from "@hono/zod-openapi";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import { jsonAnswer, readRefusals, secured } from "../http/route.ts";
import { router } from "../http/router.ts";
import { explain } from "./explain.ts";
import * as explanation from "./explanation.ts";
import * as model from "./model.ts";
import * as reads from "./reads.ts";

const path = "/v1/workspaces/{workspace}/credits";
const tags = ["credits"];

const balanceRoute = createRoute({
  method: "get",
  path,
  operationId: "getCredits",
  tags,
  summary: "Get the balance",
  description: "What is available, by pool, in the order in which it is spent; what is held; what is owed.",
  ...secured("credits:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.balanceAnswer, "The balance"), ...readRefusals("not_found") },
});

const balancesRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/balances",
  operationId: "listBalances",
  tags: ["ledger"],
  summary: "List the balances of every unit",
  description:
    "Credits, seats, bytes of storage, retail tokens: what the workspace has of each unit that it ever had any of.",
  ...secured("credits:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.balancesAnswer, "All of them"), ...readRefusals("not_found") },
});

const moneyRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/balance",
  operationId: "getBalance",
  tags: ["balance"],
  summary: "Get the money balance",
  description: "By currency, in its smallest unit.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.moneyAnswer, "The balance"), ...readRefusals("not_found") },
});

const moneyTransactionsRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/balance/transactions",
  operationId: "listBalanceTransactions",
  tags: ["balance"],
  summary: "List the balance's transactions",
  description: "Every movement of money with its entries and its cause, newest first.",
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: model.moneyTransactionsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.moneyTransactionItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const explainDescription =
  "Why the balance is what it is, in one call. `made_of` adds the whole history up, by kind and cause: its lines sum exactly to the " +
  "balance. `data` has the transactions, newest first, each with its cause and the balance right after it. What has expired " +
  "and was not swept yet is a line of its own in `made_of` (cause `due`) until a transaction says so. It reads the whole history.";

const explainRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/ledger/explain",
  operationId: "explainLedger",
  tags: ["ledger"],
  summary: "Explain a unit's balance",
  description: explainDescription,
  ...secured("credits:read"),
  request: { params: model.workspaceParams, query: explanation.explainQuery },
  responses: {
    200: jsonAnswer(explanation.explainAnswer, "What it is made of"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const explainMoneyRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/balance/explain",
  operationId: "explainBalance",
  tags: ["balance"],
  summary: "Explain the money balance",
  description: explainDescription,
  ...secured("billing:read"),
  request: { params: model.workspaceParams, query: explanation.explainMoneyQuery },
  responses: {
    200: jsonAnswer(explanation.explainMoneyAnswer, "What it is made of"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const listHoldsRoute = createRoute({
  method: "get",
  path: `${path}/holds`,
  operationId: "listHolds",
  tags,
  summary: "List holds",
  description: "Newest first.",
  ...secured("credits:read"),
  request: { params: model.workspaceParams, query: model.holdsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.holdItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const getHoldRoute = createRoute({
  method: "get",
  path: `${path}/holds/{hold}`,
  operationId: "getHold",
  tags,
  summary: "Get a hold",
  ...secured("credits:read"),
  request: { params: model.holdParams },
  responses: { 200: jsonAnswer(model.holdItem, "The hold"), ...readRefusals("not_found") },
});

const transactionsRoute = createRoute({
  method: "get",
  path: `${path}/transactions`,
  operationId: "listTransactions",
  tags,
  summary: "List transactions",
  description: "Every movement with its entries, newest first. Nothing is ever changed or removed here.",
  ...secured("credits:read"),
  request: { params: model.workspaceParams, query: model.transactionsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.transactionItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const verifyRoute = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/ledger/verify",
  operationId: "verifyLedger",
  tags: ["ledger"],
  summary: "Let the ledger prove itself",
  description: "Recomputes the workspace's accounts, of every unit, from their entries and compares.",
  ...secured("credits:read"),
  request: { params: model.workspaceParams },
  responses: { 200: jsonAnswer(model.verifyAnswer, "Each check"), ...readRefusals("not_found") },
});

/** Everything that shows credits. */
export const views = router()
  .openapi(balanceRoute, async (c) => c.json(await reads.balance(c, c.req.valid("param").workspace), 200))
  .openapi(balancesRoute, async (c) => c.json(await reads.balances(c, c.req.valid("param").workspace), 200))
  .openapi(moneyRoute, async (c) => c.json(await reads.money(c, c.req.valid("param").workspace), 200))
  .openapi(moneyTransactionsRoute, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    const rows = await reads.listMoneyTransactions(c, c.req.valid("param").workspace, page, query.currency);
    return c.json(
      cut(rows, page, ({ id }) => id),
      200,
    );
  })
  .openapi(listHoldsRoute, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    const rows = await reads.listHolds(c, c.req.valid("param").workspace, page, query.state);
    return c.json(
      cut(rows, page, ({ id }) => id),
      200,
    );
  })
  .openapi(getHoldRoute, async (c) => {
    const { workspace, hold } = c.req.valid("param");
    return c.json(await reads.getHold(c, workspace, hold), 200);
  })
  .openapi(transactionsRoute, async (c) => {
    const page = pageOf(c.req.valid("query"));
    const rows = await reads.listTransactions(c, c.req.valid("param").workspace, page);
    return c.json(
      cut(rows, page, ({ id }) => id),
      200,
    );
  })
  .openapi(verifyRoute, async (c) => c.json(await reads.verify(c, c.req.valid("param").workspace), 200))
  .openapi(explainRoute, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    const { data, ...rest } = await explain(c, c.req.valid("param").workspace, query.unit, page, "credits:read");
    return c.json({ unit: query.unit, ...rest, ...cut(data, page, ({ id }) => id) }, 200);
  })
  .openapi(explainMoneyRoute, async (c) => {
    const query = c.req.valid("query");
    const page = pageOf(query);
    const { data, ...rest } = await explain(c, c.req.valid("param").workspace, query.currency, page, "billing:read");
    return c.json({ currency: query.currency, ...rest, ...cut(data, page, ({ id }) => id) }, 200);
  });
