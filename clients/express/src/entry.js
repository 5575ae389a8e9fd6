/** Owns how an error is described to Holdfast: bounded in every direction, and always JSON. */

import { basename } from "node:path";

/** What the API takes. */
const NAME_LENGTH = 200;
const MESSAGE_LENGTH = 4000;
const BASES = 30;
const FRAMES = 100;
const FRAME_LENGTH = 1000;
const LABELS = 50;
const ITEMS = 100;
const DEPTH = 8;
/** Our own: of a context in all, more than fit into a report. */
const VALUES = 10_000;
const MOST_BYTES = 64 * 1024;

const LEFT_OUT = "[left out]";

// What no store keeps: control characters but tab, line feed and carriage return.
const UNSTORABLE = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;
const NOT_IN_FINGERPRINTS = /[^!-~]/g;
// "    at handle (file:///srv/app/pay.js:10:15)" or "    at /srv/app/pay.js:10:15".
const FRAME = /^\s+at (?:(.*) \()?(.*?)(?::(\d+))?(?::(\d+))?\)?$/;

/**
 * Describe an error as a report, without when and how often it happened.
 *
 * @param {unknown} error An Error, or whatever was thrown, or a message.
 * @param {object} fields What the caller says of it.
 */
export function describe(error, fields) {
  const entry = { ...described(error), service: fields.service };
  const named = { error_type: fields.errorType, user: fields.user, trace_id: fields.traceId };
  for (const [name, value] of Object.entries(named)) {
    if (value !== undefined) {
      entry[name] = text(value);
    }
  }
  for (const name of ["category", "severity"]) {
    if (fields[name] !== undefined) {
      entry[name] = fields[name];
    }
  }
  if (fields.fingerprint) {
    entry.fingerprint = String(fields.fingerprint).replace(NOT_IN_FINGERPRINTS, "_").slice(0, 100);
  }
  if (fields.labels) {
    const labels = Object.entries(fields.labels).slice(0, LABELS);
    entry.labels = Object.fromEntries(labels.map(([name, each]) => [text(name), text(each)]));
  }
  if (fields.context) {
    entry.context = contextOf(fields.context);
  }
  const size = Buffer.byteLength(JSON.stringify(entry));
  if (size > MOST_BYTES) {
    entry.context = { left_out: `with its context the report had ${size} bytes` };
  }
  return entry;
}

/** The names of an error's classes, its own first: what rules may ask for. */
export function classNames(error) {
  const names = new Set();
  if (error instanceof Error) {
    names.add(String(error.name));
    let type = Object.getPrototypeOf(error);
    while (type && type !== Object.prototype) {
      names.add(String(type.constructor?.name ?? ""));
      type = Object.getPrototypeOf(type);
    }
    if (typeof error.code === "string") {
      names.add(error.code);
    }
  }
  names.delete("");
  return [...names];
}

function described(error) {
  if (!(error instanceof Error)) {
    return { error_type: "Error", message: text(error, MESSAGE_LENGTH) || "Error" };
  }
  const [own, ...bases] = classNames(error);
  return {
    error_type: text(own ?? "Error"),
    error_bases: bases.slice(0, BASES).map((each) => text(each)),
    message: text(error.message, MESSAGE_LENGTH) || text(own ?? "Error"),
    stack: stack(error),
  };
}

/** A context that can't be read costs the report its context only. */
function contextOf(context) {
  try {
    return plain(context, DEPTH, { left: VALUES });
  } catch (error) {
    return { left_out: `the context could not be read: ${text(error)}` };
  }
}

/** The frames, innermost last, with the files' names and not their folders. */
function stack(error) {
  const lines = typeof error.stack === "string" ? error.stack.split("\n") : [];
  const frames = lines.map((line) => FRAME.exec(line)).filter(Boolean);
  return frames
    .slice(0, FRAMES)
    .reverse()
    .map(([, called, file, line, column]) => {
      const place = [basename(file), line, column].filter(Boolean).join(":");
      return text(called ? `${called} (${place})` : place, FRAME_LENGTH);
    });
}

/**
 * The value in JSON's own types. A cycle ends at the depth, and all together at so many values:
 * objects of a server, which know each other, would be told over and over.
 */
function plain(value, depth, values) {
  values.left -= 1;
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) {
    return value;
  }
  if (value instanceof Error || value instanceof Date || typeof value !== "object") {
    return text(value, MESSAGE_LENGTH);
  }
  if (ArrayBuffer.isView(value)) {
    return `${value.byteLength} bytes`;
  }
  if (depth === 0) {
    return LEFT_OUT;
  }
  const told = (item) => (values.left > 0 ? plain(item, depth - 1, values) : LEFT_OUT);
  if (Array.isArray(value) || value instanceof Set) {
    return first(ITEMS, value).map(told);
  }
  const pairs = value instanceof Map ? value : properties(value);
  return Object.fromEntries(first(ITEMS, pairs).map(([name, item]) => [text(name), told(item)]));
}

/** Those that have a value. */
function* properties(object) {
  for (const name of Object.keys(object)) {
    const value = object[name];
    if (value !== undefined) {
      yield [name, value];
    }
  }
}

/** So many at the most, and no more are looked at. */
function first(most, values) {
  const taken = [];
  for (const value of values) {
    if (taken.length === most) {
      break;
    }
    taken.push(value);
  }
  return taken;
}

function text(value, length = NAME_LENGTH) {
  return written(value).slice(0, length).replace(UNSTORABLE, "\ufffd").toWellFormed();
}

function written(value) {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  }
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
