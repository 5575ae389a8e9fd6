/** Owns the telling of outcomes, about once a second, and the asking for leases. */

import { backoff, isLater } from "./post.js";
import { duration } from "./rules.js";

const EVERY = 1000;
// What it carries is worth nothing later.
const TIMEOUT = 3000;
const LONGEST_WAIT = 5000;

/** Passes on what a switchboard has to tell and to ask. */
export class Teller {
  #switchboard;
  #office;
  #log;
  #timer;
  #isUrgent = false;
  #isRefused = false;
  #failures = 0;
  #resumeAt = -Infinity;

  constructor({ switchboard, office, log }) {
    this.#switchboard = switchboard;
    this.#office = office;
    this.#log = log;
  }

  /** Begin; keeps no process alive. */
  start() {
    this.#timer ??= setInterval(() => void this.#tell(), EVERY).unref();
  }

  /** Stop; what was not told is old news in a moment. */
  stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Have it done now. */
  hurry() {
    if (this.#timer && !this.#isUrgent) {
      this.#isUrgent = true;
      queueMicrotask(() => {
        this.#isUrgent = false;
        void this.#tell();
      });
    }
  }

  async #tell() {
    if (performance.now() < this.#resumeAt) {
      return;
    }
    for (const { service, request } of this.#switchboard.wantedLeases()) {
      void this.#ask(service, request);
    }
    // A probe's result waits for no telling that is under way.
    const taken = this.#switchboard.takeOutcomes();
    if (!taken) {
      return;
    }
    try {
      const answer = await this.#post("/outcomes", this.#switchboard.wired(taken));
      if (isLater(answer)) {
        this.#switchboard.giveBack(taken);
      }
    } catch (error) {
      // It may have been taken all the same. A probe counts once however often it is told.
      this.#switchboard.giveBack(taken, { probesOnly: error.name === "TimeoutError" });
    }
  }

  async #ask(service, request) {
    let expiresIn;
    try {
      const path = `/circuit-breakers/${encodeURIComponent(service)}/lease`;
      const { ok, text } = await this.#post(path, request);
      const answer = ok ? JSON.parse(text) : {};
      expiresIn = answer.granted ? duration(answer.expires_in) : undefined;
    } catch {
      // As if there was none: it is asked for again.
    }
    this.#switchboard.leaseAnswered(service, request, expiresIn);
  }

  /** While Holdfast is away, less and less often: the breakers notice that by the stream. */
  async #post(path, value) {
    let answer;
    try {
      answer = await this.#office.post(path, value, { timeout: TIMEOUT });
    } finally {
      this.#took(answer);
    }
    if (!answer.ok && !isLater(answer) && !this.#isRefused) {
      // Once: it would be the same every second.
      this.#isRefused = true;
      this.#log(`${path} was refused: HTTP ${answer.status} ${answer.text.slice(0, 500)}`);
    }
    return answer;
  }

  #took(answer) {
    if (answer && !isLater(answer)) {
      this.#failures = 0;
      this.#resumeAt = -Infinity;
      return;
    }
    this.#failures += 1;
    this.#resumeAt = performance.now() + backoff(this.#failures, { longest: LONGEST_WAIT });
  }
}
