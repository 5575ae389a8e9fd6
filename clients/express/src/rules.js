/** Owns a breaker's rules as a process reads them; those built in hold until Holdfast is heard. */

const DURATION = /^(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** What Holdfast's own defaults are. */
export const BUILT_IN = readRules({});

/** Read rules as Holdfast tells them: durations in milliseconds, what is left out as built in. */
export function readRules(told) {
  return {
    window: duration(told.window) ?? 30_000,
    windowCalls: told.window_calls ?? undefined,
    minimumCalls: told.minimum_calls ?? 20,
    failureRate: told.failure_rate ?? 0.5,
    slowAfter: duration(told.slow_after) ?? Infinity,
    slowRate: told.slow_rate ?? 0.5,
    countOnly: told.count_only ?? [],
    ignore: told.ignore ?? [],
    leases: told.leases ?? 3,
    leaseFor: duration(told.lease_for) ?? 10_000,
    ramp: told.ramp ?? [0.05, 0.25, 0.5],
    rampStep: duration(told.ramp_step) ?? 10_000,
    longestOpen: longest(told.open_for ?? {}),
  };
}

/** The longest that the fleet's breaker stays open by itself. */
function longest({ maximum, jitter = 0.2 }) {
  return (duration(maximum) ?? 60_000) * (1 + jitter);
}

/** An ISO 8601 duration (`PT9.8S`) in milliseconds; undefined for none. */
export function duration(told) {
  const parts = DURATION.exec(told ?? "");
  if (!parts) {
    return undefined;
  }
  const [, sign, ...amounts] = parts;
  const [days, hours, minutes, seconds] = amounts.map((each) => Number(each ?? 0));
  const total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  return (sign ? -total : total) * 1000;
}

/**
 * How the rules take an error of these names: "failed", "passed" or "uncounted".
 *
 * A rule without a dot means any class of that name, whatever its module.
 */
export function judged(rules, names) {
  const known = new Set(names.flatMap((name) => [name, name.slice(name.lastIndexOf(".") + 1)]));
  if (rules.ignore.some((each) => known.has(each))) {
    return "uncounted";
  }
  const counts = rules.countOnly.length === 0 || rules.countOnly.some((each) => known.has(each));
  return counts ? "failed" : "passed";
}
