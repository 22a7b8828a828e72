// The pages' own pure functions: figures as people read them, and what an error answer says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf, errorText, titleOf, type Job } from "../../showcase/reports/page/api.ts";
import { count, duration, measure, percent, size } from "../../showcase/ui/format.ts";

test("numbers keep about four significant digits and never lie about zero", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [-7.7, "-7.7"],
    [1234567, "1,234,567"],
    [12.3456, "12.346"],
    [123.456, "123.46"],
    [12345.678, "12,345.7"],
    [0.00123456, "0.00123"],
    [0.00001234, "1.234e-5"],
    [9.87e15, "9.870e+15"],
    [Number.NaN, "NaN"],
  ];
  assert.deepEqual(
    cases.map(([value]) => measure(value)),
    cases.map(([, text]) => text),
  );
  assert.equal(count(3376), "3,376");
});

test("sizes, shares and times are short", () => {
  assert.deepEqual([0, 1, 999, 1500, 12_345_678, 1e9].map(size), [
    "0 bytes",
    "1 byte",
    "999 bytes",
    "1.5 KB",
    "12 MB",
    "1.0 GB",
  ]);
  const shares = [percent(0, 10), percent(1, 10_000), percent(1, 3), percent(5, 5), percent(1, 40), percent(3, 0)];
  assert.deepEqual(shares, ["0 %", "< 0.1 %", "33 %", "100 %", "2.5 %", "0 %"]);
  assert.deepEqual([40, 4_210, 12_400, 200_000, 7_500_000, -5].map(duration), [
    "40 ms",
    "4.2 s",
    "12 s",
    "3 min 20 s",
    "2 h 5 min",
    "0 ms",
  ]);
});

test("an error answer is the server's sentence, and something sensible when it is not ours", () => {
  const ours = errorOf(413, '{"error":{"code":"too_large","message":"The file is too big."}}');
  assert.deepEqual([ours.status, ours.code, ours.message], [413, "too_large", "The file is too big."]);
  for (const body of ["", "<html>502</html>", "null", '{"error":null}']) {
    assert.equal(errorOf(502, body).message, "The server answered with status 502.");
  }
});

test("a failed job always says something, and every job has a name", () => {
  const job: Job = {
    job_id: "x",
    kind: "csv",
    filename: null,
    status: "failed",
    progress: 0,
    message: "",
    created_at: "",
    finished_at: null,
    error: null,
  };
  assert.equal(errorText(job), "The report failed.");
  assert.equal(errorText({ ...job, error: "Line 3 is broken." }), "Line 3 is broken.");
  assert.equal(errorText({ ...job, error: { message: "Inner." } }), "Inner.");
  assert.equal(titleOf(job), "Unnamed file");
  assert.equal(titleOf({ kind: "demo", filename: null }), "Demonstration job");
});
