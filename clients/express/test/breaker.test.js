/** Breakers: the fleet's word, the process's own eyes, leases and ramp, on the test's clock. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { BreakerOpen } from "../src/index.js";
import { Switchboard } from "../src/switchboard.js";

const START = Date.parse("2026-03-01T12:00:00Z");

let clock;
let drawn;
let said;
let urgent;
let board;
let breaker;

beforeEach(() => {
  clock = 100_000;
  drawn = 0;
  said = [];
  urgent = 0;
  board = new Switchboard({
    reporter: "test",
    service: "shop",
    log: (message) => said.push(message),
    clock: () => clock,
    now: () => START + clock - 100_000,
    draw: () => drawn,
  });
  board.onUrgent = () => {
    urgent += 1;
  };
  breaker = board.breaker("payments");
});

/** Have the fleet say something of payments. */
function fleet(status, more = {}, rules = {}) {
  const told = { status, epoch: 1, reason: "it was told", share: 1, probes_at: null, ...more };
  board.hear([{ service: "payments", breaker: told, rules, features_off: [] }], { whole: false });
  board.contact();
}

function passes() {
  try {
    return breaker.run(() => true);
  } catch (error) {
    assert.ok(error instanceof BreakerOpen, String(error));
    return false;
  }
}

function fail(error = new Error("it broke")) {
  assert.throws(() => breaker.run(() => { throw error; }), (thrown) => thrown === error);
}

function rejection() {
  let rejected;
  assert.throws(() => breaker.run(() => true), (error) => {
    rejected = error;
    return error instanceof BreakerOpen;
  });
  return rejected;
}

function told() {
  const taken = board.takeOutcomes();
  return taken ? board.wired(taken) : undefined;
}

test("closed, it gives results, errors and promises on as they are", async () => {
  assert.equal(breaker.run(() => 12), 12);
  fail();
  assert.equal(await breaker.run(async () => 12), 12);
  await assert.rejects(breaker.run(async () => { throw new TypeError("no"); }), TypeError);
  assert.deepEqual(told().outcomes, [
    { service: "payments", epoch: 0, calls: 4, failures: 2, slow: 0 },
  ]);
  assert.equal(told(), undefined);
});

test("it trips at once by what this process sees, and lets nothing through for ten seconds", () => {
  for (let call = 0; call < 10; call += 1) {
    assert.ok(passes());
  }
  for (let call = 0; call < 10; call += 1) {
    fail();
  }
  const rejected = rejection();
  assert.equal(breaker.status, "open");
  assert.equal(rejected.reason, "10 of 20 calls failed within 30 s in this process");
  assert.equal(rejected.retryAfter, 10_000);
  assert.match(said[0], /the breaker of payments opened in this process/);
  clock += 9999;
  assert.equal(passes(), false);
  clock += 1;
  assert.equal(breaker.status, "half_open");
});

function trip() {
  for (let call = 0; call < 20; call += 1) {
    fail();
  }
  clock += 10_000;
}

test("alone in half-open it lets as many probes through at once as there are leases", () => {
  trip();
  const probes = [1, 2, 3].map(() => breaker.admit());
  assert.equal(passes(), false);
  probes.forEach((probe) => breaker.settle(probe, "passed"));
  assert.equal(breaker.status, "closed");
});

test("alone, after its probes, it ramps up", () => {
  trip();
  assert.ok([1, 2, 3].every(passes));
  for (const share of [0.05, 0.25, 0.5]) {
    drawn = share;
    assert.equal(passes(), false);
    drawn = share - 0.01;
    assert.equal(passes(), true);
    clock += 10_000;
  }
  drawn = 0.99;
  assert.equal(passes(), true);
});

test("what its ramp holds back is told when to come again", () => {
  trip();
  assert.ok([1, 2, 3].every(passes));
  drawn = 0.99;
  assert.equal(rejection().retryAfter, 1000);
});

test("other rules leave it open, and let half-open end", () => {
  trip();
  assert.ok([1, 2].every(passes));
  fleet("closed", { epoch: 0 }, { leases: 1, ramp: [] });
  assert.equal(breaker.status, "half_open");
  assert.equal(passes(), true);
  assert.equal(breaker.status, "closed");
  drawn = 0.99;
  assert.equal(passes(), true);
});

