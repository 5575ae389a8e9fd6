/** Owns how the client is set: by options, and for what they leave out by the environment. */

const TRUE = new Set(["1", "true", "yes", "on"]);
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/;
const PRINTABLE = /^[!-~]+$/;

/** The most different reports that wait in memory. */
const CAPACITY = 1000;

/** Whether Holdfast can know a service by this name. */
export function isName(name) {
  return typeof name === "string" && NAME.test(name);
}

/**
 * Put options and environment together; an option wins over its variable.
 *
 * @throws {TypeError} Something is missing, or can't be what it should be.
 */
export function readSettings(options, environment) {
  const service = options.service ?? (environment.HOLDFAST_SERVICE || undefined);
  if (service !== undefined && !isName(service)) {
    throw new TypeError(
      `Holdfast's service is '${service}'; expected letters, digits, '.', '_' and '-'`,
    );
  }
  const told = (environment.HOLDFAST_OFF ?? "").trim().toLowerCase();
  const off = options.off ?? TRUE.has(told);
  const capacity = options.capacity ?? CAPACITY;
  if (!Number.isInteger(capacity) || capacity < 1) {
    throw new TypeError(`Holdfast's capacity is ${capacity}; expected a whole number from 1 on`);
  }
  const log = harmless(options.log ?? ((message) => console.warn(`holdfast: ${message}`)));
  if (off) {
    return { url: "", key: "", service, capacity, log, off };
  }
  const url = readUrl(options.url ?? environment.HOLDFAST_URL ?? "");
  const key = options.key ?? environment.HOLDFAST_KEY ?? "";
  if (!PRINTABLE.test(key)) {
    throw new TypeError("Holdfast's key is empty or no key; give it as key or HOLDFAST_KEY");
  }
  return { url, key, service, capacity, log, off };
}

/** The log is the caller's, and where it is written to nobody waits for its errors. */
function harmless(log) {
  return (message) => {
    try {
      log(message);
    } catch {
      // There is nobody left to tell.
    }
  };
}

function readUrl(given) {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw new TypeError(
      `Holdfast's url is '${given}'; expected http(s)://host[:port], as url or HOLDFAST_URL`,
    );
  }
  return given.replace(/\/+$/, "");
}
