// What the reports page promises, each scenario a sentence.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { figuresOf, hostileCsv, realFiles, writeBig } from "./files.mjs";

const probeBytes = 100e6;
const [bigBytesMin, bigBytesMax] = [200e6, 1.6e9];
const watched = 3_000; // ms that a big file takes to be read
const growsOnly = (seen) => seen.every((now, i) => i === 0 || now.progress >= seen[i - 1].progress);
const between = (seen) => new Set(seen.map((now) => now.progress).filter((p) => p > 0 && p < 100)).size;

async function withFile(bytes, use) {
  const path = join(tmpdir(), `carillon-big-${process.pid}.csv`);
  try {
    return await use(writeBig(path, bytes));
  } finally {
    rmSync(path, { force: true });
  }
}

let bigBytes = 0;

/** A file that takes long enough to be watched, however fast the machine is: one read tells how fast that is. */
async function withBigFile(open, use) {
  bigBytes ||= await withFile(probeBytes, async (path) => {
    const tab = await open("/reports/");
    await tab.give(path);
    await tab.status("completed");
    const seen = await tab.seen();
    const took = Math.max(seen[seen.length - 1].at - seen[0].at, 1);
    return Math.min(Math.max((probeBytes * watched) / took, bigBytesMin), bigBytesMax);
  });
  return withFile(bigBytes, use);
}

export async function realFilesInTwoTabs({ open }) {
  const first = await open("/reports/");
  for (const file of realFiles) {
    const expected = figuresOf(file);
    await first.give(file);
    const second = await open(`/reports/?job=${first.job}`);
    for (const tab of [first, second]) {
      await tab.status("completed");
      await tab.page.waitForSelector(`[data-report="${first.job}"]`);
      const tile = (name) => tab.page.locator(".tile", { hasText: name }).locator("dd").first().innerText();
      assert.equal(await tile("Rows"), expected.rows.toLocaleString("en"), `rows of ${expected.name}`);
      const names = await tab.page.locator(".column h3").allInnerTexts();
      assert.deepEqual(names, expected.columns.map((column) => column.name));
    }
    const { body } = await first.site.json(`/reports/${first.job}/result.json`);
    assert.deepEqual(body.columns.map(({ name, missing }) => ({ name, missing })), expected.columns);
    await second.close();
  }
}

export async function aBigFileMovesInTwoTabs({ open }) {
  await withBigFile(open, async (path) => {
    const first = await open("/reports/");
    await first.give(path);
    const second = await open(`/reports/?job=${first.job}`);
    for (const tab of [first, second]) {
      await tab.status("completed", "failed");
      const seen = await tab.seen();
      assert.equal(seen[seen.length - 1].status, "completed", JSON.stringify(seen));
      assert.ok(between(seen) >= 3, `a bar that hardly moved: ${JSON.stringify(seen)}`);
      assert.ok(growsOnly(seen), `progress went back: ${JSON.stringify(seen)}`);
    }
  });
}

export async function aThirdTabKnowsAtOnce({ open, site }) {
  const id = await site.startDemo(40, 0.25);
  const first = await open(`/reports/?job=${id}`);
  await open(`/reports/?job=${id}`);
  const present = await first.progressAtLeast(40);
  const third = await open(`/reports/?job=${id}`);
  await third.progressAtLeast(1);
  const [initial] = await third.seen();
  const told = `the third tab began at ${initial.progress} %, the first stood at ${present} %`;
  assert.ok(initial.progress >= present, told);
  assert.ok(initial.at < 2_000, `the third tab knew after ${initial.at} ms`);
  await third.status("completed");
}

export async function aReloadChangesNothing({ open, site }) {
  const id = await site.startDemo(40, 0.25);
  const tab = await open(`/reports/?job=${id}`);
  const before = await tab.progressAtLeast(30);
  await tab.page.reload();
  await tab.progressAtLeast(1);
  const [initial] = await tab.seen();
  assert.ok(initial.progress >= before, `before ${before} %, after the reload ${initial.progress} %`);
  assert.equal(tab.job, id);
  await tab.status("completed");
  await tab.page.reload();
  await tab.status("completed");
  assert.equal((await tab.seen())[0].progress, 100);
}

