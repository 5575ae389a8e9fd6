/** Owns the one object that a service holds: reports, guarded calls and features in one place. */

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { types } from "node:util";

import { Courier } from "./courier.js";
import { claimed, errorHandler } from "./express.js";
import { Outbox } from "./outbox.js";
import { PostOffice } from "./post.js";
import { readSettings } from "./settings.js";
import { Stream } from "./stream.js";
import { Switchboard } from "./switchboard.js";
import { Teller } from "./teller.js";

const CLOSING = 2000;

/** Holdfast as a service sees it; see `index.d.ts` for what each method takes. */
export class Holdfast {
  #settings;
  #office;
  #outbox;
  #courier;
  #switchboard;
  #teller;
  #stream;
  #closed = false;

  constructor(options = {}, environment = process.env) {
    this.#settings = readSettings(options, environment);
    const { service, capacity, log, off } = this.#settings;
    this.#outbox = new Outbox(capacity);
    this.#switchboard = new Switchboard({ reporter: reporter(), service, log });
    if (off) {
      return;
    }
    const office = new PostOffice(this.#settings);
    const switchboard = this.#switchboard;
    this.#office = office;
    this.#courier = new Courier({ outbox: this.#outbox, office, log });
    this.#teller = new Teller({ switchboard, office, log });
    this.#stream = new Stream({ switchboard, office, log });
    switchboard.onUse = () => this.#start();
    switchboard.onUrgent = () => this.#teller.hurry();
  }

  get service() {
    return this.#settings.service;
  }

  get dropped() {
    return this.#outbox.dropped;
  }

  report(error, fields = {}) {
    if (!this.#courier) {
      return;
    }
    const { log } = this.#settings;
    try {
      const service = fields.service ?? this.service;
      if (!service) {
        throw new TypeError("no service: give it as service or HOLDFAST_SERVICE");
      }
      claimed(error, this);
      this.#outbox.put(error, { ...fields, service }, Date.now());
      this.#courier.wake();
    } catch (ours) {
      // The caller is handling an error already: ours must not be its second.
      this.#outbox.dropped += 1;
      log(`an error could not be reported: ${ours}`);
    }
  }

  guard(name, call, options = {}) {
    const holdfast = this;
    const { fallback } = options;
    this.#switchboard.breaker(name);
    if (fallback !== undefined && typeof fallback !== "function") {
      throw new TypeError(`the fallback of the guard of ${name} is no function`);
    }
    const isAsync = types.isAsyncFunction(call);
    return function guarded(...args) {
      const own = fallback && (() => fallback.apply(this, args));
      const given = { ...options, fallback: own, isAsync };
      return holdfast.call(name, () => call.apply(this, args), given);
    };
  }

  call(name, call, options = {}) {
    return this.#settings.off ? call() : this.#switchboard.breaker(name).run(call, options);
  }

  breaker(name) {
    return this.#switchboard.breaker(name);
  }

  feature(name, options = {}) {
    return this.#settings.off || this.#switchboard.feature(name, options);
  }

  errorHandler(options = {}) {
    return errorHandler(this, options);
  }

  async flush(timeout = CLOSING) {
    return (await this.#courier?.flush(timeout)) ?? true;
  }

  async close(timeout = CLOSING) {
    this.#closed = true;
    this.#stream?.stop();
    this.#teller?.stop();
    const done = (await this.#courier?.close(timeout)) ?? true;
    this.#office?.hangUp();
    return done;
  }

  #start() {
    if (!this.#closed) {
      this.#teller.start();
      this.#stream.start();
    }
  }
}

/** Names this process among all that report. */
function reporter() {
  const host = hostname().replace(/[^!-~]/g, "_").slice(0, 100);
  return `${host}:${process.pid}:${randomBytes(4).toString("hex")}`;
}
