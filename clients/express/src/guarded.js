/** Owns one guarded call: whether it is made, how it counts, and what stands in for it. */

import { types } from "node:util";

/**
 * Make a call, if its breaker lets it pass, and count how it went; a promise counts when it is
 * settled.
 *
 * @param {import("./breaker.js").Breaker} breaker Of what is called.
 * @param {() => unknown} call The call.
 * @param {object} options As `index.d.ts` explains them; `log` takes what went wrong with them,
 *   `isAsync` says whether errors are to come as rejected promises.
 * @throws {BreakerOpen} It is not to be made, and there is no fallback.
 */
export function guarded(breaker, call, options) {
  const { fallback, ignore = no, failure = no, log } = options;
  let admitted;
  try {
    admitted = breaker.admit();
  } catch (rejection) {
    // Of an async function nobody expects that it throws before it gives its promise.
    const isAsync = options.isAsync ?? types.isAsyncFunction(call);
    const given = () => instead(rejection, fallback);
    return isAsync ? new Promise((resolve) => resolve(given())) : given();
  }
  const onResult = (result) => {
    const failed = asked(failure, result, log);
    breaker.settle(admitted, failed ? "failed" : "passed");
    return failed && fallback ? fallback() : result;
  };
  const onError = (error) => {
    const how = asked(ignore, error, log) ? "uncounted" : breaker.judge(error);
    breaker.settle(admitted, how);
    return instead(error, how === "failed" ? fallback : undefined);
  };
  let result;
  try {
    result = call();
  } catch (error) {
    return onError(error);
  }
  return typeof result?.then === "function" ? result.then(onResult, onError) : onResult(result);
}

function no() {
  return false;
}

function instead(error, fallback) {
  if (fallback === undefined) {
    throw error;
  }
  return fallback();
}

/** Ask the caller's own question; one that throws counts as a no, and is told to the log. */
function asked(question, value, log) {
  try {
    return Boolean(question(value));
  } catch (error) {
    log(`a guard's question failed: ${error}`);
    return false;
  }
}
