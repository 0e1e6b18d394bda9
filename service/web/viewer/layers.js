// What lies over a slice: boxes of lesions, the detector's proposals, the mark, measurements, the scout's lines.

import { MarkEditor } from "./drawing.js";
import { isDrawing } from "./gestures.js";
import { paintBox, paintMark, paintScale } from "./overlay.js";
import { Proposals } from "./proposals.js";
import { paintCut, paintLines, paintRulers } from "./tools/painting.js";
import { Rulers, isMeasuring } from "./tools/rulers.js";

/**
 * @typedef {import("./projection.js").Pair} Pair
 * @typedef {import("./projection.js").Projection} Projection
 * @typedef {import("./proposals.js").Box} Box
 * @typedef {{ box: Box, slice: number, colour: string }} ShownBox
 * @typedef {{ points: Pair[], slice: number, colour: string }} ShownLine
 */

/** All of it for one viewport; slices are numbers of its stack. */
export class Layers {
  editor = new MarkEditor();
  proposals = new Proposals();
  rulers = new Rulers();
  /** The slice that mark and proposals belong to; null while there is none. @type {number | null} */
  markSlice = null;
  /** @type {ShownBox[]} */
  boxes = [];
  /** Outlines and diameters that were measured. @type {ShownLine[]} */
  lines = [];
  /** Whether outlines and diameters are seen. */
  hasLines = true;
  #colour;

  /** @param {string} colour */
  constructor(colour) {
    this.#colour = colour;
  }

  clear() {
    this.boxes = [];
    this.lines = [];
    this.proposals.show([]);
    this.markSlice = null;
    this.editor.setMark(null);
    this.rulers.clear();
  }

  /** Whether mark and proposals belong to a slice. @param {number} slice */
  isMarked(slice) {
    return this.markSlice === null || this.markSlice === slice;
  }

  /** A pointer begins to draw with a tool. @param {string} tool @param {Pair} at @param {Projection} projection @param {number} slice */
  press(tool, at, projection, slice) {
    if (isMeasuring(tool)) {
      this.rulers.press(at, projection, { kind: tool, slice });
      return;
    }
    if (!this.isMarked(slice)) {
      this.editor.setMark(null);
      this.proposals.show([]);
    }
    this.markSlice = slice;
    this.editor.press(at, projection);
  }

  /** @param {string} tool @param {Pair} at @param {Projection} projection */
  move(tool, at, projection) {
    if (isMeasuring(tool)) this.rulers.move(at, projection);
    else this.editor.move(at, projection);
  }

  /** Answers whether a mark is complete now. @param {string} tool @param {Pair} at */
  release(tool, at) {
    if (!isMeasuring(tool)) return this.editor.release(at);
    this.rulers.release(at);
    return false;
  }

  cancel() {
    this.editor.cancel();
    this.rulers.cancel();
  }

  /** The proposal under the pointer, by its place. @param {Pair} at @param {Projection} projection @param {number} slice */
  proposalAt(at, projection, slice) {
    return this.isMarked(slice) ? this.proposals.at(projection.toImage(at)) : null;
  }

  /** What a press would take hold of: "handle", "inside" or null. @param {string} tool @param {Pair} at @param {Projection} projection @param {number} slice */
  gripAt(tool, at, projection, slice) {
    if (isMeasuring(tool)) return this.rulers.hover(at, projection, { kind: tool, slice });
    return isDrawing(tool) && this.isMarked(slice) ? this.editor.hover(at, projection) : null;
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {Projection} projection
   * @param {{ slice: number, tool: string, plane: import("./tools/statistics.js").Plane, cut: { x: number, y: number } | null }} shown
   */
  paint(context, projection, { slice, tool, plane, cut }) {
    if (cut !== null) paintCut(context, projection, cut);
    for (const { box, slice: place, colour } of this.boxes) {
      if (place === slice) paintBox(context, projection, box, colour);
    }
    if (this.hasLines) paintLines(context, projection, this.lines.filter((line) => line.slice === slice));
    if (this.isMarked(slice)) {
      this.proposals.paint(context, projection, this.#colour);
      const { mark } = this.editor;
      if (mark !== null) paintMark(context, projection, mark, { colour: this.#colour, withHandles: mark.kind === tool });
    }
    paintRulers(context, projection, this.rulers.on(slice), plane);
    paintScale(context, projection);
  }
}
