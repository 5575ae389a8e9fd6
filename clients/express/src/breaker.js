/** Owns the breaker of one service in one process: the fleet's word, and what it sees itself. */

import { BreakerOpen } from "./breaker-open.js";
import { classNames } from "./entry.js";
import { guarded } from "./guarded.js";
import { OwnBreaker } from "./own-breaker.js";
import { Probes } from "./probes.js";
import { BUILT_IN, judged, readRules } from "./rules.js";
import { Window } from "./window.js";

/** What holds of a service that nothing was heard of. */
const UNKNOWN = { status: "closed", epoch: 0, reason: "", probesAt: undefined, share: 1 };

// When to call again, if nothing says when that is.
const SOME_TIME = 5000;
const SOON = 1000;

/** Decides in process whether a call passes, and counts how it went. */
export class Breaker {
  #around;
  #rules = BUILT_IN;
  #heard = UNKNOWN;
  #alone = UNKNOWN;
  #fleet = UNKNOWN;
  #own = new OwnBreaker(BUILT_IN);
  #window = new Window(BUILT_IN, 0);
  #sums = noCalls();
  #probes = new Probes();

  /**
   * @param {string} service What is called.
   * @param {object} around What it shares with the process's other breakers: see the switchboard.
   */
  constructor(service, around) {
    this.service = service;
    this.#around = around;
  }

  /** The fleet's status while that is not closed, else this process's own. */
  get status() {
    this.#refresh();
    return this.#fleet.status === "closed" ? this.#own.status : this.#fleet.status;
  }

  /** In how many milliseconds it makes sense to call; 0 for now. */
  get retryAfter() {
    this.#refresh();
    return this.#wait(this.#around.clock());
  }

  /**
   * Make a call, if it may be made, and count how it went; a promise counts when it is settled.
   *
   * @throws {BreakerOpen} It may not, and there is no fallback.
   */
  run(call, options = {}) {
    return guarded(this, call, { log: this.#around.log, ...options });
  }

  /**
   * Let a call pass; whoever is let pass tells `settle` how it went.
   *
   * @throws {BreakerOpen} The call is not to be made.
   */
  admit() {
    this.#around.onUse();
    this.#refresh();
    const at = this.#around.clock();
    const probe = this.#probe(at);
    if (!probe && !this.#passes()) {
      if (this.#fleet.status === "half_open" && this.#probes.want(at)) {
        this.#around.onUrgent();
      }
      throw new BreakerOpen(this.service, {
        reason: this.#reason(),
        epoch: this.#fleet.epoch,
        retryAfter: this.#wait(at),
      });
    }
    return { window: this.#window, probe, since: at };
  }

  /** How an error counts: "failed", "passed" or "uncounted". */
  judge(error) {
    const isCancelled = error?.name === "AbortError";
    return isCancelled || error instanceof BreakerOpen
      ? "uncounted"
      : judged(this.#rules, classNames(error));
  }

  /** Take how an admitted call went. */
  settle({ window, probe, since }, how) {
    this.#refresh();
    const at = this.#around.clock();
    if (window !== this.#window) {
      return; // Of an epoch that is over: it says nothing of this one.
    }
    if (how === "uncounted") {
      if (probe) {
        this.#probes.giveBack(probe, at);
      }
      return;
    }
    const failed = how === "failed";
    const slow = at - since > this.#rules.slowAfter;
    this.#count({ failed, slow, at });
    if (probe) {
      this.#settleProbe(probe, !failed && !slow, at);
    } else if ((failed || slow) && this.#fleet.status === "closed") {
      this.#consider(at);
    }
  }

  /** Take what the fleet goes by from now on. */
  hear({ breaker = {}, rules = {} }) {
    const { status, epoch, reason, probes_at: probesAt, share } = { ...UNKNOWN, ...breaker };
    const before = this.#rules;
    this.#rules = readRules(rules);
    this.#heard = { status, epoch, reason, share, probesAt: this.#clocked(probesAt) };
    this.#alone = { ...UNKNOWN, epoch };
    if (JSON.stringify(before) !== JSON.stringify(this.#rules)) {
      this.#own.ruled(this.#rules);
      this.#turn();
    }
    this.#refresh();
  }

  /** The sums since the last taking; undefined if there were no calls. */
  takeOutcomes() {
    this.#refresh();
    const { calls, failures, slow } = this.#sums;
    this.#sums = noCalls();
    const { epoch } = this.#fleet;
    return calls > 0 ? { service: this.service, epoch, calls, failures, slow } : undefined;
  }

  /** How the fleet's probes went, once. */
  takeProbes() {
    return this.#probes.takeResults();
  }

  /** What to ask the fleet for, once for each time that a lease is wanted. */
  wantedLease() {
    this.#refresh();
    const { reporter, clock, draw } = this.#around;
    const { status, epoch } = this.#fleet;
    const isAsking = status === "half_open";
    return isAsking ? this.#probes.request({ reporter, epoch, at: clock(), draw }) : undefined;
  }

  /** Take the answer to such a request: how long the lease is good for, undefined without one. */
  leaseAnswered(request, expiresIn) {
    this.#refresh();
    const isOfNow = this.#fleet.status === "half_open" && request.epoch === this.#fleet.epoch;
    if (expiresIn !== undefined && isOfNow) {
      const at = this.#around.clock();
      this.#probes.granted(request.lease_id, at + expiresIn, at);
    }
  }

  /** The share of calls that pass while both are closed. */
  get #share() {
    return Math.min(this.#fleet.share, this.#own.share);
  }

  /** Whether calls pass without being probes, as far as this process can tell. */
  #passes() {
    switch (this.#fleet.status) {
      case "disabled":
      case "metrics_only":
        return true;
      case "closed": {
        const share = this.#share;
        return this.#own.status === "closed" && (share >= 1 || this.#around.draw() < share);
      }
      default:
        return false;
    }
  }

  #probe(at) {
    if (this.#fleet.status === "closed" && this.#own.status === "half_open") {
      return this.#probes.take(at) ?? this.#own.lease(at);
    }
    return this.#fleet.status === "half_open" ? this.#probes.take(at) : undefined;
  }

  #count({ failed, slow, at }) {
    if (this.#fleet.status === "disabled") {
      return;
    }
    this.#window.note({ failed, slow, at });
    this.#sums.calls += 1;
    this.#sums.failures += failed ? 1 : 0;
    this.#sums.slow += slow ? 1 : 0;
  }

  #settleProbe(probe, passed, at) {
    if (!probe.ofFleet) {
      this.#own.probed(probe.id, passed, at);
      this.#turnWith(this.#own.epoch);
      return;
    }
    const { epoch } = this.#fleet;
    this.#probes.tell({ service: this.service, epoch, lease_id: probe.id, passed });
    this.#around.onUrgent();
  }

  #consider(at) {
    const reason = this.#own.status === "closed" ? this.#window.verdict(at) : undefined;
    if (reason) {
      this.#own.trip(reason, at);
      this.#turnWith(this.#own.epoch);
      this.#around.log(`the breaker of ${this.service} opened in this process: ${reason}`);
    }
  }

