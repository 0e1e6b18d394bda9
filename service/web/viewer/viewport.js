// One viewport on CT: slices, window, zoom and pan, and what is marked. Tells what changed by events.

import { contextOf, make } from "../core/dom.js";
import { Gestures, isDrawing } from "./gestures.js";
import { Layers } from "./layers.js";
import { CornerNotes } from "./notes.js";
import { Projection } from "./projection.js";
import { SlicePainter } from "./slice_painter.js";
import { rulerWords } from "./tools/painting.js";
import { Scout, middleOf } from "./tools/scout.js";
import { usualWindow } from "./windows.js";

/**
 * @typedef {import("./drawing.js").Mark} Mark
 * @typedef {import("./image_stack.js").ImageStack} ImageStack
 * @typedef {import("./projection.js").Pair} Pair
 * @typedef {import("./windows.js").HuWindow} HuWindow
 * @typedef {import("./proposals.js").Box} Box
 * @typedef {import("./proposals.js").Proposal} Proposal
 * @typedef {import("./layers.js").ShownBox} ShownBox
 */

const FOCUS_LEAST_MM = 80;
const FOCUS_BOXES = 4;

/**
 * A viewport in `host`. Events: `window` and `slice` when a reader changes them (`settled` when a
 * drag of the window ends, `moved` for any new slice), `inverse`, `view` for zoom and pan, `mark` when a mark
 * is complete, `proposal` with the number of the one clicked, `error`.
 */
export class Viewport extends EventTarget {
  /** @type {ImageStack | null} */
  #stack = null;
  #slice = 0;
  /** @type {HuWindow} */
  #window = usualWindow();
  #tool = "window";
  #isInverse = false;
  #layers;
  #projection = new Projection();
  #canvas = make("canvas", { tabIndex: 0, role: "img" });
  #painter = new SlicePainter();
  #notes = new CornerNotes();
  #scout;
  /** @type {Int16Array | null} */
  #hu = null;
  #pending = false;
  /** @type {Box | null} */
  #focusBox = null;
  /** @type {"fit" | "focus" | "free"} */
  #placed = "fit";

