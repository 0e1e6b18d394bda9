// The geometry of the viewports: millimetres with pixels that are not square, windows, linked slices, marks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { MarkEditor, markFields, markOf, markSize } from "../../../service/web/viewer/drawing.js";
import { linkViewers, linkWords } from "../../../service/web/viewer/linking.js";
import { Projection, distanceMm } from "../../../service/web/viewer/projection.js";
import { Proposals } from "../../../service/web/viewer/proposals.js";
import { Rulers } from "../../../service/web/viewer/tools/rulers.js";
import { ellipseFacts, regionLines } from "../../../service/web/viewer/tools/statistics.js";
import { CoarseVolume } from "../../../service/web/viewer/tools/volume.js";
import { draggedWindow, greyTable, parseWindow, windowAround, windowOf, windowText } from "../../../service/web/viewer/windows.js";
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

  said = "";
  notes = { showLink: (words) => { this.said = words; } };

  constructor(interval, key, slice, { first = 0, last = 999, headward = -1 } = {}) {
    super();
    this.stack = { interval, key, first, last, headward, slices: last - first + 1, headwardMm: (from, to) => (to - from) * headward * interval };
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

test("linked slices go the same way in the body, whichever way their numbers grow", () => {
  const archive = new FakeViewport(2, 50, 50);
  const display = new FakeViewport(1, 30, 30, { headward: 1 });
  linkViewers(archive, display);
  archive.slice = 55;
  archive.dispatchEvent(new CustomEvent("slice", { detail: 5 }));
  assert.deepEqual(display.went, [20]);
});

test("a viewport that cannot follow says why, and stays at its end", () => {
  const long = new FakeViewport(1, 100, 100);
  const short = new FakeViewport(5, 20, 20, { first: 18, last: 22 });
  linkViewers(long, short);
  long.slice = 140;
  long.dispatchEvent(new CustomEvent("slice", { detail: 40 }));
  assert.deepEqual(short.went, [22]);
  assert.equal(short.said, "Ends here: the other is 30 mm below its last image");
  long.slice = 110;
  long.dispatchEvent(new CustomEvent("slice", { detail: -30 }));
  assert.equal(short.said, "");
  assert.match(linkWords({ slices: 1 }, 3), /One image/);
  assert.match(linkWords({ slices: 9, interval: 0 }, 3), /not known/);
});

test("a region has the mean, the SD and the area of the pixels within its ellipse", () => {
  const [columns, rows] = [9, 9];
  const hu = Int16Array.from({ length: columns * rows }, (_, place) => ((place % columns) < 4 ? -100 : 100));
  const facts = ellipseFacts([[1, 1], [7, 7]], { hu, columns, rows, spacing: [0.5, 2] });
  // Within three pixels of the middle are 29 centres, 7 of them in the middle column.
  assert.equal(facts?.pixels, 29);
  assert.equal(facts?.mean, (100 * (29 - 11) - 100 * 11) / 29);
  assert.ok(Math.abs((facts?.sd ?? 0) - Math.sqrt(100 ** 2 - (700 / 29) ** 2)) < 1e-9);
  assert.ok(Math.abs((facts?.area ?? 0) - Math.PI * 1.5 * 6) < 1e-9);
  assert.equal(ellipseFacts([[2, 2], [2, 6]], { hu, columns, rows, spacing: [1, 1] }), null);
  assert.deepEqual(regionLines(null), ["no pixel within"]);
});

test("a length is drawn, taken by its end, and taken away; a click measures nothing", () => {
  const [rulers, made] = [new Rulers(), projection()];
  const at = (x, y) => made.toScreen([x, y]);
  rulers.press(at(10, 10), made, { kind: "length", slice: 3 });
  rulers.release(at(10, 10));
  assert.equal(rulers.all.length, 0);
  rulers.press(at(10, 10), made, { kind: "length", slice: 3 });
  rulers.move(at(40, 10), made);
  rulers.release(at(40, 10));
  rulers.press(at(40, 10), made, { kind: "length", slice: 3 });
  rulers.move(at(60, 10), made);
  rulers.release(at(60, 10));
  assert.equal(rulers.on(3).length, 1);
  assert.ok(Math.abs(distanceMm(...rulers.on(3)[0].points, FLAT) - 25) < 1e-9);
  assert.equal(rulers.on(4).length, 0);
  assert.equal(rulers.remove(4), false);
  assert.equal(rulers.remove(3), true);
  assert.equal(rulers.all.length, 0);
});

test("lengths and ellipses end at the edges of the image; beside it nothing is measured", () => {
  const made = projection();
  const at = (x, y) => made.toScreen([x, y]);
  for (const kind of ["length", "ellipse"]) {
    const rulers = new Rulers();
    const draw = (from, to) => {
      rulers.press(at(...from), made, { kind, slice: 3 });
      rulers.move(at(...to), made);
      rulers.release(at(...to));
    };
    draw([-30, 10], [140, 70]);
    assert.deepEqual(rulers.all[0].points.map((point) => point.map((value) => Number(value.toFixed(6)))), [[-0.5, 10], [99.5, 49.5]]);
    draw([99.5, 49.5], [40, -20]);
    assert.equal(rulers.all.length, 1);
    assert.deepEqual(rulers.all[0].points[1].map((value) => Number(value.toFixed(6))), [40, -0.5]);
    draw([-30, -30], [-10, -9]);
    assert.equal(rulers.all.length, 1);
  }
});

test("a scout has the head on top, whichever way the slices are numbered", async () => {
  for (const headward of [1, -1]) {
    const stack = {
      columns: 2, rows: 3, slices: 4, first: 10, last: 13, headward, spacing: [1, 1], interval: 5,
      slice: async (index) => new Int16Array(6).fill(index),
    };
    const volume = new CoarseVolume(stack);
    await volume.gather(11, () => {});
    const tops = [volume.sagittal(1), volume.coronal(1)].map(({ values, width }) => [values[0], values[3 * width]]);
    assert.deepEqual(tops, headward > 0 ? [[13, 10], [13, 10]] : [[10, 13], [10, 13]]);
  }
});

test("an inverse window is white below and dark above", () => {
  const table = greyTable([0, 255], true);
  assert.deepEqual([-1, 300].map((hu) => table[hu + 32768] & 255), [255, 0]);
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

test("the window is the lung's where enough lung lies in and around the mark, or in most of the slice", () => {
  const [columns, rows] = [60, 60];
  const hu = new Int16Array(columns * rows).fill(40);
  const plane = { hu, columns, rows, spacing: [1, 1] };
  const box = [27, 27, 33, 33];
  assert.deepEqual(windowAround(plane, box), windowOf("soft tissue"));
  // A nodule at the pleura: lung on one side, 24 mm are looked at.
  for (let y = 0; y < rows; y += 1) for (let x = 0; x < 26; x += 1) hu[y * columns + x] = -850;
  assert.deepEqual(windowAround(plane, box), windowOf("lung"));
  assert.deepEqual(windowAround(plane, [40, 27, 46, 33]), windowOf("soft tissue"));
  assert.deepEqual(windowAround(plane, null), windowOf("soft tissue"));
  for (let y = 0; y < rows; y += 1) for (let x = 0; x < 31; x += 1) hu[y * columns + x] = -850;
  assert.deepEqual(windowAround(plane, null), windowOf("lung"));
  // Air outside the body is no lung, a place outside the image has no pixels.
  hu.fill(-1000);
  assert.deepEqual(windowAround(plane, box), windowOf("soft tissue"));
  assert.deepEqual(windowAround(plane, [90, 90, 96, 96]), windowOf("soft tissue"));
});