async function cancelTakes(tab, other) {
  await tab.progressAtLeast(5);
  const started = performance.now();
  await tab.page.getByRole("button", { name: "Cancel" }).click();
  await Promise.all([tab.status("cancelled"), other.status("cancelled")]);
  return performance.now() - started;
}

export async function cancelStopsWithinASecondInEveryTab({ open, site }) {
  const id = await site.startDemo(100, 0.2);
  const tabs = [await open(`/reports/?job=${id}`), await open(`/reports/?job=${id}`)];
  const demo = await cancelTakes(...tabs);
  assert.ok(demo < 1_000, `cancelling the demonstration job took ${demo} ms`);
  await tabs[0].page.waitForSelector(`[data-row="${id}"][data-row-status="cancelled"]`);
  await withBigFile(open, async (path) => {
    await tabs[0].give(path);
    await tabs[1].page.goto(`${site.address}/reports/?job=${tabs[0].job}`);
    const file = await cancelTakes(...tabs);
    assert.ok(file < 1_000, `cancelling the big file took ${file} ms`);
  });
}

/** The page was told nothing: it has to come back by itself, and the job has to end well. */
async function comesBack(site, tabs, signal) {
  const how = await site.stop(signal);
  await Promise.all(tabs.map((tab) => tab.connection("waiting")));
  await site.start();
  await Promise.all(tabs.map((tab) => tab.connection("open")));
  await Promise.all(tabs.map((tab) => tab.status("completed", "failed", "cancelled")));
  for (const tab of tabs) {
    const seen = await tab.seen();
    assert.equal(seen[seen.length - 1].status, "completed", JSON.stringify(seen));
  }
  return how;
}

export async function aDemoJobSurvivesARestart({ open, site }) {
  const id = await site.startDemo(24, 0.25);
  const tabs = [await open(`/reports/?job=${id}`), await open(`/reports/?job=${id}`)];
  await tabs[0].progressAtLeast(25);
  const how = await comesBack(site, tabs, "SIGTERM");
  assert.equal(how.code, 0, `SIGTERM ended the server with ${JSON.stringify(how)}`);
}

export async function aDemoJobSurvivesAKill({ open, site }) {
  const id = await site.startDemo(24, 0.25);
  const tabs = [await open(`/reports/?job=${id}`), await open(`/reports/?job=${id}`)];
  await tabs[0].progressAtLeast(25);
  await comesBack(site, tabs, "SIGKILL");
}

async function aFileSurvives({ open, site }, signal) {
  await withBigFile(open, async (path) => {
    const first = await open("/reports/");
    await first.give(path);
    const second = await open(`/reports/?job=${first.job}`);
    const present = await first.progressAtLeast(10);
    assert.ok(present < 95, `the file was read before the server could be ended: ${present} %`);
    await comesBack(site, [first, second], signal);
    await first.page.waitForSelector(`[data-report="${first.job}"]`);
    assert.equal(await first.page.locator(".column").count(), 7);
  });
}

export const aBigFileSurvivesARestart = (world) => aFileSurvives(world, "SIGTERM");
export const aBigFileSurvivesAKill = (world) => aFileSurvives(world, "SIGKILL");

export async function hostileCellsStayText({ open, site }) {
  const desktop = await open("/reports/");
  const file = hostileCsv();
  await desktop.give(file);
  await desktop.status("completed", "failed");
  await desktop.page.waitForSelector("[data-report]");
  const narrow = await open(`/reports/?job=${desktop.job}`, { size: "narrow" });
  await narrow.page.waitForSelector("[data-report]");
  assert.equal(await narrow.page.locator(".column").count(), 64);
  assert.equal(await narrow.isTooWide(), false, "the page is wider than a phone");
  assert.equal(await desktop.isTooWide(), false, "the page is wider than the screen");
  const { body } = await site.json(`/reports/${desktop.job}/`);
  assert.equal(body.filename, file.name);
  await narrow.page.getByPlaceholder("Find a column").fill("column_5");
  await narrow.page.waitForFunction(() => document.querySelectorAll(".column").length === 11);
}