  /** @param {HTMLElement} host @param {{ label: string, colour: string }} look */
  constructor(host, { label, colour }) {
    super();
    this.#layers = new Layers(colour);
    this.#scout = new Scout((slice) => {
      const moved = slice - this.#slice;
      this.goTo(slice);
      if (moved !== 0) this.tell("slice", moved);
      this.paint();
    });
    this.#canvas.setAttribute("aria-label", label);
    host.classList.add("viewport");
    host.append(this.#canvas, ...this.#notes.elements, this.#scout.element);
    new Gestures(this);
    this.#canvas.addEventListener("pointerleave", () => this.#notes.showValue([0, 0], null));
    new ResizeObserver(() => this.#resize()).observe(host);
  }

  get element() { return this.#canvas; }

  /** The slices that are shown, null for none. */
  get stack() { return this.#stack; }

  get slice() { return this.#slice; }

  get window() { return this.#window; }

  get tool() { return this.#tool; }

  get isInverse() { return this.#isInverse; }

  get layers() { return this.#layers; }

  get editor() { return this.#layers.editor; }

  get projection() { return this.#projection; }

  get proposals() { return this.#layers.proposals.shown; }

  get markSlice() { return this.#layers.markSlice; }

  /** Draws boxes of lesions, each on its slice. @param {ShownBox[]} boxes */
  showBoxes(boxes) {
    this.#layers.boxes = boxes;
    this.paint();
  }

  /** Draws outlines and diameters. @param {import("./layers.js").ShownLine[]} lines */
  showLines(lines) {
    this.#layers.lines = lines;
    this.paint();
  }

  /** Draws proposals of the detector on a slice. @param {Proposal[]} proposals @param {number} slice @param {number | null} [chosen] */
  showProposals(proposals, slice, chosen = null) {
    this.#layers.proposals.show(proposals, chosen);
    this.#layers.markSlice = slice;
    this.paint();
  }

  /** Shows only proposals that reach a score. @param {number} score */
  setLeastScore(score) {
    this.#layers.proposals.setLeast(score);
    this.paint();
  }

  /** Marks one proposal as the one searched with, null none. @param {number | null} place */
  chooseProposal(place) {
    this.#layers.proposals.choose(place);
    this.paint();
  }

  /** Draws a mark, or none; `slice` is where it belongs, null leaves that as it is. @param {Mark | null} mark @param {number | null} [slice] */
  showMark(mark, slice = null) {
    this.editor.setMark(mark);
    if (slice !== null) this.#layers.markSlice = slice;
    this.paint();
  }

  /** Shows a stack at a slice; `box` is what "zoom to the lesion" goes to. @param {ImageStack} stack @param {{ slice?: number, box?: Box | null, focus?: boolean }} [options] */
  async show(stack, { slice = stack.key, box = stack.box, focus = false } = {}) {
    this.#stack = stack;
    this.#focusBox = box;
    this.#hu = null;
    this.#layers.rulers.clear();
    this.#scout.use(stack, middleOf(stack, box));
    this.#placed = focus && box !== null ? "focus" : "fit";
    this.#place();
    await this.goTo(slice);
  }

  /** Forgets the image. */
  clear() {
    this.#stack = null;
    this.#hu = null;
    this.#layers.clear();
    this.#scout.use(null, { x: 0, y: 0 });
    this.#notes.clear();
    this.paint();
  }

  /** Goes to a slice of the series, as near as there is one. @param {number} slice */
  async goTo(slice) {
    const stack = this.#stack;
    if (stack === null) return;
    this.#slice = stack.clamp(slice);
    this.tell("moved");
    const wanted = this.#slice;
    try {
      const hu = await stack.slice(wanted);
      if (this.#stack !== stack || this.#slice !== wanted) return;
      this.#hu = hu;
      this.#painter.forget();
      stack.prefetch(wanted);
      this.paint();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    }
  }

  /** Images on (towards the feet) or back, as a reader's step: others are told. @param {number} count */
  step(count) {
    if (this.#stack === null) return false;
    const target = this.#stack.clamp(this.#slice - count * this.#stack.headward);
    if (this.#stack.slices === 1) this.#notes.showLink("There is one image only");
    if (target === this.#slice) return true;
    const moved = target - this.#slice;
    this.goTo(target);
    this.tell("slice", moved);
    return true;
  }

  /** @param {HuWindow} window */
  setWindow(window) {
    this.#window = window;
    this.#painter.forget();
    this.paint();
  }

  /** White on black, or black on white. @param {boolean} isInverse */
  setInverse(isInverse) {
    this.#isInverse = isInverse;
    this.#painter.forget();
    this.paint();
  }

  /** Shows the sagittal and the coronal scout, or hides them. @param {boolean} isShown */
  showScout(isShown) {
    this.#scout.follow(this.#slice, this.#window);
    this.#scout.toggle(isShown);
    this.paint();
  }

  get hasScout() { return this.#scout.isShown; }

  get notes() { return this.#notes; }

  /** Takes the chosen measurement away; false where there is none. */
  removeRuler() {
    const isGone = this.#layers.rulers.remove(this.#slice);
    this.paint();
    return isGone;
  }

  /** @param {string} tool */
  setTool(tool) {
    this.#tool = tool;
    if (isDrawing(tool)) this.editor.setTool(tool);
    this.#canvas.dataset.tool = tool;
    this.paint();
  }

  /** Shows the whole slice; without an image there is no scale that others could follow. */
  fit() {
    this.#placed = "fit";
    this.#place();
    if (this.#stack !== null) this.tell("view");
  }

  /** Shows the lesion large; the mark if one is drawn. @param {Box | null} [box] */
  focus(box = this.#focusBox) {
    if (box === null || this.#stack === null) return;
    this.#focusBox = box;
    this.#placed = "focus";
    this.#place();
    this.tell("view");
  }

  /** Zooms about a place of the canvas, its middle if none is given. @param {number} factor @param {Pair} [at] */
  zoom(factor, at) {
    this.#placed = "free";
    this.#projection.zoom(factor, at);
    this.tell("view");
    this.paint();
  }

  /** Moves the slice by screen pixels. @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.#placed = "free";
    this.#projection.pan(dx, dy);
    this.tell("view");
    this.paint();
  }

  /** The whole slice, or the lesion large where the whole slice is shown already. */
  toggleFocus() {
    if (this.#placed === "fit") this.focus();
    else this.fit();
  }

  /** Tells the pixel under the pointer. @param {Pair} at */
  readAt(at) {
    if (this.#stack === null) return;
    const [left, top] = this.#projection.toImage(at);
    const [x, y] = [Math.round(left), Math.round(top)];
    const { columns, rows } = this.#stack;
    const inside = this.#hu !== null && x >= 0 && y >= 0 && x < columns && y < rows;
    this.#notes.showValue([x, y], inside && this.#hu !== null ? this.#hu[y * columns + x] : null);
  }

  /** Shows what could be taken hold of under the pointer. @param {Pair} at */
  hoverAt(at) {
    const hovered = this.proposalAt(at);
    const grip = this.#layers.gripAt(this.#tool, at, this.#projection, this.#slice);
    this.#canvas.dataset.over = hovered !== null ? "proposal" : grip ?? "";
    if (this.#layers.proposals.hover(hovered)) this.paint();
  }

  /** Dispatches one of the events. @param {string} kind @param {any} [detail] */
  tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Shows as many screen pixels a mm as another viewport does, so that sizes compare. @param {number} scale */
  setScale(scale) {
    if (this.#stack === null) return;
    this.#placed = "free";
    this.#projection.setScale(scale);
    this.paint();
  }

  /** Paints when the browser next does; several calls are one. */
  paint() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#paintNow();
    });
  }

  #place() {
    if (this.#stack === null) return;
    const { columns, rows, spacing } = this.#stack;
    if (this.#placed === "free") this.#projection.use(columns, rows, spacing);
    else this.#projection.fit(columns, rows, spacing);
    if (this.#placed === "focus" && this.#focusBox !== null) {
      const [x1, y1, x2, y2] = this.#focusBox;
      const extent = Math.max((x2 - x1) * spacing[0], (y2 - y1) * spacing[1]);
      const millimetres = Math.max(FOCUS_LEAST_MM, FOCUS_BOXES * extent);
      this.#projection.focus([(x1 + x2) / 2, (y1 + y2) / 2], millimetres);
    }
    this.paint();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0 || clientHeight === 0) return;
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(clientWidth * ratio);
    this.#canvas.height = Math.round(clientHeight * ratio);
    this.#projection.resize([clientWidth, clientHeight]);
    this.#place();
    this.#paintNow();
  }

  #paintNow() {
    const context = contextOf(this.#canvas);
    const ratio = devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, ...this.#projection.size);
    if (this.#stack === null || this.#hu === null) return;
    const { columns, rows } = this.#stack;
    const plane = { hu: this.#hu, columns, rows, spacing: this.#stack.spacing };
    this.#painter.paint(context, this.#projection, { ...plane, window: this.#window, isInverse: this.#isInverse });
    this.#layers.paint(context, this.#projection, { slice: this.#slice, tool: this.#tool, plane, cut: this.#scout.cut });
    this.#scout.follow(this.#slice, this.#window);
    this.#notes.showSlice(this.#slice, this.#stack);
    this.#notes.showWindow(this.#window);
    this.#notes.showMeasured(rulerWords(this.#layers.rulers.on(this.#slice), plane));
  }

  /** The proposal under the pointer, by its place. @param {Pair} at */
  proposalAt(at) {
    return this.#layers.proposalAt(at, this.#projection, this.#slice);
  }
}
