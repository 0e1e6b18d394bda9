// The geometry of the viewports: millimetres with pixels that are not square, windows, linked slices, marks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MarkEditor, markFields, markOf, markSize } from "../../../service/web/viewer/drawing.js";
import { linkViewers } from "../../../service/web/viewer/linking.js";
import { Projection, distanceMm } from "../../../service/web/viewer/projection.js";
import { Proposals } from "../../../service/web/viewer/proposals.js";
import { draggedWindow, greyTable, parseWindow, windowOf, windowText } from "../../../service/web/viewer/windows.js";
import { useWords } from "./words.js";

useWords();

const FLAT = [0.5, 2];

function projection() {
  const made = new Projection();
  made.resize([400, 300]);
  made.fit(100, 50, FLAT);
  return made;
}

test("a length counts each axis in its own millimetres", () => {
  assert.equal(distanceMm([10, 10], [40, 10], FLAT), 15);
  assert.equal(distanceMm([10, 10], [10, 40], FLAT), 60);
  assert.equal(distanceMm([0, 0], [6, 2], FLAT), 5);
});

test("the size of a box and of diameters is told in millimetres of each axis", () => {
  assert.equal(markSize({ kind: "box", points: [[40, 30], [10, 10]] }, FLAT), "15.0 × 40.0 mm box");
  const recist = { kind: "recist", points: [[0, 0], [30, 0], [15, -10], [15, 10]] };
  assert.equal(markSize(recist, FLAT), "40.0 × 15.0 mm");
});

test("the longer diameter in millimetres is sent first, whichever was drawn first", () => {
  const points = [[0, 0], [30, 0], [15, -10], [15, 10]];
  assert.deepEqual(markFields({ kind: "recist", points }, FLAT), { recist: "15,-10,15,10,0,0,30,0" });
  assert.deepEqual(markFields({ kind: "recist", points }, [2, 0.5]), { recist: "0,0,30,0,15,-10,15,10" });
});

test("half a RECIST mark is nothing to search with", () => {
  assert.deepEqual(markFields({ kind: "recist", points: [[0, 0], [30, 0]] }, [1, 1]), {});
});

test("a mark survives the URL", () => {
  const mark = markOf({ box: "1.5,2,30,40.2" });
  assert.deepEqual(mark, { kind: "box", points: [[1.5, 2], [30, 40.2]] });
  assert.equal(markOf({ box: "1,2,three,4" }), null);
  assert.equal(markOf({ recist: "1,2,3,4" }), null);
});

test("screen and image are each other's inverse, and a millimetre is as long down as across", () => {
  const made = projection();
  const [x, y] = made.toImage(made.toScreen([12.25, 7.5]));
  assert.ok(Math.abs(x - 12.25) < 1e-9 && Math.abs(y - 7.5) < 1e-9);
  const [origin, right, down] = [made.toScreen([0, 0]), made.toScreen([4, 0]), made.toScreen([0, 1])];
  assert.ok(Math.abs(right[0] - origin[0] - (down[1] - origin[1])) < 1e-9);
});

test("the whole image fits, and its middle is in the middle", () => {
  const made = projection();
  assert.deepEqual(made.toScreen([49.5, 24.5]), [200, 150]);
  assert.equal(made.scale, 3);
  assert.equal(made.toScreen([-0.5, -0.5])[1], 0);
});

test("a zoom leaves the point under the pointer where it is", () => {
  const made = projection();
  const before = made.toImage([320, 40]);
  made.zoom(2.5, [320, 40]);
  const after = made.toImage([320, 40]);
  assert.ok(Math.hypot(before[0] - after[0], before[1] - after[1]) < 1e-9);
});