export async function unusableFilesSayWhy({ open }) {
  const tab = await open("/reports/");
  const files = [
    { name: "empty.csv", mimeType: "text/csv", buffer: Buffer.alloc(0) },
    { name: "picture.csv", mimeType: "text/csv", buffer: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1, 2, 3, 0]) },
    { name: "latin.csv", mimeType: "text/csv", buffer: Buffer.from("name,age\nJos\xe9,4\n", "latin1") },
  ];
  for (const file of files) {
    await tab.give(file);
    await tab.page.getByRole("heading", { name: file.name }).waitFor();
    await tab.status("failed");
    const words = await tab.page.locator(".panel [role=alert]").innerText();
    assert.ok(words.length > 10, `${file.name}: "${words}"`);
    await tab.page.goto(`${tab.site.address}/reports/`);
  }
}

export async function anUnknownReportIsSaidToBeUnknown({ open }) {
  const tab = await open("/reports/?job=00000000-0000-4000-8000-000000000000");
  await tab.status("refused");
  await tab.connection("ended");
}

export async function anUploadIntoNothingCanBeTriedAgain({ open, site }) {
  const tab = await open("/reports/");
  await tab.connection("open");
  await site.stop("SIGKILL");
  await tab.page.setInputFiles('input[type="file"]', realFiles[1]);
  const again = tab.page.getByRole("button", { name: "Try again" });
  await again.waitFor();
  await site.start();
  await again.click();
  await tab.page.waitForURL(/\?job=/);
  await tab.status("completed");
}

export async function anotherTabsListLearnsOfANewReport({ browserContextOf, open }) {
  const first = await open("/reports/");
  const second = await browserContextOf(first).newPage();
  await second.goto(first.page.url());
  await second.waitForSelector(".past");
  await first.give(realFiles[1]);
  await second.waitForSelector(`[data-row="${first.job}"]`);
}

export async function theKeyboardIsEnough({ open }) {
  const tab = await open("/reports/");
  // Asked for first: the browser needs a moment until it hands file choosers over.
  tab.page.on("filechooser", (chooser) => void chooser.setFiles(realFiles[1]));
  const button = tab.page.getByRole("button", { name: "Choose a file" });
  await button.waitFor();
  await tab.page.keyboard.press("Tab");
  assert.equal(await tab.page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await button.focus();
  await tab.page.keyboard.press("Enter");
  await tab.status("completed");
  const bar = tab.page.getByRole("progressbar", { name: "Progress of weather.csv" }).first();
  assert.equal(await bar.getAttribute("aria-valuenow"), "100");
}

export async function aDroppedFileIsTaken({ open }) {
  const tab = await open("/reports/");
  const transfer = await tab.page.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["a,b\n1,2\n3,4\n"], "dropped.csv", { type: "text/csv" }));
    return data;
  });
  // Beside the zone: the browser must not leave the page to show the file.
  await tab.page.dispatchEvent("h1", "dragover", { dataTransfer: transfer });
  await tab.page.getByText("Let go to start").waitFor();
  await tab.page.dispatchEvent("h1", "drop", { dataTransfer: transfer });
  await tab.status("completed");
  await tab.page.getByRole("heading", { name: "dropped.csv" }).waitFor();
}

export async function severalFilesBecomeSeveralReports({ open }) {
  const tab = await open("/reports/");
  await tab.give(realFiles);
  await tab.page.waitForFunction(
    (count) => document.querySelectorAll('[data-row-status="completed"]').length === count,
    realFiles.length,
  );
  const titles = await tab.page.locator(".row-title").allInnerTexts();
  assert.deepEqual(titles, ["airports.csv", "weather.csv", "flights-airport.csv"]);
}