  /** Do what has come due, and let go of the fleet's word when out of contact for too long. */
  #refresh() {
    const at = this.#around.clock();
    const before = this.#fleet;
    this.#fleet = at - this.#around.contactAt > this.#around.grace ? this.#alone : this.#heard;
    if (this.#fleet.epoch !== before.epoch || this.#fleet.status !== before.status) {
      this.#sums = noCalls();
      this.#beginAnew();
    }
    this.#own.advance(at);
    this.#turnWith(this.#own.epoch);
  }

  #beginAnew() {
    this.#own = new OwnBreaker(this.#rules);
    this.#turn();
  }

  /** Count anew in each epoch of the process's own: what was admitted before says nothing of it. */
  #turnWith(epoch) {
    if (this.#window.epoch !== epoch) {
      this.#turn();
    }
  }

  #turn() {
    this.#window = new Window(this.#rules, this.#own.epoch);
    this.#probes = new Probes();
  }

  /** A time of day by the process's clock, however wrong its own time of day is. */
  #clocked(moment) {
    if (!moment) {
      return undefined;
    }
    const { clock, now } = this.#around;
    return clock() + Math.min(Math.max(Date.parse(moment) - now(), 0), this.#rules.longestOpen);
  }

  #reason() {
    const { status, reason } = this.#fleet;
    if (status === "half_open") {
      return "only probe calls pass";
    }
    if (status !== "closed") {
      return reason;
    }
    switch (this.#own.status) {
      case "open":
        return `${this.#own.reason} in this process`;
      case "half_open":
        return "only probe calls pass in this process";
      default:
        return `${Math.round(this.#share * 100)} % of the calls are let through for now`;
    }
  }

  #wait(at) {
    switch (this.#fleet.status) {
      case "open":
        return this.#fleet.probesAt === undefined
          ? SOME_TIME
          : Math.max(0, this.#fleet.probesAt - at);
      case "forced_open":
        return SOME_TIME;
      case "half_open":
        return this.#probes.asksIn(at);
      case "closed":
        if (this.#own.status === "open") {
          return this.#own.probesIn(at);
        }
        return this.#own.status === "closed" && this.#share >= 1 ? 0 : SOON;
      default:
        return 0;
    }
  }
}

function noCalls() {
  return { calls: 0, failures: 0, slow: 0 };
}
