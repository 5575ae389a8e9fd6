/** Owns the breaker that a process keeps for itself: open a short time, then probes and ramp. */

const OPEN_FOR = 10_000;

/** Opens at once on what this process sees. Times are milliseconds of one steady clock. */
export class OwnBreaker {
  #rules;
  #probesAt = 0;
  #living = new Map();
  #lastLease = 0;
  #passed = 0;
  #ramp;
  #rampEndsAt = 0;

  /** "closed", "open" or "half_open", as of the last call of any method. */
  status = "closed";
  /** Grows with each change of the status. */
  epoch = 0;
  reason = "";

  constructor(rules) {
    this.#rules = rules;
  }

  /** The share of calls that pass while it is closed. */
  get share() {
    return this.#ramp === undefined ? 1 : this.#rules.ramp[this.#ramp];
  }

  /** Go on under other rules; times that run already end as they would have. */
  ruled(rules) {
    this.#rules = rules;
    if (this.#ramp >= rules.ramp.length) {
      this.#ramp = undefined;
    }
    // One more probe must remain to be made: without it, half-open would never end.
    this.#passed = Math.min(this.#passed, rules.leases - 1);
  }

  /** Do what has come due. */
  advance(at) {
    if (this.status === "open" && at >= this.#probesAt) {
      this.#become("half_open", "it is time to probe");
    }
    while (this.#ramp !== undefined && at >= this.#rampEndsAt) {
      this.#rampTo(this.#ramp + 1, at);
    }
    for (const [id, expiresAt] of this.#living) {
      if (at >= expiresAt) {
        this.#living.delete(id);
      }
    }
  }

  /** How long it still stays open. */
  probesIn(at) {
    return this.status === "open" ? Math.max(0, this.#probesAt - at) : 0;
  }

  /** Open, if it is closed. */
  trip(reason, at) {
    if (this.status === "closed") {
      this.#open(reason, at);
    }
  }

  /** The right to make a probe call; undefined while enough of them are under way. */
  lease(at) {
    this.advance(at);
    const given = this.#living.size + this.#passed;
    if (this.status !== "half_open" || given >= this.#rules.leases) {
      return undefined;
    }
    this.#lastLease += 1;
    const expiresAt = at + this.#rules.leaseFor;
    this.#living.set(this.#lastLease, expiresAt);
    return { id: this.#lastLease, expiresAt };
  }

  /** Take how a probe call went; one that is too late says nothing. */
  probed(id, passed, at) {
    this.advance(at);
    if (this.status !== "half_open" || !this.#living.delete(id)) {
      return;
    }
    if (!passed) {
      this.#open("a probe call failed", at);
      return;
    }
    this.#passed += 1;
    if (this.#passed >= this.#rules.leases) {
      this.#become("closed", `${this.#passed} probe calls passed`);
      this.#rampTo(0, at);
    }
  }

  #open(reason, at) {
    this.#become("open", reason);
    this.#probesAt = at + OPEN_FOR;
  }

  #rampTo(step, at) {
    const isOver = step >= this.#rules.ramp.length;
    this.#ramp = isOver ? undefined : step;
    this.#rampEndsAt = at + this.#rules.rampStep;
  }

  #become(status, reason) {
    this.status = status;
    this.epoch += 1;
    this.reason = reason;
    this.#living.clear();
    this.#passed = 0;
    this.#ramp = undefined;
  }
}
