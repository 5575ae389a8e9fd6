/** Owns the sending of reports: in batches, each counted once however often it has to be sent. */

import { randomUUID } from "node:crypto";

import { backoff, isLater, isOfTheKey, later, retryAfter } from "./post.js";

const MOST_ENTRIES = 500;
// Of the MiB that a request may have.
const MOST_BYTES = 900 * 1024;
// From the first report to the batch, and between batches: a storm becomes few of them.
const REST = 200;
const FAREWELL = 2000;
// Some five minutes of a Holdfast that answers 500 to a batch, while it may take others.
const MOST_FAULTS = 15;

// Those that have something to send when the process runs out of other work.
const unsent = new Set();
let isWatching = false;

/** Carries what is in an outbox to the API, one request at a time. */
export class Courier {
  #outbox;
  #office;
  #log;
  #mostFaults;
  #batches = [];
  #failures = 0;
  #toldDropped = 0;
  #timer;
  #sending = false;
  #closed = false;
  #hasLeft = false;
  #waiting = new Set();

  constructor({ outbox, office, log, mostFaults = MOST_FAULTS }) {
    this.#outbox = outbox;
    this.#office = office;
    this.#log = log;
    this.#mostFaults = mostFaults;
  }

  /** Have what waits sent in a moment. */
  wake() {
    if (this.#closed) {
      this.#outbox.clear();
      return;
    }
    unsent.add(this);
    watchTheEnd();
    this.#schedule(REST);
  }

  /** Send what waits now, and wait until it is answered; false when that takes longer. */
  async flush(timeout) {
    return await this.#flush(timeout, { isUrgent: this.#failures === 0 });
  }

