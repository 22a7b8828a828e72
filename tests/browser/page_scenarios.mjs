// The start page, what pages are served with, and pictures of every state to look at.
import assert from "node:assert/strict";
import { join } from "node:path";
import { realFiles } from "./files.mjs";

export async function theStartPageLeadsToReports({ open }) {
  const tab = await open("/");
  await tab.connection("open");
  await tab.page.getByText("Demonstration:").waitFor();
  assert.equal(await tab.page.locator(".system").count(), 5);
  assert.equal(await tab.page.locator(".system.coming").count(), 4);
  await tab.page.getByRole("link", { name: "Reports" }).last().click();
  await tab.page.getByRole("heading", { level: 1, name: "Reports" }).waitFor();
}

export async function theStartPageComesBackAfterARestart({ open, site }) {
  const tab = await open("/");
  await tab.connection("open");
  await site.stop("SIGTERM");
  await tab.page.evaluate(() => window.dispatchEvent(new Event("online"))); // Look now, not in twenty seconds.
  await tab.connection("waiting");
  await site.start();
  await tab.connection("open");
}

export async function theSameAddressGivesPageAndList({ site }) {
  const page = await fetch(`${site.address}/reports/`, { headers: { Accept: "text/html" } });
  assert.match(page.headers.get("content-type"), /^text\/html/);
  const html = await page.text();
  assert.ok(!html.includes("__CARILLON"), "a placeholder was left in the page");
  assert.match(html, /name="carillon-demo" content="1"/);
  const { status, body } = await site.json("/reports/?limit=1");
  assert.equal(status, 200);
  assert.ok(typeof body.count === "number" && Array.isArray(body.results) && body.results.length <= 1);
}

export async function hashedFilesAreKeptForever({ site }) {
  const html = await (await fetch(`${site.address}/`)).text();
  const [, script] = html.match(/<script type="module" src="([^"]+)"/);
  const first = await fetch(site.address + script);
  assert.equal(first.status, 200);
  assert.match(first.headers.get("content-type"), /^text\/javascript/);
  assert.match(first.headers.get("cache-control"), /immutable/);
  assert.equal(first.headers.get("content-encoding"), "gzip");
  const again = await fetch(site.address + script, { headers: { "If-None-Match": first.headers.get("etag") } });
  assert.equal(again.status, 304);
}

const looks = [
  ["desktop", { size: "desktop" }],
  ["desktop-dark", { size: "desktop", dark: true }],
  ["phone", { size: "phone" }],
  ["phone-dark", { size: "phone", dark: true }],
];

/** Pictures for people; the checks are that each state is reached and nothing sticks out. */
export async function everyStateIsDrawn({ open, site, out }) {
  for (const [look, options] of looks) {
    const shoot = async (tab, name) => {
      assert.equal(await tab.isTooWide(), false, `${name} is too wide on ${look}`);
      await tab.page.screenshot({ path: join(out, `${name}-${look}.png`), fullPage: true });
    };
    const home = await open("/", options);
    await home.connection("open");
    await shoot(home, "home");
    const tab = await open("/reports/", options);
    await tab.connection("open");
    await tab.page.locator(".past").waitFor();
    await shoot(tab, "reports-start");
    const id = await site.startDemo(100, 0.2);
    await tab.page.goto(`${site.address}/reports/?job=${id}`);
    await tab.progressAtLeast(3);
    await shoot(tab, "reports-running");
    await tab.page.getByRole("button", { name: "Cancel" }).click();
    await tab.status("cancelled");
    await shoot(tab, "reports-cancelled");
    await tab.give({ name: "broken.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n\xff\xfe,1\n", "latin1") });
    await tab.page.getByRole("heading", { name: "broken.csv" }).waitFor();
    await tab.status("failed");
    await shoot(tab, "reports-failed");
    await tab.give(realFiles[1]);
    await tab.page.locator("[data-report]").waitFor();
    await shoot(tab, "reports-completed");
    await tab.close();
    await home.close();
  }
}

export async function theServerAwayIsDrawn({ open, site, out }) {
  const id = await site.startDemo(100, 0.2);
  const tabs = [];
  for (const [look, options] of looks) {
    const tab = await open(`/reports/?job=${id}`, options);
    await tab.progressAtLeast(2);
    tabs.push([look, tab]);
  }
  await site.stop("SIGKILL");
  for (const [look, tab] of tabs) {
    await tab.connection("waiting");
    assert.equal(await tab.isTooWide(), false);
    await tab.page.screenshot({ path: join(out, `reports-away-${look}.png`) });
  }
  await site.start();
}
