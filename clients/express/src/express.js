/** Owns what Express sees: the middleware that reports errors and answers for open breakers. */

import { BreakerOpen } from "./breaker-open.js";

export const HIDDEN = "[secret]";

// Rather too many than too few.
const SECRET = new RegExp(
  "auth(?!ors?$)|bearer|cookie|credential|[cx]srf|jwt|key|passw|passphrase|pwd|secret|session" +
    "|signature|token|^(code|sig|otp|pin)$",
  "i",
);
// A parameter of a URL, as a Referer has them.
const PARAMETER = /([?&;#]([^=&;#\s]+)=)[^&;#\s]*/g;
const DEEPEST = 8;
const FIRST_PROBLEM = 400;
const SERVERS_FAULT = 500;

/**
 * An error middleware: reports what is the server's fault, and passes every error on but an open
 * breaker's, which it answers with 503 if nothing was sent yet.
 *
 * @param {import("./holdfast.js").Holdfast} holdfast Takes the reports.
 * @param {{context?: (request: object) => object}} options `context` gives more of a request.
 */
export function errorHandler(holdfast, { context } = {}) {
  const by = {};
  // Express tells error middleware by its four parameters.
  return (error, request, response, next) => {
    const open = openBreaker(error);
    if (!open && statusOf(error) >= SERVERS_FAULT && claimed(error, by)) {
      holdfast.report(error, {
        context: { ...told(requestContext, request), ...told(context, request) },
        traceId: traceId(request),
      });
    }
    if (open && !response.headersSent) {
      answer(response, request, open);
      return;
    }
    next(error);
  };
}

// By error, who reports it.
const claimants = new WeakMap();

/**
 * Whether an error is this one's to report: on its way out it meets several who would, the code
 * that catches it, a router's middleware, the app's. The first has it, and has it again when it
 * meets the same object again, since some programs throw one error over and over.
 */
export function claimed(error, by) {
  if (typeof error !== "object" || error === null) {
    return true;
  }
  if (!claimants.has(error)) {
    claimants.set(error, by);
  }
  return claimants.get(error) === by;
}

/** What is known of a request, without what may be secret. */
export function requestContext(request) {
  const route = request.route?.path;
  return {
    method: request.method,
    path: (request.baseUrl ?? "") + (request.path ?? ""),
    route: typeof route === "string" ? (request.baseUrl ?? "") + route : undefined,
    query: masked(request.query),
    headers: masked(request.headers),
    client: request.ip,
    request_id: request.get?.("x-request-id"),
  };
}

/** A value as it is, but for those of secret names, however deep. */
function masked(value, depth = DEEPEST) {
  if (typeof value === "string") {
    return value.replace(PARAMETER, (all, head, name) => (SECRET.test(name) ? head + HIDDEN : all));
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (depth === 0) {
    return HIDDEN;
  }
  if (Array.isArray(value)) {
    return value.map((each) => masked(each, depth - 1));
  }
  const pairs = Object.entries(value);
  const shown = (name, each) => (SECRET.test(name) ? HIDDEN : masked(each, depth - 1));
  return Object.fromEntries(pairs.map(([name, each]) => [name, shown(name, each)]));
}

/** An open breaker, be it the error or what caused it. */
function openBreaker(error) {
  if (error instanceof BreakerOpen) {
    return error;
  }
  return error?.cause instanceof BreakerOpen ? error.cause : undefined;
}

/** As Express has it: an error without a status of a problem is the server's fault. */
function statusOf(error) {
  const status = error?.status ?? error?.statusCode;
  return Number.isInteger(status) && status >= FIRST_PROBLEM ? status : SERVERS_FAULT;
}

/** What one describes of a request; one that fails costs nothing but itself. */
function told(describe, request) {
  try {
    return describe?.(request) ?? {};
  } catch (error) {
    return { context_failed: error };
  }
}

/** The trace of the W3C's header, `version-trace-parent-flags`. */
function traceId(request) {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(request.headers?.traceparent ?? "")?.[1];
}

/** Say when to come again (RFC 9457), and nothing of which service is spared and why. */
function answer(response, request, open) {
  const wait = Math.max(1, Math.ceil(open.retryAfter / 1000));
  response.status(503);
  response.set("Retry-After", String(wait));
  response.type("application/problem+json");
  response.send(
    JSON.stringify({
      type: "urn:holdfast:problem:breaker-open",
      title: "Breaker open",
      status: 503,
      detail: `something that this needs is being spared; try again in ${wait} s`,
      instance: request.originalUrl?.split("?")[0],
    }),
  );
}
