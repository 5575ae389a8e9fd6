/** Owns how a process comes by the leases of half-open, and what it tells of its probe calls. */

import { randomUUID } from "node:crypto";

// How long a process that got no lease waits before it asks again; its jitter is a quarter.
const ASK_AGAIN = 1000;
const ASK_JITTER = 0.25;

/** The leases that wait for a call, what is to be asked of the fleet, and what to tell it. */
export class Probes {
  #spare = [];
  #results = [];
  #wanted = false;
  #askAt = -Infinity;
  #leaseId = randomUUID();

  /** A lease that no call has used yet and that has not run out. */
  take(at) {
    this.#spare = this.#spare.filter((probe) => at < probe.expiresAt);
    return this.#spare.shift();
  }

  /** Have another call use the lease: the one that had it says nothing. */
  giveBack(probe, at) {
    if (at < probe.expiresAt) {
      this.#spare.push(probe);
    }
  }

  /** Ask the fleet for a lease, if it is time to; whether this is news. */
  want(at) {
    if (this.#wanted || at < this.#askAt) {
      return false;
    }
    this.#wanted = true;
    return true;
  }

  /** How long until it makes sense to call again. */
  asksIn(at) {
    return this.#wanted ? ASK_AGAIN : Math.max(0, this.#askAt - at);
  }

  /** What to ask the fleet for, once for each time that a lease is wanted. */
  request({ reporter, epoch, at, draw }) {
    if (!this.#wanted) {
      return undefined;
    }
    this.#wanted = false;
    this.#askAt = at + ASK_AGAIN * (1 + ASK_JITTER * (2 * draw() - 1));
    // The same until it is granted: if only the answer was lost, there is one lease, not two.
    return { lease_id: this.#leaseId, reporter, epoch };
  }

  /** Take a lease that was asked for; the next may be asked for at once. */
  granted(id, expiresAt, at) {
    this.#askAt = at;
    this.#leaseId = randomUUID();
    this.#spare.push({ id, expiresAt, ofFleet: true });
  }

  /** Keep how a probe of the fleet's went, until it is taken. */
  tell(result) {
    this.#results.push(result);
  }

  /** What is to be told, once. */
  takeResults() {
    return this.#results.splice(0);
  }
}
