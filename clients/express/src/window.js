/** Owns the rolling window of one breaker in one epoch, in buckets. */

const WIDEST_BUCKET = 1000;
const FEWEST_BUCKETS = 10;

/** How the calls of the last while went. */
export class Window {
  #rules;
  #width;
  #buckets = [];

  /**
   * @param {object} rules The breaker's.
   * @param {number} epoch The epoch of the process's own breaker in which calls are admitted.
   */
  constructor(rules, epoch) {
    this.#rules = rules;
    this.#width = Math.min(WIDEST_BUCKET, rules.window / FEWEST_BUCKETS);
    this.epoch = epoch;
  }

  /** Count a call that ended. */
  note({ failed, slow, at }) {
    const place = Math.floor(at / this.#width);
    let newest = this.#buckets.at(-1);
    // A clock that went back counts in the newest.
    if (!newest || place > newest.place) {
      newest = { place, calls: 0, failures: 0, slow: 0 };
      this.#buckets.push(newest);
      this.#forget(place);
    }
    newest.calls += 1;
    newest.failures += failed ? 1 : 0;
    newest.slow += slow ? 1 : 0;
  }

  /** Why the breaker is to open, as a sentence; undefined while it is not. */
  verdict(at) {
    const { minimumCalls, failureRate, slowAfter, slowRate, window } = this.#rules;
    const { calls, failures, slow } = this.#sums(at);
    const within = `within ${window / 1000} s`;
    if (calls < minimumCalls) {
      return undefined;
    }
    if (failures / calls >= failureRate) {
      return `${failures} of ${calls} calls failed ${within}`;
    }
    if (slow / calls >= slowRate) {
      return `${slow} of ${calls} calls took over ${slowAfter / 1000} s ${within}`;
    }
    return undefined;
  }

  #sums(at) {
    this.#forget(Math.floor(at / this.#width));
    const sums = { calls: 0, failures: 0, slow: 0 };
    for (const bucket of this.#buckets.toReversed()) {
      if (sums.calls >= (this.#rules.windowCalls ?? Infinity)) {
        break;
      }
      sums.calls += bucket.calls;
      sums.failures += bucket.failures;
      sums.slow += bucket.slow;
    }
    return sums;
  }

  #forget(newest) {
    const oldest = newest - Math.ceil(this.#rules.window / this.#width);
    const young = this.#buckets.findIndex((bucket) => bucket.place > oldest);
    this.#buckets.splice(0, young === -1 ? this.#buckets.length : young);
  }
}
