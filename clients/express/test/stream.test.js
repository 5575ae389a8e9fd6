/** The event stream: followed, resumed, and replaced by asking where it does not get through. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";

import { EventParser } from "../src/event-parser.js";
import { BreakerOpen, Holdfast } from "../src/index.js";
import { PostOffice } from "../src/post.js";
import { Stream } from "../src/stream.js";
import { Switchboard } from "../src/switchboard.js";
import { StandIn, eventually } from "./stand-in.js";

let api;
let holdfast;

beforeEach(async () => {
  api = await new StandIn().start();
  holdfast = new Holdfast({ url: api.url, key: "hf_key", service: "shop", log: () => {} }, {});
});

afterEach(async () => {
  await holdfast.close(0);
  await api.stop();
});

const OPEN = { status: "forced_open", epoch: 2, reason: "a drill", share: 1, probes_at: null };
const HALF_OPEN = { ...OPEN, status: "half_open", epoch: 3 };

function payments(breaker) {
  return { service: "payments", breaker, rules: {}, features_off: [] };
}

async function following() {
  holdfast.feature("previews");
  await eventually(() => api.followers.length > 0);
}

test("nothing is followed before it is needed", async () => {
  holdfast.report("it broke");
  await holdfast.flush();
  assert.equal(api.followers.length, 0);
});

test("a snapshot and what changes after it hold at once", async () => {
  await following();
  api.snapshot(payments(OPEN), { service: "shop", features_off: ["previews"] });
  await eventually(() => holdfast.breaker("payments").status === "forced_open");
  assert.equal(holdfast.feature("previews"), false);
  assert.throws(() => holdfast.call("payments", () => 1), BreakerOpen);
  api.tell("service", payments({ ...OPEN, status: "closed", epoch: 3 }), "hash.2");
  await eventually(() => holdfast.breaker("payments").status === "closed");
});

test("after the server's end it comes again and says what it heard last", async () => {
  await following();
  api.snapshot();
  await eventually(() => holdfast.feature("previews", { default: false }));
  api.endStreams();
  await eventually(() => api.followers.length === 2);
  assert.equal(api.followers[1]["last-event-id"], "hash.1");
});

test("where the stream does not get through, it asks", async () => {
  api.refusesStreams = true;
  api.features = { revision: "hash.1", services: [payments(OPEN)] };
  holdfast.feature("previews");
  await eventually(() => holdfast.breaker("payments").status === "forced_open");
});

test("where the stream ends before it told anything, it asks", async () => {
  api.endsStreams = true;
  api.features = { revision: "hash.1", services: [payments(OPEN)] };
  holdfast.feature("previews");
  await eventually(() => holdfast.breaker("payments").status === "forced_open");
});

test("where events are held back, it goes on asking, and sooner than the grace time", async () => {
  api.features = { revision: "hash.1", services: [payments(OPEN)] };
  const log = () => {};
  const switchboard = new Switchboard({ reporter: "test", service: "shop", log });
  const office = new PostOffice({ url: api.url, key: "hf_key" });
  const stream = new Stream({ switchboard, office, log, silence: 50 });
  stream.start();
  try {
    await eventually(() => api.polls === 2);
    assert.equal(api.followers.length, 1);
  } finally {
    stream.stop();
  }
});

test("an id that no header can have ends nothing", async () => {
  await following();
  api.tell("heartbeat", { current: true }, "\u2713");
  api.endStreams();
  await eventually(() => api.followers.length === 2);
  assert.equal(api.followers[1]["last-event-id"], undefined);
});

test("what can't be read ends the connection, and not the process", async () => {
  await following();
  api.tell("snapshot", "no services");
  await eventually(() => api.followers.length === 2);
});

test("outcomes are told about once a second", async () => {
  holdfast.call("payments", () => 1);
  assert.throws(() => holdfast.call("payments", () => { throw new Error("it broke"); }));
  const telling = await eventually(() => api.tellings[0]);
  assert.match(telling.reporter, /^[!-~]+:\d+:[0-9a-f]{8}$/);
  assert.deepEqual(telling.outcomes, [
    { service: "payments", epoch: 0, calls: 2, failures: 1, slow: 0 },
  ]);
});

test("outcomes that are not taken are told again", async () => {
  api.outcomeStatuses = [503];
  holdfast.call("payments", () => 1);
  const [first, again] = await eventually(() => api.tellings.length === 2 && api.tellings);
  assert.deepEqual(again.outcomes, first.outcomes);
});

test("in half-open a lease is asked for, and the probe's result is told at once", async () => {
  api.lease = { granted: true, expires_in: "PT9.8S", reason: "a probe may pass" };
  await following();
  api.snapshot(payments(HALF_OPEN));
  await eventually(() => holdfast.breaker("payments").status === "half_open");
  assert.throws(() => holdfast.call("payments", () => 1), BreakerOpen);
  const probe = () => holdfast.call("payments", () => 1, { fallback: () => 0 });
  assert.equal(await eventually(probe), 1);
  const result = await eventually(() => api.tellings.flatMap((each) => each.probes)[0]);
  const [{ service, request }] = api.leases;
  assert.equal(service, "payments");
  assert.equal(request.epoch, 3);
  assert.deepEqual(result, {
    service: "payments",
    epoch: 3,
    lease_id: request.lease_id,
    passed: true,
  });
});

test("while Holdfast is away, guarded calls are made as ever", async () => {
  await api.stop();
  const guarded = holdfast.guard("payments", async (sum) => sum + 1);
  assert.equal(await guarded(1), 2);
  await api.start();
  await eventually(() => api.followers.length > 0);
});

test("a guarded function keeps what it is called on and with", async () => {
  const shop = {
    name: "shop",
    charge: holdfast.guard("payments", function (sum) { return `${this.name} ${sum}`; }),
    refuse: holdfast.guard("payments", () => { throw new Error("it broke"); }, {
      fallback: (sum) => `later ${sum}`,
    }),
  };
  assert.equal(shop.charge(12), "shop 12");
  assert.equal(shop.refuse(12), "later 12");
  assert.throws(() => holdfast.guard("payments", () => 1, { fallback: "value" }), TypeError);
  assert.throws(() => holdfast.guard("two words", () => 1), TypeError);
});

test("a guarded async function never throws before it gives its promise", async () => {
  await following();
  api.snapshot(payments(OPEN));
  await eventually(() => holdfast.breaker("payments").status === "forced_open");
  const charge = holdfast.guard("payments", async () => "charged");
  assert.equal(await charge().catch((error) => error.reason), "a drill");
  const broken = () => { throw new Error("no fallback either"); };
  const guarded = holdfast.guard("payments", async () => "charged", { fallback: broken });
  await assert.rejects(guarded(), /no fallback either/);
});

test("events are read whole, in whatever pieces they come", () => {
  const text =
    "retry: 1000\n\n: a comment\r\nid: a.1\nevent: service\r\n" +
    'data: {"a":\ndata: 1}\n\ndata:x\n\n';
  for (let size = 1; size < text.length; size += 1) {
    const events = [];
    const parser = new EventParser((kind, data) => events.push([kind, data]));
    for (let start = 0; start < text.length; start += size) {
      parser.push(text.slice(start, start + size));
    }
    assert.deepEqual(events, [["service", '{"a":\n1}'], ["message", "x"]]);
    assert.equal(parser.lastId, "a.1");
  }
});

/** Run a program that makes a call and a report and has nothing else to do; its exit code. */
async function runOut() {
  const script = `
    import { Holdfast } from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
    const holdfast = new Holdfast();
    holdfast.feature("previews");
    holdfast.call("payments", () => 1);
    holdfast.report("the last");
  `;
  const environment = { HOLDFAST_URL: api.url, HOLDFAST_KEY: "hf_key", HOLDFAST_SERVICE: "shop" };
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "inherit", "ignore"],
  });
  const [code] = await once(child, "exit");
  return code;
}

test("a process with nothing else to do ends, and its last report is sent", async () => {
  assert.equal(await runOut(), 0);
  assert.equal(api.batches[0].entries[0].message, "the last");
});

test("it ends also while Holdfast gives no answer, sooner than that is given up", async () => {
  api.hangs = true;
  let code;
  runOut().then((ended) => (code = ended));
  await eventually(() => code === 0, 8000);
});
