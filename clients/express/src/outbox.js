/** Owns the reports that wait to be sent: repeats folded, the count exact, the number bounded. */

import { describe } from "./entry.js";

// So many repeats the API takes in one entry.
const MOST_FOLDED = 1_000_000;

/** The reports that wait, the oldest first. */
export class Outbox {
  #entries = new Map();
  #capacity;
  #numbers = 0;

  /** How many reports were given up unsent. */
  dropped = 0;

  /** @param {number} capacity The most different reports. */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** The number of the oldest that waits; infinite if none does. */
  get oldest() {
    const [oldest] = this.#entries.values();
    return oldest?.number ?? Infinity;
  }

  /** The number of the newest that there ever was. */
  get newest() {
    return this.#numbers;
  }

  /** Add a report: to the same one that still waits, of which the latest context is kept. */
  put(error, fields, at) {
    const entry = describe(error, fields);
    const key = identity(entry);
    const known = this.#entries.get(key);
    if (known) {
      known.entry = entry;
      known.count += 1;
      known.last = at;
      return;
    }
    if (this.#entries.size >= this.#capacity) {
      const [[oldest, lost]] = this.#entries;
      this.#entries.delete(oldest);
      this.dropped += lost.count;
    }
    this.#numbers += 1;
    this.#entries.set(key, { entry, count: 1, first: at, last: at, number: this.#numbers });
  }

  /**
   * Take the oldest reports out, as the API takes them.
   *
   * @param {number} most So many.
   * @param {number} bytes As JSON, so long; one is always taken.
   */
  take(most, bytes) {
    const taken = [];
    let size = 0;
    for (const [key, waiting] of this.#entries) {
      const count = Math.min(waiting.count, MOST_FOLDED);
      const entry = wired({ ...waiting, count });
      size += Buffer.byteLength(JSON.stringify(entry)) + 1;
      if (taken.length === most || (taken.length > 0 && size > bytes)) {
        break;
      }
      taken.push(entry);
      waiting.count -= count;
      if (waiting.count > 0) {
        break; // The rest is the next batch's.
      }
      this.#entries.delete(key);
    }
    return taken;
  }

  /** Give up all that waits. */
  clear() {
    for (const each of this.#entries.values()) {
      this.dropped += each.count;
    }
    this.#entries.clear();
  }
}

function wired({ entry, count, first, last }) {
  const dated = { ...entry, occurred_at: new Date(last).toISOString() };
  const folded = { count, first_occurred_at: new Date(first).toISOString() };
  return count === 1 ? dated : { ...dated, ...folded };
}

/** Two reports of one identity have one fingerprint, and are classified alike. */
function identity(entry) {
  return JSON.stringify([
    entry.service,
    entry.error_type,
    entry.error_bases,
    entry.message,
    entry.stack,
    entry.fingerprint,
    entry.category,
    entry.severity,
    entry.labels,
  ]);
}
