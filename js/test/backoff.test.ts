// Back-off, jitter and the close-code policy: pure functions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffDelay, ceiling, defaultBackoff } from "../src/backoff.ts";
import { defaultPolicy, describeClose } from "../src/close_policy.ts";

test("the ceiling doubles from half a second to thirty seconds and stays there", () => {
  const seen = [1, 2, 3, 4, 5, 6, 7, 8, 50, 5000].map((n) => ceiling(n, defaultBackoff));
  assert.deepEqual(seen, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000]);
});

test("jitter covers the whole range from the floor to the ceiling", () => {
  assert.equal(backoffDelay(5, () => 0), 100);
  assert.equal(backoffDelay(5, () => 0.5), 4050);
  assert.equal(backoffDelay(5, () => 0.999999), 8000);
});

test("a thousand clients that lost the server together come back spread evenly", () => {
  let seed = 12345;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  const tenths = new Array<number>(10).fill(0);
  for (let i = 0; i < 1000; ++i) {
    const slot = Math.min(9, Math.floor((backoffDelay(6, random) / 16000) * 10));
    tenths[slot] = (tenths[slot] ?? 0) + 1;
  }
  assert.ok(Math.min(...tenths) > 60 && Math.max(...tenths) < 140, `tenths: ${tenths.join(" ")}`);
});

test("a cap below the base and a floor above the cap are kept", () => {
  assert.equal(backoffDelay(9, () => 0.7, { base: 500, cap: 50, floor: 100 }), 50);
});

test("close codes say whether coming back makes sense", () => {
  const verdicts = (codes: number[]) => codes.map((code) => defaultPolicy(code));
  assert.deepEqual(new Set(verdicts([1000, 1008, 4400, 4401, 4403, 4404, 4410, 4499])), new Set(["final"]));
  assert.deepEqual(new Set(verdicts([1001, 1005, 1006, 1009, 1011, 1015, 4408, 4000, 4500])), new Set(["backoff"]));
  assert.deepEqual(verdicts([1012, 1013, 4429]), ["soon", "later", "later"]);
});

test("every code has words for people", () => {
  assert.equal(describeClose(4404), "does not exist");
  assert.equal(describeClose(4999), "closed with code 4999");
});
