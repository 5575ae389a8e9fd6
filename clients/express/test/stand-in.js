/** A stand-in for Holdfast's API: keeps what it is sent, and answers as a test wants. */

import { once } from "node:events";
import http from "node:http";

/** Listens on a port of its own until closed. */
export class StandIn {
  #server = http.createServer((request, response) => void this.#take(request, response));
  #streams = new Set();
  #port = 0;

  /** What `/errors` was sent: `{key, entries}` for each request. */
  batches = [];
  /** What `/outcomes` was sent. */
  tellings = [];
  /** What was asked for leases: `{service, request}`. */
  leases = [];
  /** The requests of event streams, their headers. */
  followers = [];
  /** How `/errors` answers: `{status, headers, body}`, the first for the first request. */
  answers = [];
  /** Whether `/errors` gives no answer at all. */
  hangs = false;
  /** The answers to `/errors` that are waited for in vain. */
  hanging = new Set();
  /** How `/outcomes` answers, the first for the first request; 204 after that. */
  outcomeStatuses = [];
  /** How often `/features` was asked. */
  polls = 0;
  /** How `/lease` answers. */
  lease = { granted: false, expires_in: null, reason: "all are given" };
  /** What `/features` answers; undefined for 404. */
  features = undefined;
  /** Whether event streams are refused. */
  refusesStreams = false;
  /** Whether event streams end as soon as they begin. */
  endsStreams = false;

  async start() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
    return this;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Stop listening; `start` listens on the same port again. */
  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    this.#server = http.createServer((request, response) => void this.#take(request, response));
  }

  /** Send an event to all that follow. */
  tell(kind, data, id = "") {
    for (const stream of this.#streams) {
      stream.write(`${id ? `id: ${id}\n` : ""}event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    }
  }

  /** Send a snapshot and a heartbeat. */
  snapshot(...services) {
    this.tell("snapshot", { services }, "hash.1");
    this.tell("heartbeat", { current: true });
  }

  /** End the streams, as a server that shuts down does. */
  endStreams() {
    for (const stream of this.#streams) {
      stream.end();
    }
  }

  async #take(request, response) {
    const body = await text(request);
    const path = request.url.replace("/api/system", "").split("?")[0];
    if (request.headers.authorization !== "Bearer hf_key") {
      reply(response, 401, {});
    } else if (path === "/errors") {
      this.#takeErrors(request, body, response);
    } else if (path === "/outcomes") {
      this.tellings.push(JSON.parse(body));
      reply(response, this.outcomeStatuses.shift() ?? 204);
    } else if (path.endsWith("/lease")) {
      this.leases.push({ service: path.split("/")[2], request: JSON.parse(body) });
      reply(response, 200, this.lease);
    } else if (path === "/events" && !this.refusesStreams) {
      this.followers.push(request.headers);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("retry: 1000\n\n");
      this.#streams.add(response);
      response.on("close", () => this.#streams.delete(response));
      if (this.endsStreams) {
        response.end();
      }
    } else if (path === "/features" && this.features) {
      this.polls += 1;
      reply(response, 200, this.features, { ETag: '"hash.1"' });
    } else {
      reply(response, 404, {});
    }
  }

  #takeErrors(request, body, response) {
    if (this.hangs) {
      this.hanging.add(response);
      response.on("close", () => this.hanging.delete(response));
      return;
    }
    const entries = JSON.parse(body);
    this.batches.push({ key: request.headers["idempotency-key"], entries });
    const results = entries.map(() => ({ accepted: true }));
    const { status, headers, body: told } = this.answers.shift() ?? { status: 202 };
    reply(response, status, told ?? { results }, headers);
  }
}

/** What a condition gives once it gives something; fails after a while. */
export async function eventually(condition, within = 10_000) {
  const until = Date.now() + within;
  for (;;) {
    const found = await condition();
    if (found) {
      return found;
    }
    if (Date.now() > until) {
      throw new Error(`not within ${within} ms: ${condition}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function text(request) {
  let read = "";
  request.setEncoding("utf8");
  for await (const piece of request) {
    read += piece;
  }
  return read;
}

function reply(response, status, value, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(value === undefined ? undefined : JSON.stringify(value));
}