test("a ramp that other rules cut short is over", () => {
  trip();
  assert.ok([1, 2, 3].every(passes));
  fleet("closed", { epoch: 0 }, { ramp: [] });
  drawn = 0.99;
  assert.equal(passes(), true);
});

test("a probe that fails opens it again", () => {
  trip();
  fail();
  assert.equal(breaker.status, "open");
});

test("a hung probe does not hold it", () => {
  trip();
  [1, 2, 3].forEach(() => breaker.admit());
  assert.equal(passes(), false);
  clock += 10_000;
  assert.equal(passes(), true);
});

test("calls that were admitted before it opened count nothing after it", () => {
  const late = [1, 2, 3].map(() => breaker.admit());
  trip();
  late.forEach((each) => breaker.settle(each, "failed"));
  assert.equal(breaker.status, "half_open");
  late.forEach((each) => breaker.settle(each, "passed"));
  assert.equal(breaker.status, "half_open");
});

test("a short window is no shorter than it says", () => {
  fleet("closed", {}, { window: "PT1S", minimum_calls: 4 });
  clock = 100_900;
  fail();
  fail();
  clock = 101_100;
  fail();
  fail();
  assert.equal(breaker.status, "open");
});

test("old calls leave the window", () => {
  for (let call = 0; call < 19; call += 1) {
    fail();
  }
  clock += 31_000;
  fail();
  assert.equal(breaker.status, "closed");
});

test("slow calls open it too, where the rules say what is slow", () => {
  fleet("closed", {}, { slow_after: "PT0.5S", minimum_calls: 2 });
  for (let call = 0; call < 2; call += 1) {
    breaker.run(() => { clock += 600; });
  }
  assert.equal(rejection().reason, "2 of 2 calls took over 0.5 s within 30 s in this process");
  assert.equal(told().outcomes[0].slow, 2);
});

test("only the newest calls count where the rules say how many", () => {
  fleet("closed", {}, { window_calls: 2, minimum_calls: 2, window: "PT5M" });
  for (let call = 0; call < 10; call += 1) {
    passes();
    clock += 1000;
  }
  fail();
  assert.match(rejection().reason, /^1 of 2 calls failed within 300 s/);
});

test("a cancelled call says nothing, and neither do errors that are ignored", () => {
  const cancelled = Object.assign(new Error("stopped"), { name: "AbortError" });
  fail(cancelled);
  fleet("closed", {}, { ignore: ["CardError"] });
  class CardError extends Error {}
  fail(new CardError("declined"));
  const mine = new Error("mine");
  assert.throws(() => breaker.run(() => { throw mine; }, { ignore: (error) => error === mine }));
  assert.equal(told(), undefined);
});

