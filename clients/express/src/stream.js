/** Owns the following of Holdfast's event stream, and the asking where it does not get through. */

import http from "node:http";
import https from "node:https";

import { EventParser } from "./event-parser.js";
import { backoff, isOfTheKey, later } from "./post.js";

// A heartbeat comes every five seconds.
const SILENCE = 10_000;
const AGAIN = 1000;
// Shorter than the grace time, so that one lost attempt does not end it.
const LONGEST_WAIT = 5000;
const LONGEST_REFUSED = 30_000;
// Where a proxy holds the events back.
const POLL_EVERY = 2000;
const POLL_FOR = 300_000;
const POLL_TIMEOUT = 3000;
const SILENT = "nothing was heard";
const HEADER = /^[!-~]*$/;

/** Keeps a switchboard up to date for as long as it is wanted. */
export class Stream {
  #switchboard;
  #office;
  #log;
  #silence;
  #lastId = "";
  #etag = "";
  #request;
  #timer;
  #failures = 0;
  #pollsUntil = -Infinity;
  #runs = false;

  constructor({ switchboard, office, log, silence = SILENCE }) {
    this.#switchboard = switchboard;
    this.#office = office;
    this.#log = log;
    this.#silence = silence;
  }

  /** Begin; keeps no process alive. */
  start() {
    if (!this.#runs) {
      this.#runs = true;
      this.#follow();
    }
  }

  /** Stop. */
  stop() {
    this.#runs = false;
    clearTimeout(this.#timer);
    this.#request?.destroy();
  }

  /** Follow one connection to its end, then come again. */
  #follow() {
    const resume = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
    const accept = { Accept: "text/event-stream", ...resume };
    const { url, headers } = this.#office.to("/events", accept);
    const { get } = url.protocol === "https:" ? https : http;
    // By hand and not by fetch, whose connections keep a process alive that has nothing else to do.
    const request = get(url, { headers, agent: false, timeout: this.#silence });
    this.#request = request;
    const connection = { status: 0, hasTold: false };
    const end = once((reason) => {
      request.destroy();
      void this.#ended(connection, reason);
    });
    request.on("socket", (socket) => socket.unref());
    request.on("timeout", () => end(SILENT));
    request.on("error", (error) => end(String(error)));
    request.on("response", (response) => this.#read(response, connection, end));
  }

  #read(response, connection, end) {
    connection.status = response.statusCode;
    if (connection.status !== 200) {
      end(`HTTP ${connection.status}`);
      return;
    }
    const parser = new EventParser((kind, text) => {
      this.#take(kind, text);
      this.#lastId = HEADER.test(parser.lastId) ? parser.lastId : "";
      this.#failures = 0;
      connection.hasTold = true;
    });
    response.setEncoding("utf8");
    response.on("error", (error) => end(String(error)));
    // That the server ends it is nothing special, once it has told something.
    response.on("end", () => end(connection.hasTold ? undefined : "no event came"));
    response.on("data", (text) => {
      try {
        parser.push(text);
      } catch (error) {
        this.#lastId = "";
        end(`what it told can't be read: ${error}`);
      }
    });
  }

  #take(kind, text) {
    if (kind === "snapshot") {
      this.#switchboard.hear(JSON.parse(text).services, { whole: true });
    } else if (kind === "service") {
      this.#switchboard.hear([JSON.parse(text)], { whole: false });
    } else if (kind === "heartbeat" && JSON.parse(text).current) {
      this.#switchboard.contact();
    }
  }

  /** After any end but the server's own it asks once; where events are held back, for longer. */
  async #ended(connection, reason) {
    if (!this.#runs) {
      return;
    }
    if (reason === undefined) {
      this.#come(AGAIN * Math.random());
      return;
    }
    if (this.#failures === 1) {
      this.#log(`the event stream does not get through (${reason})`);
    }
    this.#failures += 1;
    if (reason === SILENT && connection.status === 200 && !connection.hasTold) {
      this.#pollsUntil = performance.now() + POLL_FOR;
    }
    await this.#ask(isOfTheKey(connection) ? LONGEST_REFUSED : LONGEST_WAIT);
  }

  async #ask(longest = LONGEST_WAIT) {
    const isAnswered = await this.#poll();
    const goesOn = isAnswered && performance.now() < this.#pollsUntil;
    this.#come(goesOn ? POLL_EVERY : backoff(this.#failures - 1, { longest }), goesOn);
  }

  #come(wait, asks = false) {
    if (this.#runs) {
      this.#timer = later(wait, () => (asks ? void this.#ask() : this.#follow()));
    }
  }

  /** Whether there was an answer; without one, after the grace time each breaker is on its own. */
  async #poll() {
    try {
      const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
      const answer = await this.#office.get("/features", { headers, timeout: POLL_TIMEOUT });
      if (answer.ok) {
        this.#switchboard.hear(JSON.parse(answer.text).services, { whole: true });
        this.#etag = answer.headers.get("ETag") ?? "";
      }
      const isGood = answer.ok || answer.status === 304;
      if (isGood) {
        this.#switchboard.contact();
      }
      return isGood;
    } catch {
      return false;
    }
  }
}

function once(work) {
  let done = false;
  return (reason) => {
    if (!done) {
      done = true;
      work(reason);
    }
  };
}
