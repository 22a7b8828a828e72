// Browser tests: drives Chromium against the real program.
//   node tests/browser/run.mjs --binary build/dev/bin/carillon-showcase [--out DIR] [--only WORD]
// Prints one line per scenario and ends with "N passed, N failed". Pictures go to --out (default: a temporary folder).
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import * as hooks from "./hooks_scenarios.mjs";
import * as pages from "./page_scenarios.mjs";
import * as reports from "./reports_scenarios.mjs";
import { Site } from "./site.mjs";
import { launch, Tab } from "./tab.mjs";

const { values } = parseArgs({
  options: { binary: { type: "string" }, out: { type: "string" }, only: { type: "string" } },
});
if (!values.binary || !existsSync(values.binary)) {
  console.error("usage: node tests/browser/run.mjs --binary PATH/carillon-showcase [--out DIR] [--only WORD]");
  console.error(values.binary ? `there is no program at ${values.binary}` : "--binary is missing");
  process.exit(2);
}
const out = resolve(values.out ?? join(tmpdir(), "carillon-screenshots"));
mkdirSync(out, { recursive: true });

/** "aBigFileMoves" → "a big file moves". */
const sentence = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).trim();

async function run(browser, scenario) {
  const site = await Site.start(resolve(values.binary));
  const tabs = [];
  const open = async (path, options) => {
    const tab = await Tab.open(browser, site, path, options);
    tab.site = site;
    tabs.push(tab);
    return tab;
  };
  try {
    await scenario({ site, open, out, browserContextOf: (tab) => tab.page.context() });
    const problems = tabs.flatMap((tab) => tab.problems);
    if (problems.length > 0) {
      throw new Error(problems.join("\n"));
    }
  } catch (error) {
    const last = tabs[tabs.length - 1];
    await last?.page.screenshot({ path: join(out, `FAILED-${scenario.name}.png`) }).catch(() => undefined);
    error.message += `\n${site.log}`;
    throw error;
  } finally {
    await Promise.all(tabs.map((tab) => tab.close().catch(() => undefined)));
    await site.dispose();
  }
}

const scenarios = Object.entries({ ...pages, ...hooks, ...reports }).filter(([name]) =>
  sentence(name).includes(values.only?.toLowerCase() ?? ""),
);
const browser = await launch();
let failed = 0;
for (const [name, scenario] of scenarios) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  try {
    await run(browser, scenario);
    console.log(`ok      ${sentence(name)} (${seconds()})`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${sentence(name)} (${seconds()})\n${error.stack}`);
  }
}
await browser.close();
console.log(`Pictures: ${out}`);
console.log(`${scenarios.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 || scenarios.length === 0 ? 1 : 0);