  /** Give what waits so long to be sent, then drop the rest. */
  async close(timeout) {
    const done = await this.#flush(timeout, { isUrgent: true });
    this.#closed = true;
    clearTimeout(this.#timer);
    unsent.delete(this);
    this.#outbox.clear();
    this.#drop(this.#batches.flatMap((batch) => batch.entries));
    this.#batches = [];
    this.#sayDropped();
    return done;
  }

  /** The last chance: the process has nothing else to do. Taken once, or it would never end. */
  async leave() {
    if (this.#hasLeft) {
      return;
    }
    this.#hasLeft = true;
    if (!(await this.#flush(FAREWELL, { isUrgent: true }))) {
      this.#office.hangUp();
    }
  }

  /** The number of the oldest report that has no answer; infinite if all have. */
  get #oldest() {
    return this.#batches[0]?.first ?? this.#outbox.oldest;
  }

  /** With what is urgent it tries at once, also while Holdfast is away. */
  async #flush(timeout, { isUrgent }) {
    const upTo = this.#outbox.newest;
    if (this.#oldest > upTo) {
      return true;
    }
    return await new Promise((resolve) => {
      const waiting = { upTo, done: () => end(true) };
      const end = (isAnswered) => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
        resolve(isAnswered);
      };
      // Not unref'd: whoever waits for it keeps the process.
      const timer = setTimeout(() => end(false), timeout);
      this.#waiting.add(waiting);
      if (isUrgent) {
        this.#hurry();
      }
    });
  }

  #schedule(wait) {
    if (!this.#timer && !this.#sending && !this.#closed) {
      this.#timer = later(wait, () => void this.#work());
    }
  }

  #hurry() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule(0);
  }

  async #work() {
    this.#timer = undefined;
    this.#sayDropped();
    this.#sending = true;
    const { instead, wait } = await this.#send((this.#batches[0] ??= this.#next()));
    this.#sending = false;
    if (this.#closed) {
      return; // What it carried was given up by then.
    }
    this.#batches.splice(0, 1, ...instead);
    for (const each of this.#waiting) {
      if (this.#oldest > each.upTo) {
        each.done();
      }
    }
    if (this.#oldest === Infinity) {
      unsent.delete(this);
    } else {
      this.#schedule(wait ?? (this.#waiting.size > 0 ? 0 : REST));
    }
  }

  #next() {
    const first = this.#outbox.oldest;
    return parcel(this.#outbox.take(MOST_ENTRIES, MOST_BYTES), { first });
  }

  /** Gives the batches that are left of one, and if it failed, how long to wait now. */
  async #send(batch) {
    const { key, entries } = batch;
    try {
      const headers = { "Idempotency-Key": key };
      return this.#answered(batch, await this.#office.post("/errors", entries, { headers }));
    } catch (error) {
      return this.#failed(batch, String(error.cause ?? error));
    }
  }

  #answered(batch, answer) {
    const { entries, key, first } = batch;
    if (isOfTheKey(answer)) {
      return this.#failed(batch, `it refuses the key: HTTP ${answer.status}`);
    }
    if (isLater(answer) && !this.#isHopeless(batch, answer)) {
      return this.#failed(batch, `HTTP ${answer.status}`, retryAfter(answer));
    }
    if (answer.status === 413 && entries.length > 1) {
      const half = Math.ceil(entries.length / 2);
      const halves = [entries.slice(0, half), entries.slice(half)];
      return { instead: halves.map((each) => parcel(each, { first })) };
    }
    const results = answer.ok ? resultsOf(answer) : undefined;
    const again = entries.filter((entry, place) => this.#isForLater(entry, results?.[place]));
    if (again.length > 0) {
      const reason = `it could not take ${again.length} reports`;
      return this.#failed(parcel(again, { key, first }), reason);
    }
    this.#sayBack();
    if (!results) {
      const told = answer.text.slice(0, 500);
      this.#drop(entries);
      this.#log(`${count(entries)} reports were refused: HTTP ${answer.status} ${told}`);
      return { instead: [] };
    }
    return { instead: [] };
  }

  /** Whether Holdfast fails at this batch itself, and has had its chances. */
  #isHopeless(batch, answer) {
    batch.faults += answer.status === 500 ? 1 : 0;
    return batch.faults >= this.#mostFaults;
  }

  #isForLater(entry, result) {
    if (!result || result.accepted) {
      return false;
    }
    if (result.problem?.status >= 500) {
      return true;
    }
    this.#log(`a report was refused: ${result.problem?.detail}`);
    this.#drop([entry]);
    return false;
  }

  #failed(batch, reason, asked = 0) {
    if (this.#failures === 0 && !this.#closed) {
      this.#log(`Holdfast is away, its reports are kept (${reason})`);
    }
    const wait = Math.max(asked, backoff(this.#failures));
    this.#failures += 1;
    return { instead: [batch], wait };
  }

  #sayBack() {
    if (this.#failures > 0) {
      this.#log("Holdfast is back");
    }
    this.#failures = 0;
  }

  #drop(entries) {
    this.#outbox.dropped += count(entries);
  }

  #sayDropped() {
    if (this.#outbox.dropped > this.#toldDropped) {
      this.#log(`${this.#outbox.dropped - this.#toldDropped} reports were dropped`);
      this.#toldDropped = this.#outbox.dropped;
    }
  }
}

/**
 * What one request sends; its key stays the same however often that has to be sent.
 *
 * @param {object[]} entries As the API takes them.
 * @param {object} given `first` is the number of the first of them, in the outbox.
 */
function parcel(entries, { first, key = randomUUID() }) {
  return { key, entries, first, faults: 0 };
}

/** How many reports entries stand for. */
function count(entries) {
  return entries.reduce((sum, entry) => sum + (entry.count ?? 1), 0);
}

/** One for each entry; undefined if it was not Holdfast that answered. */
function resultsOf(answer) {
  try {
    const { results } = JSON.parse(answer.text);
    return Array.isArray(results) ? results : undefined;
  } catch {
    return undefined;
  }
}

function watchTheEnd() {
  if (!isWatching) {
    isWatching = true;
    process.on("beforeExit", () => {
      for (const courier of unsent) {
        void courier.leave();
      }
    });
  }
}