test("where the rules say which errors count, another one went well", () => {
  fleet("closed", {}, { count_only: ["ConnectionError", "ECONNREFUSED"] });
  fail(new Error("another"));
  fail(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
  const [{ calls, failures }] = told().outcomes;
  assert.deepEqual({ calls, failures }, { calls: 2, failures: 1 });
});

test("a result may count as a failure", async () => {
  const failure = (response) => response.status >= 500;
  assert.equal(breaker.run(() => ({ status: 500 }), { failure }).status, 500);
  assert.equal((await breaker.run(async () => ({ status: 200 }), { failure })).status, 200);
  assert.equal(told().outcomes[0].failures, 1);
});

test("a fallback stands in for calls that failed or were not made, and for no others", async () => {
  const fallback = () => "instead";
  const broken = () => { throw new Error("it broke"); };
  assert.equal(breaker.run(broken, { fallback }), "instead");
  assert.equal(await breaker.run(async () => broken(), { fallback }), "instead");
  assert.throws(() => breaker.run(broken, { fallback, ignore: () => true }), /it broke/);
  fleet("forced_open");
  assert.equal(breaker.run(() => "called", { fallback }), "instead");
});

test("while the fleet's is open, nothing passes, and it says until when", () => {
  fleet("open", { epoch: 4, probes_at: "2026-03-01T12:00:05Z" });
  const { service, reason, epoch, retryAfter, status } = rejection();
  assert.deepEqual(
    { service, reason, epoch, retryAfter, status },
    { service: "payments", reason: "it was told", epoch: 4, retryAfter: 5000, status: 503 },
  );
});

test("out of contact the fleet's word holds for the grace time, then its own eyes", () => {
  fleet("open");
  clock += 15_000;
  assert.equal(passes(), false);
  clock += 1;
  assert.equal(passes(), true);
  board.contact();
  assert.equal(passes(), false);
});

test("contact that is lost and found again changes nothing of what this process sees", () => {
  fleet("closed", { epoch: 7 });
  clock += 10_000;
  for (let call = 0; call < 20; call += 1) {
    fail();
  }
  clock += 5001;
  assert.equal(breaker.status, "open");
  board.contact();
  assert.equal(breaker.status, "open");
  assert.equal(told().outcomes[0].epoch, 7);
});

test("a clock that is wrong makes nobody wait longer than the breaker can stay open", () => {
  fleet("open", { probes_at: "2026-03-01T13:00:00Z" });
  assert.equal(rejection().retryAfter, 72_000);
  fleet("open", { probes_at: "2026-03-01T11:00:00Z" });
  assert.equal(rejection().retryAfter, 0);
});

test("an async function rejects with what another one throws", async () => {
  fleet("forced_open");
  await assert.rejects(breaker.run(async () => true), BreakerOpen);
  assert.throws(() => breaker.run(() => Promise.resolve(true)), BreakerOpen);
});

test("what no service can be called is refused: with it the API would refuse all the others", () => {
  for (const name of ["two words", "", undefined, "a".repeat(101)]) {
    assert.throws(() => board.breaker(name), TypeError);
  }
});

test("an operator's modes: nothing passes, everything does, or everything does and counts", () => {
  fleet("forced_open");
  assert.equal(passes(), false);
  fleet("disabled", { epoch: 2 });
  trip();
  assert.equal(passes(), true);
  assert.equal(told(), undefined);
  fleet("metrics_only", { epoch: 3 });
  trip();
  assert.equal(passes(), true);
  assert.equal(told().outcomes[0].failures, 20);
});

test("in half-open a call asks for a lease, and the next one that has it is the probe", () => {
  fleet("half_open", { epoch: 5 });
  assert.equal(rejection().reason, "only probe calls pass");
  assert.equal(urgent, 1);
  const [{ service, request }] = board.wantedLeases();
  assert.deepEqual([service, request.reporter, request.epoch], ["payments", "test", 5]);
  assert.equal(passes(), false);
  assert.deepEqual(board.wantedLeases(), []);
  board.leaseAnswered("payments", request, 9800);
  assert.equal(passes(), true);
  assert.equal(passes(), false);
  assert.deepEqual(told().probes, [
    { service: "payments", epoch: 5, lease_id: request.lease_id, passed: true },
  ]);
});

/** Have a call ask for a lease; gives what was asked. */
function ask() {
  passes();
  const [{ request }] = board.wantedLeases();
  return request;
}

function lease(expiresIn = 10_000) {
  const request = ask();
  board.leaseAnswered("payments", request, expiresIn);
  return request;
}

test("without a lease it asks again after a second, for the same one", () => {
  fleet("half_open");
  const refused = ask();
  board.leaseAnswered("payments", refused, undefined);
  assert.equal(passes(), false);
  assert.deepEqual(board.wantedLeases(), []);
  clock += 1250;
  const { lease_id: again } = lease();
  assert.equal(again, refused.lease_id, "if only the answer was lost, there is one, not two");
  assert.equal(passes(), true);
  assert.notEqual(ask().lease_id, again);
});

test("a probe that fails or is slow is told so", () => {
  fleet("half_open", {}, { slow_after: "PT1S" });
  lease();
  fail();
  lease();
  breaker.run(() => { clock += 1001; });
  assert.deepEqual(told().probes.map((probe) => probe.passed), [false, false]);
});

test("a cancelled probe leaves its lease to the next call", () => {
  fleet("half_open");
  lease();
  fail(Object.assign(new Error("stopped"), { name: "AbortError" }));
  assert.equal(told(), undefined);
  assert.equal(passes(), true);
});

test("a lease that has run out, or is of another epoch, is good for nothing", () => {
  fleet("half_open");
  lease(500);
  clock += 500;
  assert.equal(passes(), false);
  fleet("half_open", { epoch: 3 });
  lease();
  fleet("half_open", { epoch: 5 });
  assert.equal(passes(), false);
});

test("the fleet's ramp lets its share through", () => {
  fleet("closed", { share: 0.25 });
  drawn = 0.25;
  assert.equal(rejection().reason, "25 % of the calls are let through for now");
  drawn = 0.24;
  assert.equal(passes(), true);
});

test("outcomes that could not be told go with the next, for five seconds", () => {
  passes();
  const taken = board.takeOutcomes();
  board.giveBack(taken);
  clock += 5000;
  assert.equal(told().outcomes.length, 1);
  board.giveBack(taken);
  clock += 1;
  assert.equal(told(), undefined);
});

test("what may have been taken all the same is not told twice, but for probes", () => {
  fleet("half_open");
  lease();
  passes();
  board.giveBack(board.takeOutcomes(), { probesOnly: true });
  const { outcomes, probes } = told();
  assert.deepEqual([outcomes.length, probes.length], [0, 1]);
});

test("outcomes of an epoch that is over are nobody's news", () => {
  passes();
  fleet("closed", { epoch: 9 });
  assert.equal(told(), undefined);
});

test("features are on until Holdfast says that they are off", () => {
  assert.equal(board.feature("previews"), true);
  assert.equal(board.feature("previews", { default: false }), false);
  board.hear([{ service: "shop", features_off: ["previews"] }], { whole: true });
  assert.equal(board.feature("previews"), false);
  assert.equal(board.feature("chat", { default: false }), true);
  assert.equal(board.feature("previews", { service: "other", default: false }), true);
  board.hear([], { whole: true });
  assert.equal(board.feature("previews"), true);
});

test("a service that is missing from a snapshot is unknown again", () => {
  fleet("forced_open");
  board.hear([], { whole: true });
  assert.equal(passes(), true);
});

// A history of random events against what must hold in every state.
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const STATUSES = ["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"];

test("in two thousand random histories no call passes that must not", () => {
  for (let seed = 0; seed < 2000; seed += 1) {
    const draw = random(seed);
    let status = "closed";
    let epoch = 1;
    let granted = 0;
    fleet("closed", { epoch: (epoch += 1) });
    const running = [];
    for (let step = 0; step < 40; step += 1) {
      const event = Math.floor(draw() * 7);
      drawn = draw();
      if (event === 0) {
        status = STATUSES[Math.floor(draw() * STATUSES.length)];
        granted = 0;
        fleet(status, { epoch: (epoch += 1) });
      } else if (event === 1) {
        clock += Math.floor(draw() * 3000);
        board.contact();
      } else if (event === 2 && running.length > 0) {
        const [call] = running.splice(Math.floor(draw() * running.length), 1);
        breaker.settle(call, ["passed", "failed", "uncounted"][Math.floor(draw() * 3)]);
      } else if (event === 3) {
        for (const { request } of board.wantedLeases()) {
          const isGranted = draw() < 0.5;
          granted += isGranted ? 1 : 0;
          board.leaseAnswered("payments", request, isGranted ? 10_000 : undefined);
        }
      } else {
        let call;
        try {
          call = breaker.admit();
        } catch (error) {
          assert.ok(error instanceof BreakerOpen);
          assert.ok(error.retryAfter >= 0);
        }
        if (call) {
          running.push(call);
          assert.ok(!["open", "forced_open"].includes(status), `${status} let a call pass`);
          assert.equal(Boolean(call.probe?.ofFleet), status === "half_open");
        }
        assert.ok(call || !["disabled", "metrics_only"].includes(status), `${status} rejected`);
      }
    }
    const probes = told()?.probes.filter((probe) => probe.epoch === epoch) ?? [];
    assert.ok(probes.length <= granted, "more probes than leases");
  }
});
