/** The package on the real system, which `HOLDFAST_TEST_URL` and `HOLDFAST_TEST_KEY` lead to. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";

import express from "express";

import { BreakerOpen, Holdfast } from "../src/index.js";
import { eventually } from "./stand-in.js";

const { HOLDFAST_TEST_URL: url, HOLDFAST_TEST_KEY: adminKey } = process.env;
const skip = url ? false : "HOLDFAST_TEST_URL leads to no system";

let holdfast;

/** Ask the API as its admin. */
async function admin(method, path, value) {
  const response = await fetch(`${url}/api/system${path}`, {
    method,
    headers: { Authorization: `Bearer ${adminKey}`, "Content-Type": "application/json" },
    body: value && JSON.stringify(value),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
  return await response.json();
}

async function breaker() {
  return await admin("GET", "/circuit-breakers/payments");
}

async function incident(errorType) {
  const { items } = await admin("GET", "/errors/active?service=shop");
  return items.find((each) => each.title.startsWith(errorType));
}

before(async () => {
  if (!skip) {
    const { secret: key } = await admin("POST", "/keys", { name: "shop", roles: ["reporter"] });
    holdfast = new Holdfast({ url, key, service: "shop" }, {});
  }
});

after(async () => {
  await holdfast?.close();
});

test("errors of an Express app open one incident, with every one counted", { skip }, async () => {
  const app = express();
  app.set("env", "test");
  app.get("/orders/:order", async () => { throw new RangeError("the order is out of range"); });
  app.use(holdfast.errorHandler());
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  for (let order = 0; order < 120; order += 1) {
    await fetch(`http://127.0.0.1:${server.address().port}/orders/${order}`);
  }
  server.close();
  server.closeAllConnections();
  assert.equal(await holdfast.flush(10_000), true);
  const found = await eventually(async () => {
    const each = await incident("RangeError");
    return each?.report_count === 120 && each;
  });
  const shown = await admin("GET", `/errors/${found.id}`);
  assert.equal(shown.sample.context.route, "/orders/:order");
});

test("an operator's mode reaches the guarded calls, and so does its end", { skip }, async () => {
  const charge = holdfast.guard("payments", async () => "charged");
  assert.equal(await charge(), "charged");
  const mode = { mode: "forced_open", reason: "a drill" };
  await admin("POST", "/circuit-breakers/payments/mode", mode);
  await eventually(() => holdfast.breaker("payments").status === "forced_open");
  await assert.rejects(charge(), (error) => error instanceof BreakerOpen && error.reason === "a drill");
  await admin("POST", "/circuit-breakers/payments/mode", { mode: null, reason: "it is over" });
  await eventually(() => holdfast.breaker("payments").status === "half_open");
  await wayBack(charge);
});

/** From half-open: probes with leases of the fleet's close it, and the ramp lets all through. */
async function wayBack(charge) {
  await eventually(async () => {
    try {
      await charge();
    } catch (error) {
      assert.ok(error instanceof BreakerOpen);
    }
    const { status, share } = await breaker();
    return status === "closed" && share === 1;
  }, 30_000);
  await eventually(() => holdfast.breaker("payments").retryAfter === 0);
}

test("calls that fail open the fleet's breaker, and probes close it", { skip }, async () => {
  let isWell = false;
  const charge = holdfast.guard("payments", async () => {
    if (!isWell) {
      throw new Error("the provider is down");
    }
    return "charged";
  });
  const { epoch: known } = await breaker();
  await eventually(async () => {
    await Promise.allSettled([1, 2, 3].map(async () => await charge()));
    const { epoch, status } = await breaker();
    return epoch > known && status !== "closed";
  });
  isWell = true;
  await wayBack(charge);
  assert.equal(await charge(), "charged");
});

test("a degraded service's features go off, and come back with its end", { skip }, async () => {
  assert.equal(holdfast.feature("previews"), true);
  holdfast.report(new Error("too much to do"), { errorType: "Overload", category: "overload" });
  await eventually(() => !holdfast.feature("previews"));
  const { id } = await eventually(() => incident("Overload"));
  await admin("POST", `/errors/${id}/resolve`, {});
  await eventually(() => holdfast.feature("previews"));
});
