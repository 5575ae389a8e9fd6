/** Reports: folded and counted exactly, sent once however often, bounded, and never an error. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Courier } from "../src/courier.js";
import { Holdfast } from "../src/index.js";
import { Outbox } from "../src/outbox.js";
import { PostOffice } from "../src/post.js";
import { StandIn, eventually } from "./stand-in.js";

let api;
let said;
let holdfast;

function client(options = {}) {
  const log = (message) => said.push(message);
  return new Holdfast({ url: api.url, key: "hf_key", service: "shop", log, ...options }, {});
}

function sent() {
  return api.batches.flatMap((batch) => batch.entries);
}

class CardError extends TypeError {
  name = "CardError";
}

beforeEach(async () => {
  said = [];
  api = await new StandIn().start();
  holdfast = client();
});

afterEach(async () => {
  await holdfast.close(100);
  await api.stop();
});

test("an error is told with its type, bases, message and stack", async () => {
  holdfast.report(new CardError("the card was declined"), { severity: "high", user: "ada" });
  assert.equal(await holdfast.flush(), true);
  const [entry] = sent();
  assert.equal(entry.service, "shop");
  assert.equal(entry.error_type, "CardError");
  assert.deepEqual(entry.error_bases, ["TypeError", "Error"]);
  assert.equal(entry.message, "the card was declined");
  assert.equal(entry.severity, "high");
  assert.equal(entry.user, "ada");
  assert.match(entry.stack.at(-1), /report\.test\.js:\d+:\d+/);
  assert.ok(!entry.stack.at(-1).includes("/"), "folders differ from machine to machine");
  assert.ok(Date.parse(entry.occurred_at) <= Date.now());
  assert.equal("count" in entry, false);
});

test("repeats are folded, the count is exact, and the latest context is kept", async () => {
  for (let number = 1; number <= 250; number += 1) {
    holdfast.report("it broke", { context: { number } });
  }
  holdfast.report("it broke otherwise");
  await holdfast.flush();
  const [first, second] = sent();
  assert.equal(first.count, 250);
  assert.deepEqual(first.context, { number: 250 });
  assert.ok(first.first_occurred_at <= first.occurred_at);
  assert.equal("count" in second, false);
});

test("what may have another fingerprint is not folded", async () => {
  const error = new Error("it broke");
  holdfast.report(error);
  holdfast.report(error, { fingerprint: "own" });
  holdfast.report(error, { severity: "low" });
  holdfast.report(error, { service: "other" });
  await holdfast.flush();
  assert.equal(sent().length, 4);
});

test("a batch that has to be sent again keeps its key, so that it counts once", async () => {
  api.answers = [{ status: 503, headers: { "Retry-After": "0" } }];
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(5000), true);
  const [first, second] = api.batches;
  assert.match(first.key, /^[0-9a-f-]{36}$/);
  assert.deepEqual(first, second);
  assert.equal(holdfast.dropped, 0);
});

test("reports made while Holdfast is away arrive when it is back", async () => {
  await api.stop();
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(300), false);
  assert.match(said[0], /away/);
  await api.start();
  await eventually(() => sent().length === 1);
  await eventually(() => said.some((each) => each.includes("back")));
});

test("of a batch only what was not taken is sent again, under the same key", async () => {
  const results = [{ accepted: true }, { accepted: false, problem: { status: 503 } }];
  api.answers = [{ status: 202, body: { results } }];
  holdfast.report("first");
  holdfast.report("second");
  assert.equal(await holdfast.flush(5000), true);
  const [whole, rest] = api.batches;
  assert.deepEqual(rest.entries.map((entry) => entry.message), ["second"]);
  assert.equal(whole.key, rest.key);
});

test("what Holdfast will never take is dropped, and said", async () => {
  const results = [{ accepted: false, problem: { status: 422, detail: "no such severity" } }];
  api.answers = [{ status: 202, body: { results } }];
  [1, 2, 3].forEach(() => holdfast.report("it broke", { severity: "awful" }));
  assert.equal(await holdfast.flush(), true);
  assert.equal(holdfast.dropped, 3);
  assert.ok(said.some((each) => each.includes("no such severity")));
});

test("while the key is refused, reports are kept: it can be put right", async () => {
  api.answers = [{ status: 401 }, { status: 403 }];
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(10_000), true);
  assert.equal(api.batches.length, 3);
  assert.equal(holdfast.dropped, 0);
});

test("what is no answer of Holdfast's is no receipt", async () => {
  api.answers = [{ status: 200, body: "Please sign in" }];
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(), true);
  assert.equal(holdfast.dropped, 1);
});

test("a batch at which Holdfast itself fails does not hold up the others for ever", async () => {
  const outbox = new Outbox(10);
  const office = new PostOffice({ url: api.url, key: "hf_key" });
  const log = (message) => said.push(message);
  const courier = new Courier({ outbox, office, log, mostFaults: 2 });
  api.answers = [{ status: 500 }, { status: 500 }];
  outbox.put("poison", { service: "shop" }, Date.now());
  assert.equal(await courier.flush(10_000), true);
  assert.equal(outbox.dropped, 1);
  outbox.put("it broke", { service: "shop" }, Date.now());
  assert.equal(await courier.flush(10_000), true);
  assert.equal(sent().at(-1).message, "it broke");
});

test("flush waits for what waits when it is called, and for nothing that comes later", async () => {
  let number = 0;
  const storm = setInterval(() => holdfast.report(`error ${number++}`), 1);
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(10_000), true);
  clearInterval(storm);
  assert.ok(sent().some((entry) => entry.message === "it broke"));
});

test("what Holdfast does not answer is broken off at the end", async () => {
  api.hangs = true;
  holdfast.report("it broke");
  assert.equal(await holdfast.flush(300), false);
  assert.equal(api.hanging.size, 1);
  assert.equal(await holdfast.close(0), false);
  await eventually(() => api.hanging.size === 0, 5000);
  assert.equal(holdfast.dropped, 1);
});

test("a log that throws is no error of the reporter's", async () => {
  const loud = client({ service: undefined, log: () => { throw new Error("the disk is full"); } });
  loud.report("it broke");
  api.answers = [{ status: 422 }];
  loud.report("it broke", { service: "shop" });
  assert.equal(await loud.flush(), true);
  assert.equal(loud.dropped, 2);
});

test("more repeats than one entry may count go in several", () => {
  const outbox = new Outbox(10);
  for (let number = 0; number < 1_000_002; number += 1) {
    outbox.put("it broke", { service: "shop" }, 0);
  }
  const counts = [1, 2, 3].map(() => outbox.take(500, 65_536).map((entry) => entry.count));
  assert.deepEqual(counts, [[1_000_000], [2], []]);
});

test("a batch that is too large is halved", async () => {
  api.answers = [{ status: 413 }];
  holdfast.report("first");
  holdfast.report("second");
  assert.equal(await holdfast.flush(5000), true);
  assert.deepEqual(api.batches.map((batch) => batch.entries.length), [2, 1, 1]);
});

test("the oldest reports give way when too many wait, and that is counted", async () => {
  await holdfast.close(0);
  holdfast = client({ capacity: 2 });
  for (const message of ["first", "first", "second", "third"]) {
    holdfast.report(message);
  }
  await holdfast.flush();
  assert.deepEqual(sent().map((entry) => entry.message), ["second", "third"]);
  assert.equal(holdfast.dropped, 2);
});

test("close sends what waits; what is reported later is dropped", async () => {
  holdfast.report("it broke");
  assert.equal(await holdfast.close(), true);
  holdfast.report("too late");
  assert.deepEqual(sent().map((entry) => entry.message), ["it broke"]);
  assert.equal(holdfast.dropped, 1);
});

// Each knows all the others, as the objects of a server do.
const friends = Array.from({ length: 30 }, () => ({}));
friends.forEach((each) => Object.assign(each, friends));

const cycle = {};
cycle.self = cycle;
const odd = [
  ["nothing", undefined, {}],
  ["null", null, {}],
  ["a symbol", Symbol("odd"), {}],
  ["an object without a prototype", Object.create(null), {}],
  ["an error whose message is no text", Object.assign(new Error("x"), { message: 12 }), {}],
  ["an error without a stack", Object.assign(new Error("x"), { stack: undefined }), {}],
  ["a cycle", "odd", { context: cycle }],
  ["a net of objects", "odd", { context: { friends } }],
  ["a large buffer", "odd", { context: { body: Buffer.alloc(50_000_000) } }],
  ["a big number", "odd", { context: { big: 12n, none: NaN, when: new Date(NaN) } }],
  ["control characters", "odd\x00\ud800", { labels: { "a\x01": "b" } }],
  ["a large context", "odd", { context: { large: Array(100).fill("x".repeat(4000)) } }],
  ["a context that throws", "odd", { context: { get broken() { throw new Error("no"); } } }],
];
for (const [what, error, fields] of odd) {
  test(`${what} is no error of the reporter's`, async () => {
    holdfast.report(error, fields);
    assert.equal(await holdfast.flush(), true);
    assert.equal(sent().length, 1);
    const told = JSON.stringify(sent());
    assert.ok(told.length < 65_536);
    assert.ok(!/\\u00(0[0-8bcef]|1)/.test(told), "what no store keeps");
  });
}

test("without a service nothing is sent, and that is said", async () => {
  const nobody = client({ service: undefined });
  nobody.report("it broke");
  assert.equal(nobody.dropped, 1);
  assert.match(said[0], /no service/);
  await nobody.close();
});

test("switched off it sends nothing", async () => {
  const off = new Holdfast({}, { HOLDFAST_OFF: "1" });
  off.report("it broke");
  assert.equal(off.call("payments", () => 12), 12);
  assert.equal(off.feature("previews", { default: false }), true);
  assert.equal(await off.close(), true);
});

test("what can't be an option is refused at once", () => {
  assert.throws(() => new Holdfast({ key: "hf_key" }, {}), /url/);
  assert.throws(() => new Holdfast({ url: "ftp://x", key: "hf_key" }, {}), /url/);
  assert.throws(() => new Holdfast({ url: "http://x" }, {}), /key/);
  assert.throws(() => client({ service: "two words" }), /service/);
  assert.throws(() => client({ capacity: 0 }), /capacity/);
});

test("options come from the environment", () => {
  const environment = {
    HOLDFAST_URL: api.url,
    HOLDFAST_KEY: "hf_key",
    HOLDFAST_SERVICE: "from-outside",
  };
  assert.equal(new Holdfast({}, environment).service, "from-outside");
  assert.equal(new Holdfast({ service: "own" }, environment).service, "own");
});
