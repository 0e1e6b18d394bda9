// Whose image it is, what is asked of the service, and how an upload tells how far it is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { changeText } from "../../../service/web/core/lesion_facts.js";
import { inOrder, namesOf } from "../../../service/web/search/dropped_files.js";
import { compared } from "../../../service/web/search/archive/study_table.js";
import { conflictOf, doubtOf, fieldsOf, searchedPatient } from "../../../service/web/search/identity.js";
import { Transfer } from "../../../service/web/search/transfer.js";

const IDENTITY = { patient_id: "MRN-7", study_id: "1.2.3", study_date: null, series_id: null, series_name: null, source: "dicom", indexed_lesions: 2 };

function facts(changes = {}) {
  return { upload_id: "u", identity: changes === null ? null : { ...IDENTITY, ...changes } };
}

test("a new image sets patient and study, to nothing where its files say nothing", () => {
  assert.deepEqual(fieldsOf(facts()), { patient: "MRN-7", study: "1.2.3" });
  assert.deepEqual(fieldsOf(facts(null)), { patient: null, study: null });
});

test("another patient or study than the files' is a conflict, the same or none is not", () => {
  assert.match(conflictOf(facts(), { patient: "000053" }) ?? "", /DICOM header says MRN-7.*query says 000053/);
  assert.match(conflictOf(facts(), { patient: "MRN-7", study: "9" }) ?? "", /study/);
  assert.equal(conflictOf(facts(), { patient: "MRN-7", study: "1.2.3" }), null);
  assert.equal(conflictOf(facts(), {}), null);
  assert.equal(conflictOf(facts(null), { patient: "000053" }), null);
});

test("a patient whom only the file names, and no index knows, is not asked about", () => {
  assert.equal(searchedPatient(facts({ indexed_lesions: 0 }), "MRN-7"), null);
  assert.equal(searchedPatient(facts({ indexed_lesions: 0 }), "000053"), "000053");
  assert.equal(searchedPatient(facts(), "MRN-7"), "MRN-7");
  assert.equal(searchedPatient(null, "MRN-7"), "MRN-7");
});

test("hits are of other patients only where the patient is known", () => {
  const [unknown, same] = [{ recognised: null }, { recognised: { lesion_id: "one", iou: 1 } }];
  assert.equal(doubtOf({ lesion: "one" }, null, unknown), null);
  assert.equal(doubtOf({ patient: "MRN-7" }, facts(), unknown), null);
  assert.match(doubtOf({ patient: "MRN-7" }, facts({ indexed_lesions: 0 }), unknown) ?? "", /no lesion of patient MRN-7/);
  assert.match(doubtOf({}, facts(null), unknown) ?? "", /not known whose image/);
  assert.equal(doubtOf({}, facts(null), same), null);
  assert.equal(doubtOf({ text: "liver cyst" }, null, unknown), null, "words have no image");
});

test("files go in the order of their numbers, and keep their names", () => {
  const files = ["10.png", "9.png", "100.png"].map((name) => ({ name }));
  assert.deepEqual(inOrder(files).map(({ name }) => name), ["9.png", "10.png", "100.png"]);
  assert.equal(namesOf(inOrder(files)), "9.png … 100.png (3 files)");
  assert.equal(namesOf(files.slice(1, 2)), "9.png");
});

test("an upload tells how much has left and how fast", () => {
  const transfer = new Transfer(8 * 2 ** 20);
  assert.equal(transfer.words(), "0.0 of 8.0 MB");
  transfer.reach(0.25, 1000);
  transfer.reach(0.5, 2000);
  assert.equal(transfer.words(), "4.0 of 8.0 MB, 4.0 MB/s");
  transfer.reach(1, 3000);
  assert.equal(transfer.words(), "Reading 8.0 MB");
  assert.ok(transfer.isSent);
});

test("a change is told from the prior to the current study, whichever of them is the query's", () => {
  const change = { change_mm: -8.1, change_pct: -38.4 };
  const text = "21.1 → 13.0 mm (−38 %)";
  assert.equal(changeText({ ...change, role: "prior", lesion: { long_mm: 21.1, short_mm: 9 } }), text);
  assert.equal(changeText({ ...change, role: "current", lesion: { long_mm: 13.0, short_mm: 9 } }), text);
  assert.equal(changeText({ role: null, change_mm: null, change_pct: null, lesion: { long_mm: 13, short_mm: 9 } }), "13.0 × 9.0 mm");
  assert.equal(changeText({ role: "prior", change_mm: null, change_pct: null, lesion: null }), "");
});

test("studies sort by numbers and words, what is not known last either way", () => {
  const sorted = (values, way) => [...values].sort((one, other) => compared(one, other, way));
  assert.deepEqual(sorted([9, null, 70, 13], 1), [9, 13, 70, null]);
  assert.deepEqual(sorted([9, null, 70, 13], -1), [70, 13, 9, null]);
  assert.deepEqual(sorted(["A-10", "", "a-9", "B-1"], 1), ["a-9", "A-10", "B-1", ""]);
  assert.deepEqual(sorted(["2023-02-01", "2024-05-17", ""], -1), ["2024-05-17", "2023-02-01", ""]);
});
