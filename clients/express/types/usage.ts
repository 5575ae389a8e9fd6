/** What the types promise: checked by the compiler, never run. */

import express from "express";

import { BreakerOpen, Holdfast } from "../index.js";

const holdfast = new Holdfast({ url: "http://127.0.0.1:8000", key: "hf_key", service: "shop" });

const charge = holdfast.guard(
  "payments",
  async (card: string, cents: number) => ({ id: card, cents }),
  { fallback: async (card) => ({ id: card, cents: 0 }), failure: (result) => result.cents < 0 },
);
const charged: Promise<{ id: string; cents: number }> = charge("4711", 100);
const sum: number = holdfast.call("adder", () => 1 + 1, { fallback: () => 0 });
const isOn: boolean = holdfast.feature("previews", { default: false, service: "shop" });

const app = express();
app.use(holdfast.errorHandler({ context: (request) => ({ tenant: request.params.tenant }) }));

holdfast.report(new Error("it broke"), { severity: "high", labels: { region: "eu-west" } });
const status = holdfast.breaker("payments").status;
const open: BreakerOpen = new BreakerOpen("payments", { reason: "x", epoch: 1, retryAfter: 5 });
const wait: number = open.retryAfter;

// @ts-expect-error a severity is one of four words
holdfast.report("it broke", { severity: "awful" });
// @ts-expect-error a fallback gives what the call gives
holdfast.guard("payments", () => 1, { fallback: () => "one" });
// @ts-expect-error a guarded function takes what the other takes
void charge(4711, 100);

export { charged, isOn, status, sum, wait };
