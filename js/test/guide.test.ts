// The code blocks of the guide pass the type check, so that the guide cannot lie.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = process.env["CARILLON_SOURCE_DIR"] ?? "";

test("every TypeScript block of docs/guide/browser-client.md compiles", () => {
  const text = readFileSync(join(root, "docs/guide/browser-client.md"), "utf8");
  const blocks = [...text.matchAll(/^```(tsx?)\n([\s\S]*?)^```$/gm)];
  assert.ok(blocks.length >= 3, "the guide has lost its examples");
  const folder = mkdtempSync(join(root, "js/node_modules/.cache/guide-"));
  try {
    const files = blocks.map(([, kind, code], i) => {
      const file = join(folder, `block_${i}.${kind}`);
      writeFileSync(file, `${code}\nexport {};\n`);
      return file;
    });
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "js/tsconfig.json"), files, include: [] }),
    );
    const compiler = join(root, "js/node_modules/typescript/bin/tsc");
    const run = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
