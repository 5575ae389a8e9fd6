/** Holdfast for Express. All durations are milliseconds. */

export type Severity = "low" | "medium" | "high" | "critical";

export type BreakerStatus =
  | "closed"
  | "open"
  | "half_open"
  | "forced_open"
  | "disabled"
  | "metrics_only";

export interface Options {
  /** Where Holdfast's API answers, as `http://host:port`; else `HOLDFAST_URL`. */
  url?: string;
  /** An API key with the role `reporter`; else `HOLDFAST_KEY`. */
  key?: string;
  /** Under which name to report, and whose features `feature` means; else `HOLDFAST_SERVICE`. */
  service?: string;
  /** The most different reports to keep waiting in memory; 1000 by default. */
  capacity?: number;
  /** Sends nothing, lets every guarded call pass, and leaves features on; else `HOLDFAST_OFF=1`. */
  off?: boolean;
  /** Takes what people may want to know: that Holdfast is away, say; else `console.warn`. */
  log?: (message: string) => void;
}

export interface ReportFields {
  /** What to call the error instead of its class's name. */
  errorType?: string;
  /** Skips classification, such as `"external_service"`. */
  category?: string;
  /** Skips classification likewise. */
  severity?: Severity;
  /** Errors that share it are one incident; without it, Holdfast derives one. */
  fingerprint?: string;
  /** Anything that helps to understand the error; what is no JSON is sent as its string. */
  context?: Record<string, unknown>;
  /** Short strings to filter and route by. */
  labels?: Record<string, string>;
  /** The service that failed, if it is not this client's own. */
  service?: string;
  /** The user who met the error. */
  user?: string;
  /** The trace in which it happened. */
  traceId?: string;
}

export interface CallOptions<Result, Arguments extends unknown[] = []> {
  /** Gives the result in the place of a call that was not made, or that failed. */
  fallback?: (...given: Arguments) => Result;
  /** Whether an error says nothing of what was called: it is neither counted nor replaced. */
  ignore?: (error: unknown) => boolean;
  /** Whether a result counts as a failure. */
  failure?: (result: Awaited<Result>) => boolean;
}

export interface Breaker {
  /** What is called. */
  readonly service: string;
  /** The fleet's status while that is not closed, else this process's own. */
  readonly status: BreakerStatus;
  /** In how many milliseconds it makes sense to call; 0 for now. */
  readonly retryAfter: number;
}

/** An error middleware as Express takes it. */
export type ErrorMiddleware = (
  error: any,
  request: any,
  response: any,
  next: (error?: any) => void,
) => void;

/** A guarded call was not made, because the breaker of what it calls lets none through. */
export class BreakerOpen extends Error {
  constructor(service: string, told: { reason: string; epoch: number; retryAfter: number });
  /** Whose breaker. */
  readonly service: string;
  /** Why it lets no call through. */
  readonly reason: string;
  /** The breaker's epoch, to find the transition in the audit log. */
  readonly epoch: number;
  /** In how many milliseconds it makes sense to try again. */
  readonly retryAfter: number;
  /** 503, for whatever renders errors by their status. */
  readonly status: number;
}

/**
 * Holdfast as a service sees it. Make one per process.
 *
 * Nothing that it is asked to do throws an error of its own or waits for the network: calls are
 * decided in process, and reports wait in memory and are sent in batches.
 */
export class Holdfast {
  /**
   * @throws {TypeError} The URL, the key or another option can't be one, or is missing.
   */
  constructor(options?: Options, environment?: Record<string, string | undefined>);

  /** The name under which it reports, unless a report says otherwise. */
  readonly service: string | undefined;

  /** How many reports were given up unsent. */
  readonly dropped: number;

  /** Tell of one error, now; a repeat of one that still waits is added to it. Never throws. */
  report(error: unknown, fields?: ReportFields): void;

  /**
   * A function that calls another through a breaker; a promise counts when it is settled.
   *
   * Where the call is not to be made and there is no fallback, it throws `BreakerOpen`; that of an
   * `async` function rejects with it.
   *
   * @param name The service that is called.
   * @throws {TypeError} The fallback is no function, or no service can have this name.
   */
  guard<This, Arguments extends unknown[], Result>(
    name: string,
    call: (this: This, ...given: Arguments) => Result,
    options?: CallOptions<NoInfer<Result>, Arguments>,
  ): (this: This, ...given: Arguments) => Result;

  /**
   * Make one call through a breaker.
   *
   * @throws {BreakerOpen} It is not to be made, and there is no fallback; an `async` function's
   *   promise rejects with it.
   * @throws {TypeError} No service can have this name.
   */
  call<Result>(name: string, call: () => Result, options?: CallOptions<NoInfer<Result>>): Result;

  /**
   * The breaker in front of a service.
   *
   * @throws {TypeError} No service can have this name.
   */
  breaker(name: string): Breaker;

  /**
   * Whether a feature is on.
   *
   * @param options `default` holds while nothing was heard of Holdfast yet, true unless given;
   *   `service` says whose feature, if it is not this client's own.
   */
  feature(name: string, options?: { default?: boolean; service?: string }): boolean;

  /**
   * An error middleware for Express: reports errors that are the server's fault, and answers those
   * of open breakers with 503 and `Retry-After`. Put it behind the routes.
   */
  errorHandler(options?: {
    context?: (request: any) => Record<string, unknown>;
  }): ErrorMiddleware;

  /**
   * Send what waits now; false when that takes longer. While Holdfast is away it does not make it
   * try again any sooner.
   */
  flush(timeout?: number): Promise<boolean>;

  /** Give what waits so long to be sent, then drop the rest and stop; false if any was dropped. */
  close(timeout?: number): Promise<boolean>;
}
