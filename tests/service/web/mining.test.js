// Mined marks: verdicts by what they mean, and a run in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fateOf, fatesOf, markSize, reportWords, runWords } from "../../../service/web/mining/verdicts.js";

const RUN = { state: "idle", source: "", done: 0, total: 0, started: null, ended: null, error: null, report: null, sheet: null, tiles: null };

test("verdicts stand under what they mean, an unknown one is a refusal", () => {
  const fates = fatesOf({ "no image": 2, kept: 5, proposed: 1, "single line": 7, "duplicate of": 3, arrow: 0 });
  assert.deepEqual(fates.map(({ fate, total }) => [fate, total]), [["kept", 5], ["proposed", 1], ["merged", 3], ["refused", 9]]);
  assert.deepEqual(fates[3].counts, [["single line", 7], ["no image", 2]]);
  assert.equal(fateOf("kept as point"), "kept");
  assert.equal(fateOf("something new"), "refused");
  assert.deepEqual(fatesOf({}), []);
});

test("what waits for the detector and a file without marks are neither kept nor refused", () => {
  const fates = fatesOf({ "proposal needed": 4, "no marks in it": 2, text: 3, kept: 1 });
  assert.deepEqual(fates.map(({ fate, total }) => [fate, total]), [["kept", 1], ["waiting", 4], ["refused", 3], ["none", 2]]);
});

test("a run says how far it is, and why it failed", () => {
  assert.equal(runWords({ ...RUN, state: "running" }), "Mining: looking at what there is");
  assert.equal(runWords({ ...RUN, state: "running", done: 12, total: 1200 }), "Mining: 12 of 1,200");
  assert.match(runWords({ ...RUN, state: "failed", error: "nowhere does not exist" }), /failed: nowhere does not exist/);
  assert.match(runWords({ ...RUN, state: "cancelled" }), /goes on from there/);
  assert.equal(runWords({ ...RUN, state: "done", source: "pacs" }), "Done, from the PACS.");
  assert.match(runWords(RUN), /^Nothing has been mined/);
  assert.match(runWords({ ...RUN, report: {} }), /^From an earlier run/);
});

test("a report counts, and tells patients that failed", () => {
  const report = { lesions: 3, patients: 1, tracks: 0, marks: 4, verdicts: {}, patients_mined_now: 1, patients_failed: 0 };
  assert.equal(reportWords(report), "3 lesions of 1 patient in the archive, 0 tracks, from 4 marks.");
  assert.match(reportWords({ ...report, patients_failed: 2 }), /2 patients failed, the next run tries again\.$/);
});

test("a size is told as far as it is known", () => {
  assert.equal(markSize({ long_mm: 16, short_mm: 8.84 }), "16.0 × 8.8 mm");
  assert.equal(markSize({ long_mm: 16, short_mm: null }), "16.0 mm");
  assert.equal(markSize({}), "");
});
