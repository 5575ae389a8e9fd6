/** The error middleware in a real Express: what is reported, what is hidden, what is answered. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";

import express from "express";

import { BreakerOpen, Holdfast } from "../src/index.js";
import { StandIn } from "./stand-in.js";

let api;
let holdfast;
let app;
let server;

beforeEach(async () => {
  api = await new StandIn().start();
  holdfast = new Holdfast({ url: api.url, key: "hf_key", service: "shop", log: () => {} }, {});
  app = express();
  app.set("env", "test"); // or Express prints what it answers for
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  await holdfast.close(100);
  await api.stop();
});

async function ask(path, options = {}) {
  server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return await fetch(`http://127.0.0.1:${server.address().port}${path}`, options);
}

async function reported() {
  assert.ok(await holdfast.flush(10_000));
  return api.batches.flatMap((batch) => batch.entries);
}

test("an error of a route is reported with its request, and goes on to the app", async () => {
  const router = express.Router();
  router.get("/:order", async () => { throw new RangeError("it broke"); });
  app.use("/orders", router);
  app.use(holdfast.errorHandler({ context: (request) => ({ order: request.params?.order }) }));
  app.use((error, _request, response, _next) => {
    response.status(500).send(`sorry: ${error.message}`);
  });
  const answer = await ask("/orders/12?page=2&token=t0p", {
    headers: {
      Authorization: "Bearer t0p",
      Cookie: "session=t0p",
      "X-Api-Key": "t0p",
      "X-Request-Id": "r-1",
      traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
  });
  assert.equal(await answer.text(), "sorry: it broke");
  const [entry] = await reported();
  const { context } = entry;
  assert.equal(entry.error_type, "RangeError");
  assert.equal(entry.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(context.method, "GET");
  assert.match(context.path, /^\/(orders\/)?12$/);
  assert.deepEqual(context.query, { page: "2", token: "[secret]" });
  assert.equal(context.headers.authorization, "[secret]");
  assert.equal(context.request_id, "r-1");
  assert.ok(!JSON.stringify(entry).includes("t0p"));
});

test("secrets are hidden wherever a request has them", async () => {
  app.set("query parser", "extended");
  app.get("/", () => { throw new Error("it broke"); });
  app.use(holdfast.errorHandler());
  const query = "user[name]=ada&user[password]=t0p&cards[0][pin]=t0p&author=ada&code=t0p";
  await ask(`/?${query}`, { headers: { Referer: "https://shop/reset?reset_token=t0p&page=2" } });
  const [entry] = await reported();
  const { query: shown, headers } = entry.context;
  assert.deepEqual(shown.user, { name: "ada", password: "[secret]" });
  assert.equal(shown.author, "ada");
  assert.equal(headers.referer, "https://shop/reset?reset_token=[secret]&page=2");
  assert.ok(!JSON.stringify(entry).includes("t0p"));
});

test("an error that several meet on its way out is reported by the first of them", async () => {
  const error = new Error("it broke");
  const router = express.Router();
  router.get("/caught", () => {
    const own = new Error("it broke elsewhere");
    holdfast.report(own);
    throw own;
  });
  router.get("/again", () => { throw error; });
  router.use(holdfast.errorHandler());
  app.use(router);
  app.use(holdfast.errorHandler());
  await ask("/caught");
  server.close();
  await ask("/again");
  server.close();
  await ask("/again");
  const counts = (await reported()).map((entry) => [entry.message, entry.count ?? 1]);
  assert.deepEqual(counts, [["it broke elsewhere", 1], ["it broke", 2]]);
});

test("a request that can't be described costs the report that only", async () => {
  app.set("query parser", () => { throw new Error("ours"); });
  app.get("/", () => { throw new Error("it broke"); });
  app.use(holdfast.errorHandler());
  assert.equal((await ask("/")).status, 500);
  const [entry] = await reported();
  assert.equal(entry.message, "it broke");
  assert.match(entry.context.context_failed, /ours/);
});

test("what is the client's fault is not reported", async () => {
  app.use(express.json());
  app.use(holdfast.errorHandler());
  const headers = { "Content-Type": "application/json" };
  const answer = await ask("/", { method: "POST", headers, body: "{" });
  assert.equal(answer.status, 400);
  assert.deepEqual(await reported(), []);
});

test("without a handler of the app's own, Express answers as ever", async () => {
  app.get("/", () => { throw new Error("it broke"); });
  app.use(holdfast.errorHandler());
  assert.equal((await ask("/")).status, 500);
  assert.equal((await reported()).length, 1);
});

const open = new BreakerOpen("payments", { reason: "a drill", epoch: 2, retryAfter: 1500 });
for (const [what, error] of [
  ["an open breaker", open],
  ["an error that an open breaker caused", new Error("no payment", { cause: open })],
]) {
  test(`${what} is answered with 503, and is no report`, async () => {
    app.get("/pay", () => { throw error; });
    app.use(holdfast.errorHandler());
    const answer = await ask("/pay?card=4711");
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get("Retry-After"), "2");
    assert.match(answer.headers.get("Content-Type"), /^application\/problem\+json/);
    const problem = await answer.json();
    assert.equal(problem.type, "urn:holdfast:problem:breaker-open");
    assert.equal(problem.instance, "/pay");
    assert.ok(!JSON.stringify(problem).includes("payments"), "nobody's business outside");
    assert.deepEqual(await reported(), []);
  });
}

test("once something was sent, an open breaker is the app's to handle", async () => {
  app.get("/pay", (_request, response) => {
    response.write("a part");
    throw open;
  });
  app.use(holdfast.errorHandler());
  const answer = await ask("/pay");
  await assert.rejects(answer.text());
});

test("a context that fails costs nothing but itself", async () => {
  app.get("/", () => { throw new Error("it broke"); });
  app.use(holdfast.errorHandler({ context: () => { throw new Error("ours"); } }));
  assert.equal((await ask("/")).status, 500);
  assert.match((await reported())[0].context.context_failed, /ours/);
});
