/** What the package gives: the client, and the error of a call that was not made. */

export { BreakerOpen } from "./breaker-open.js";
export { Holdfast } from "./holdfast.js";
