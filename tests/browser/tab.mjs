// Chromium and its tabs: each tab records every progress it showed, every script error and every foreign request.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const require = createRequire(join(root, "js", "package.json"));

export const sizes = {
  desktop: { width: 1280, height: 860 },
  phone: { width: 390, height: 844 },
  narrow: { width: 360, height: 740 },
};

export async function launch() {
  const { chromium } = require("playwright-core");
  const executablePath = process.env.CARILLON_CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) {
    throw new Error(`no browser at ${executablePath}: install Debian's chromium or set CARILLON_CHROMIUM`);
  }
  const args = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  if (process.getuid() === 0) {
    args.push("--no-sandbox");
  }
  return chromium.launch({ executablePath, args });
}

// Runs in the page before its own scripts: notes each job state that was drawn, with its time.
function record() {
  window.seen = [];
  const look = () => {
    const panel = document.querySelector("[data-job-progress]");
    if (!panel) {
      return;
    }
    const { jobStatus: status, jobProgress } = panel.dataset;
    const last = window.seen[window.seen.length - 1];
    const progress = Number(jobProgress);
    if (!last || last.status !== status || last.progress !== progress) {
      window.seen.push({ status, progress, at: performance.now() });
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
}

export class Tab {
  #page;
  problems = [];

  static async open(browser, site, path, options = {}) {
    const { size = "desktop", dark = false } = options;
    const context = await browser.newContext({
      viewport: sizes[size],
      colorScheme: dark ? "dark" : "light",
      hasTouch: size !== "desktop",
      reducedMotion: "reduce",
      bypassCSP: options.bypassCSP ?? false,
    });
    const tab = new Tab();
    const page = await context.newPage();
    tab.#page = page;
    await page.addInitScript(record);
    page.on("pageerror", (error) => tab.problems.push(`script error: ${error.message}`));
    page.on("dialog", (dialog) => {
      tab.problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.origin !== site.address) {
        tab.problems.push(`request beyond the site: ${request.url()}`);
      }
    });
    await page.goto(site.address + path);
    return tab;
  }

  get page() {
    return this.#page;
  }

  /** The id in the address. */
  get job() {
    return new URL(this.#page.url()).searchParams.get("job");
  }

  seen() {
    return this.#page.evaluate(() => window.seen);
  }

  async status(...wanted) {
    const limit = 120_000;
    await this.#page.waitForFunction(
      (list) => list.includes(document.querySelector("[data-job-status]")?.dataset.jobStatus),
      wanted,
      { timeout: limit, polling: 20 },
    );
  }

  async progressAtLeast(percent) {
    await this.#page.waitForFunction(
      (least) => Number(document.querySelector("[data-job-progress]")?.dataset.jobProgress) >= least,
      percent,
      { timeout: 120_000, polling: 20 },
    );
    return this.#page.evaluate(() => Number(document.querySelector("[data-job-progress]").dataset.jobProgress));
  }

  async connection(kind) {
    await this.#page.waitForSelector(`[data-connection="${kind}"]`, { timeout: 60_000 });
  }

  /** Hands files to the page and waits until its address carries the new job. */
  async give(files) {
    const before = this.job;
    await this.#page.setInputFiles('input[type="file"]', files);
    const isNew = (url) => ![null, before].includes(url.searchParams.get("job"));
    await this.#page.waitForURL(isNew, { timeout: 120_000 });
  }

  /** Nothing sticks out of the page sideways. */
  async isTooWide() {
    return this.#page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  }

  async close() {
    await this.#page.context().close();
  }
}
