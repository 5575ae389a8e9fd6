/** Owns how Holdfast's API is asked, and when to try again. Times are in milliseconds. */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const LONGEST_ASKED_WAIT = 300_000;
const TIMEOUT = 10_000;
const TRY_AGAIN = new Set([408, 425, 429]);

/** Asks one API with one key; an answer is its `status`, `ok`, `headers` and `text`. */
export class PostOffice {
  #base;
  #headers;
  #underWay = new Set();

  constructor({ url, key }) {
    this.#base = `${url}/api/system`;
    this.#headers = { Authorization: `Bearer ${key}` };
  }

  /** Send a value as JSON; gives the answer, whatever its status, or throws without one. */
  async post(path, value, { headers = {}, timeout } = {}) {
    return await this.#ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(value),
      timeout,
    });
  }

  /** Ask for a document, as `post` does. */
  async get(path, { headers, timeout } = {}) {
    return await this.#ask(path, { headers, timeout });
  }

  /** What a request of one's own needs: where to, and the headers. */
  to(path, headers = {}) {
    return { url: new URL(`${this.#base}${path}`), headers: { ...this.#headers, ...headers } };
  }

  /** Break off what is under way: it would keep a process that is about to end. */
  hangUp() {
    for (const each of this.#underWay) {
      each.abort();
    }
  }

  async #ask(path, { headers, timeout = TIMEOUT, ...what }) {
    const given = new AbortController();
    const late = new DOMException(`no answer within ${timeout} ms`, "TimeoutError");
    const timer = later(timeout, () => given.abort(late));
    this.#underWay.add(given);
    try {
      const response = await fetch(`${this.#base}${path}`, {
        ...what,
        headers: { ...this.#headers, ...headers },
        signal: given.signal,
      });
      const { status, ok } = response;
      return { status, ok, headers: response.headers, text: await response.text() };
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(given);
    }
  }
}

/** Whether an answer means that the same request may well be taken later. */
export function isLater(answer) {
  return answer.status >= 500 || TRY_AGAIN.has(answer.status);
}

/** Whether an answer refuses the key, which can be put right. */
export function isOfTheKey(answer) {
  return answer.status === 401 || answer.status === 403;
}

/**
 * The wait after so many failures: doubling from half a second to the longest, half of it random,
 * so that a fleet that lost Holdfast at one moment does not come back at one moment ("equal
 * jitter" of the AWS Architecture Blog's "Exponential Backoff and Jitter").
 */
export function backoff(failures, { longest = LONGEST_WAIT, draw = Math.random } = {}) {
  const wait = Math.min(longest, FIRST_WAIT * 2 ** Math.min(failures, 16));
  return wait * (0.5 + draw() / 2);
}

/** The wait that an answer asks for: seconds or a date (RFC 9110, 10.2.3); bounded. */
export function retryAfter(answer, now = Date.now()) {
  const told = answer.headers.get("Retry-After") ?? "";
  const wait = /^\d+$/.test(told) ? Number(told) * 1000 : Date.parse(told) - now;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), LONGEST_ASKED_WAIT) : 0;
}

/** A timer that keeps no process alive. */
export function later(wait, work) {
  return setTimeout(work, wait).unref();
}