test("a drag to the right widens the window, a drag down raises its level", () => {
  const [low, high] = windowOf("soft tissue");
  const wide = draggedWindow([low, high], 30, 0);
  assert.ok(wide[1] - wide[0] > high - low);
  assert.equal(wide[0] + wide[1], low + high);
  const bright = draggedWindow([low, high], 0, 30);
  assert.ok(bright[0] + bright[1] > low + high);
  assert.equal(bright[1] - bright[0], high - low);
  assert.ok(draggedWindow([low, high], -30, 0)[1] - draggedWindow([low, high], -30, 0)[0] < high - low);
});

test("a window is dark below, white above and grey between", () => {
  const table = greyTable([0, 255]);
  const grey = (hu) => table[hu + 32768] & 255;
  assert.deepEqual([grey(-1), grey(0), grey(128), grey(255), grey(2000)], [0, 0, 128, 255, 255]);
});

test("a window survives the URL under its name or as numbers", () => {
  assert.equal(windowText(windowOf("lung")), "lung");
  assert.deepEqual(parseWindow(windowText([-37, 411])), [-37, 411]);
  assert.equal(parseWindow("5..5"), null);
});

class FakeViewport extends EventTarget {
  window = [0, 1];
  went = [];

  constructor(interval, key, slice) {
    super();
    this.stack = { interval, key };
    this.slice = slice;
    this.projection = { scale: 1 };
  }

  goTo(slice) {
    this.went.push(slice);
  }

  setWindow(window) {
    this.window = window;
  }

  setScale(scale) {
    this.projection.scale = scale;
  }
}

test("linked slices keep the distance in millimetres from their key slices", () => {
  const thin = new FakeViewport(1, 100, 100);
  const thick = new FakeViewport(5, 20, 20);
  linkViewers(thin, thick);
  thin.slice = 110;
  thin.dispatchEvent(new CustomEvent("slice", { detail: 10 }));
  assert.deepEqual(thick.went, [22]);
  thick.slice = 18;
  thick.dispatchEvent(new CustomEvent("slice", { detail: -2 }));
  assert.deepEqual(thin.went, [90]);
});

test("a box is moved by its inside and keeps its size", () => {
  const made = projection();
  const editor = new MarkEditor();
  editor.setMark({ kind: "box", points: [[20, 10], [40, 20]] });
  const from = made.toScreen([30, 15]);
  const to = made.toScreen([35, 18]);
  editor.press(from, made);
  editor.move(to, made);
  assert.equal(editor.release(to), true);
  const [[x1, y1], [x2, y2]] = editor.mark?.points ?? [];
  const rounded = [x1, y1, x2, y2].map((edge) => Math.round(edge * 1e6) / 1e6);
  assert.deepEqual(rounded, [25, 13, 45, 23]);
});

test("a press without a drag changes no mark", () => {
  const made = projection();
  const editor = new MarkEditor();
  const before = { kind: "box", points: [[20, 10], [40, 20]] };
  editor.setMark(before);
  editor.press([5, 5], made);
  assert.equal(editor.release([6, 5]), false);
  assert.equal(editor.mark, before);
});

test("the five best proposals that reach the score are shown, and only the one that was taken", () => {
  const proposals = new Proposals();
  const scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
  proposals.show(scores.map((score, place) => ({ box: [10 * place, 0, 10 * place + 8, 8], score })));
  assert.deepEqual(proposals.shown.map(({ score }) => score), scores.slice(0, 5));
  proposals.setLeast(0.65);
  assert.equal(proposals.shown.length, 3);
  assert.equal(proposals.at([21, 4]), 2);
  assert.equal(proposals.at([31, 4]), null);
  proposals.choose(1);
  assert.deepEqual(proposals.shown.map(({ score }) => score), [0.8]);
});

test("of two proposals, one within the other, the smaller is meant", () => {
  const proposals = new Proposals();
  proposals.show([{ box: [0, 0, 50, 50], score: 0.9 }, { box: [10, 10, 20, 20], score: 0.5 }]);
  assert.equal(proposals.at([15, 15]), 1);
  assert.equal(proposals.at([40, 40]), 0);
});
