/** Owns everything that a process decides by, as Holdfast last told it. It does no I/O. */

import { Breaker } from "./breaker.js";
import { isName } from "./settings.js";

/** For so long out of contact the fleet's word still holds. */
const GRACE = 15_000;
// What is older says nothing of the present.
const OLDEST = 5000;
const MOST = 1000;

/** The breakers and features of a process. Times are milliseconds. */
export class Switchboard {
  #service;
  #around;
  #breakers = new Map();
  #heard = new Map();
  #featuresOff = new Map();
  #knowsAll = false;
  #waiting = [];

  /** Called at the first guarded call or feature. */
  onUse = () => {};
  /** Called when outcomes or leases should not wait for the second to be over. */
  onUrgent = () => {};

  /**
   * @param {object} given
   * @param {string} given.reporter Names the process to Holdfast, for as long as it lives.
   * @param {string} [given.service] The process's own, whose features are asked for.
   * @param {(message: string) => void} given.log Takes what people may want to know.
   * @param {() => number} [given.clock] A steady clock.
   * @param {() => number} [given.now] The time of day, in which the fleet says when it probes.
   * @param {() => number} [given.draw] Uniform random numbers in [0, 1).
   */
  constructor({
    reporter,
    service,
    log,
    clock = () => performance.now(),
    now = Date.now,
    draw = Math.random,
  }) {
    this.#service = service;
    this.#around = {
      reporter,
      log,
      clock,
      now,
      draw,
      grace: GRACE,
      contactAt: -Infinity,
      onUse: () => this.onUse(),
      onUrgent: () => this.onUrgent(),
    };
  }

  /**
   * The breaker in front of a service; always the same one.
   *
   * @throws {TypeError} No service can have this name.
   */
  breaker(name) {
    let breaker = this.#breakers.get(name);
    if (!breaker) {
      if (!isName(name)) {
        // The API would refuse it, and with it the outcomes of all others.
        throw new TypeError(
          `'${String(name)}' is no service's name; expected letters, digits, '.', '_' and '-'`,
        );
      }
      breaker = new Breaker(name, this.#around);
      this.#breakers.set(name, breaker);
      breaker.hear(this.#heard.get(name) ?? {});
    }
    return breaker;
  }

  /** Whether a feature is on; the default holds while nothing was heard of Holdfast yet. */
  feature(name, { default: fallback = true, service = this.#service } = {}) {
    this.onUse();
    const off = this.#featuresOff.get(service);
    if (off) {
      return !off.has(name);
    }
    // A service of which Holdfast knows nothing has nothing off.
    return this.#knowsAll || fallback;
  }

  /** Take news: of single services, or with `whole` of all that there are. */
  hear(services, { whole }) {
    const news = new Map(services.map((each) => [each.service, each]));
    if (whole) {
      for (const name of [...this.#heard.keys(), ...this.#breakers.keys()]) {
        if (!news.has(name)) {
          news.set(name, { service: name });
        }
      }
      this.#knowsAll = true;
    }
    if (this.#around.contactAt === -Infinity) {
      this.contact();
    }
    for (const [name, each] of news) {
      this.#heard.set(name, each);
      this.#featuresOff.set(name, new Set(each.features_off ?? []));
      this.#breakers.get(name)?.hear(each);
    }
  }

  /** Take a sign of life of Holdfast's: what was heard holds. */
  contact() {
    this.#around.contactAt = this.#around.clock();
  }

  /** What is to be told by now, with what came back and is young enough; undefined for nothing. */
  takeOutcomes() {
    const at = this.#around.clock();
    for (const breaker of this.#breakers.values()) {
      const outcomes = breaker.takeOutcomes();
      this.#waiting.push(...(outcomes ? [{ at, outcomes }] : []));
      this.#waiting.push(...breaker.takeProbes().map((probe) => ({ at, probe })));
    }
    const young = this.#waiting.filter((each) => at - each.at <= OLDEST);
    const taken = young.slice(0, MOST);
    this.#waiting = young.slice(MOST);
    return taken.length > 0 ? taken : undefined;
  }

  /**
   * Take back what could not be told; it goes with the next, unless it is old by then.
   *
   * @param {object[]} taken As `takeOutcomes` gave it.
   * @param {{probesOnly?: boolean}} which With `probesOnly` the sums are not to be told again.
   */
  giveBack(taken, { probesOnly = false } = {}) {
    this.#waiting.unshift(...(probesOnly ? taken.filter((each) => each.probe) : taken));
  }

  /** Taken outcomes as the API takes them. */
  wired(taken) {
    return {
      reporter: this.#around.reporter,
      outcomes: taken.flatMap((each) => each.outcomes ?? []),
      probes: taken.flatMap((each) => each.probe ?? []),
    };
  }

  /** Which services are to be asked for the right to make a probe call, each once. */
  wantedLeases() {
    return [...this.#breakers.values()].flatMap((breaker) => {
      const request = breaker.wantedLease();
      return request ? [{ service: breaker.service, request }] : [];
    });
  }

  /** Take the answer to such a request. */
  leaseAnswered(service, request, expiresIn) {
    this.breaker(service).leaseAnswered(request, expiresIn);
  }
}
