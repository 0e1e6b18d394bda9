// Tables that leave the page: RFC 4180, the API's names, nothing that a spreadsheet would run.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fileName } from "../../../service/web/core/output/files.js";
import { csvOf, resultRows } from "../../../service/web/core/output/table.js";

const LESION = {
  lesion_id: "l1", patient_id: "p1", study_id: "s1", series_id: "r1", study_date: null, key_slice_index: 4, lesion_type: "liver",
  long_mm: 12.5, short_mm: null, box: [1, 2, 3, 4], location: [0.1, 0.2, 0.3], tags: [{ term: "cyst", probability: 1, source: "given" }, { term: "hilum", probability: 0, source: "reader" }, { term: "calcified", probability: 0.7, source: "predicted" }], category: null,
};

test("cells are quoted where they must be, and unknown is empty", () => {
  assert.equal(csvOf([{ a: 'x"y', b: null }, { a: "1,2", c: 3 }]), 'a,b,c\r\n"x""y",,\r\n"1,2",,3\r\n');
});

test("text that a spreadsheet would run stays text; a negative number stays a number", () => {
  assert.equal(csvOf([{ note: "=HYPERLINK(1)", change: -3.5 }]), "note,change\r\n'=HYPERLINK(1),-3.5\r\n");
});

test("a list of numbers stays one, whatever its first is; what only begins so is text", () => {
  const safe = ["-0.5 9.7; 12.0 30.1", "-4.8", "-1 -2; -3 -4"];
  for (const a of safe) assert.equal(csvOf([{ a }]), `a\r\n${a}\r\n`);
  const doubtful = ["-1+cmd|' /C calc'!A0", "-0.5 9.7; =1", "-A1", "- 1", "-1;2", "-1 2\n=3", "+1 2"];
  for (const a of doubtful) assert.match(csvOf([{ a }]), /^a\r\n"?'/);
});

test("an answer has a row a follow-up and a row a hit, under the API's names", () => {
  const rows = resultRows({
    hits: [{ rank: 1, similarity: 0.5, terms: {}, lesion: LESION }],
    follow_ups: [{ study_id: "s9", state: "absent", similarity: 0, score: 0.1, change_pct: null, lesion: null }],
  });
  assert.deepEqual(rows.map(({ relation, study_id: study, rank }) => [relation, study, rank]), [["same patient", "s9", null], ["similar", "s1", 1]]);
  assert.equal(rows[1].tags, "cyst; calcified");
  assert.equal(rows[1].x2, 3);
  assert.match(csvOf(rows), /^relation,rank,similarity,state,score,change_pct,study_id,/);
});

test("a file's name has no path in it", () => {
  assert.equal(fileName("search", "../a b:c"), "search_..-a-b-c");
});
