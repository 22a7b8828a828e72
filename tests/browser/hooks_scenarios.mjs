// The React hooks in a real browser, in React's development build, whose StrictMode runs every effect twice.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "./tab.mjs";

const js = join(root, "js");

async function bundle() {
  const { build } = createRequire(join(js, "package.json"))("esbuild");
  const result = await build({
    entryPoints: [join(root, "tests/browser/hooks.tsx")],
    bundle: true,
    write: false,
    format: "iife",
    jsx: "automatic",
    alias: { carillon: join(js, "src/index.ts"), "carillon/react": join(js, "src/react.ts") },
    nodePaths: [join(js, "node_modules")],
    tsconfigRaw: "{}",
    define: { "process.env.NODE_ENV": '"development"' },
    logLevel: "warning",
  });
  return result.outputFiles[0].text;
}

async function hooksPage(open) {
  // A page that really came from the server: Chromium keeps made-up ones from its sockets.
  const { page } = await open("/healthz", { bypassCSP: true });
  await page.addScriptTag({ content: await bundle() });
  await attached(page, "output");
  return page;
}

// An output without text has no size, which would count as hidden.
const attached = (page, selector) => page.waitForSelector(selector, { state: "attached" });
const sockets = (page, count) => page.waitForFunction((n) => window.test.open.size === n, count);
const values = async (page) => (await page.locator("output").innerText()).split(" ").filter(Boolean).map(Number);

export async function aHookHoldsOneSocketAndFoldsItsMessages({ open, site }) {
  const id = await site.startDemo(10, 0.1);
  const page = await hooksPage(open);
  await page.evaluate((url) => window.test.show(url), `/ws/reports/${id}/`);
  await attached(page, 'output[data-phase="open"]');
  await sockets(page, 1);
  await page.waitForFunction(() => document.querySelector("output").textContent.endsWith("100"));
  const list = await values(page);
  assert.deepEqual(list, [...list].sort((a, b) => a - b));
  assert.ok(list.length >= 2, `values: ${list}`);
}

export async function aHookFollowsItsAddressAndLeavesNothingBehind({ open, site }) {
  const slow = await site.startDemo(100, 0.2);
  const fast = await site.startDemo(4, 0.1);
  const page = await hooksPage(open);
  await page.evaluate((url) => window.test.show(url), `/ws/reports/${slow}/`);
  await page.waitForFunction(() => document.querySelector("output").textContent !== "");
  await page.evaluate((url) => window.test.show(url), `/ws/reports/${fast}/`);
  await page.waitForFunction(() => document.querySelector("output").textContent.endsWith("100"));
  await sockets(page, 1);
  await page.evaluate(() => window.test.show(null));
  await attached(page, 'output[data-phase="none"]');
  await sockets(page, 0);
  assert.deepEqual(await values(page), [], "a value of an address that is no longer wanted");
  await page.evaluate((url) => window.test.show(url), `/ws/reports/${slow}/`);
  await sockets(page, 1);
  await page.evaluate(() => window.test.unmount());
  await sockets(page, 0);
}
