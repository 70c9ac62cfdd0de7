import { createRoute } from "@hono/zod-openapi";
import { cut, pageAnswer, pageOf } from "../http/pagination.ts";
import {
  idempotencyOptional,
  jsonAnswer,
  jsonBody,
  keyedAnswer,
  readRefusals,
  secured,
  writeRefusals,
} from "../http/route.ts";
import { router } from "../http/router.ts";
import * as model from "./contact-model.ts";
import * as store from "./contacts.ts";

const tags = ["contacts"];

const createContact = createRoute({
  method: "post",
  path: "/v1/workspaces/{workspace}/contacts",
  operationId: "createContact",
  tags,
  summary: "Add a contact",
  description: "Where a workspace's customer is reached, by e-mail or at Telegram, and in which language.",
  ...secured("messages:write"),
  request: { params: model.contactsParams, headers: idempotencyOptional, body: jsonBody(model.contactBody) },
  responses: {
    201: keyedAnswer(model.contactItem, "The contact"),
    ...writeRefusals("not_found", "contact_exists", "contact_limit_reached"),
  },
});

const listContacts = createRoute({
  method: "get",
  path: "/v1/workspaces/{workspace}/contacts",
  operationId: "listContacts",
  tags,
  summary: "List a workspace's contacts",
  description: "Newest first.",
  ...secured("messages:read"),
  request: { params: model.contactsParams, query: model.contactsQuery },
  responses: {
    200: jsonAnswer(() => pageAnswer(model.contactItem()), "A page"),
    ...readRefusals("not_found", "cursor_invalid"),
  },
});

const changeContact = createRoute({
  method: "patch",
  path: "/v1/workspaces/{workspace}/contacts/{contact}",
  operationId: "changeContact",
  tags,
  summary: "Change a contact",
  description:
    "Its language, what it does not want to hear, whether it is written to at all, or whether it has left broadcasts: that, no other " +
    "`opt_outs` take back. It counts for what was not sent yet, too. " +
    "Another address is another contact.",
  ...secured("messages:write"),
  request: { params: model.contactParams, headers: idempotencyOptional, body: jsonBody(model.changeBody) },
  responses: { 200: keyedAnswer(model.contactItem, "The contact"), ...writeRefusals("not_found") },
});

const deleteContact = createRoute({
  method: "delete",
  path: "/v1/workspaces/{workspace}/contacts/{contact}",
  operationId: "deleteContact",
  tags,
  summary: "Delete a contact",
  description:
    "What was not sent there yet is not sent. Added again it is a new contact, of which nobody knows what this one had left.",
  ...secured("messages:write"),
  request: { params: model.contactParams, headers: idempotencyOptional },
  responses: { 200: keyedAnswer(model.deletedAnswer, "Deleted"), ...writeRefusals("not_found") },
});

/** Where customers are reached. */
export const contacts = router()
  .openapi(createContact, async (c) =>
    c.json(await store.createContact(c, c.req.valid("param").workspace, c.req.valid("json")), 201),
  )
  .openapi(listContacts, async (c) => {
    const page = pageOf(c.req.valid("query"));
    return c.json(
      cut(await store.listContacts(c, c.req.valid("param").workspace, page), page, ({ id }) => id),
      200,
    );
  })
  .openapi(changeContact, async (c) => {
    const { workspace, contact } = c.req.valid("param");
    return c.json(await store.changeContact(c, workspace, contact, c.req.valid("json")), 200);
  })
  .openapi(deleteContact, async (c) => {
    const { workspace, contact } = c.req.valid("param");
    return c.json(await store.deleteContact(c, workspace, contact), 200);
  });
