/** The README's example runs as it is written. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { test } from "node:test";

import { StandIn, eventually } from "./stand-in.js";

const FOLDER = new URL("..", import.meta.url);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

test("the example serves, falls back, and ends when it is told to", async () => {
  const page = await readFile(new URL("README.md", FOLDER), "utf8");
  const [, example] = /^```js\n(.*?)^```/ms.exec(page);
  const api = await new StandIn().start();
  const port = await freePort();
  const environment = {
    HOLDFAST_URL: api.url,
    HOLDFAST_KEY: "hf_key",
    PAYMENTS_URL: "http://127.0.0.1:1",
    PORT: String(port),
  };
  const given = ["--input-type=module", "--eval", example];
  const child = spawn(process.execPath, given, {
    cwd: FOLDER,
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  try {
    const url = `http://127.0.0.1:${port}/orders/12`;
    const shown = await eventually(() => fetch(url).catch(() => undefined));
    assert.deepEqual(await shown.json(), { preview: true });
    const paid = await fetch(`${url}/pay`);
    assert.deepEqual(await paid.json(), { order: "12", status: "later" });
    await eventually(() => api.tellings.length > 0);
  } finally {
    child.kill("SIGTERM");
  }
  assert.deepEqual(await once(child, "exit"), [0, null]);
  await api.stop();
});
