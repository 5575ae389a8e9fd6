/** Owns the error of a call that was not made. */

/** A guarded call was not made, because the breaker of what it calls lets none through. */
export class BreakerOpen extends Error {
  /**
   * @param {string} service Whose breaker.
   * @param {{reason: string, epoch: number, retryAfter: number}} told Why; the breaker's epoch, to
   *   find the transition in the audit log; in how many milliseconds it makes sense to try again.
   */
  constructor(service, { reason, epoch, retryAfter }) {
    super(`the breaker of ${service} is open: ${reason}`);
    this.name = "BreakerOpen";
    this.service = service;
    this.reason = reason;
    this.epoch = epoch;
    this.retryAfter = retryAfter;
    /** For whatever renders errors by their status, as Express does. */
    this.status = 503;
  }
}
