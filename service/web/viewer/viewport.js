// One viewport on CT: slices, window, zoom and pan, and what is marked. Tells what changed by events.

import { make } from "../core/dom.js";
import { MarkEditor } from "./drawing.js";
import { Gestures, isDrawing } from "./gestures.js";
import { CornerNotes } from "./notes.js";
import { paintBox, paintMark, paintProposals, paintScale } from "./overlay.js";
import { Projection } from "./projection.js";
import { SlicePainter } from "./slice_painter.js";
import { WINDOWS } from "./windows.js";

const FOCUS_LEAST_MM = 80;
const FOCUS_BOXES = 4;

/**
 * A viewport in `host`. Events: `window` and `slice` when a reader changes them (`settled` when a
 * drag of the window ends, `moved` for any new slice), `view` for zoom and pan, `mark` when a mark is
 * complete, `proposal` with the number of the one clicked, `error`.
 */
export class Viewport extends EventTarget {
  stack = null;
  slice = 0;
  window = WINDOWS["soft tissue"];
  tool = "window";
  boxes = [];
  proposals = [];
  chosenProposal = null;
  /** The slice that mark and proposals belong to; null while there is none. */
  markSlice = null;
  editor = new MarkEditor();
  projection = new Projection();
  #canvas = make("canvas", { tabIndex: 0, role: "img" });
  #painter = new SlicePainter();
  #notes = new CornerNotes();
  #hu = null;
  #hoveredProposal = null;
  #pending = false;
  #colour;
  #focusBox = null;
  #placed = "fit";

  constructor(host, { label, colour }) {
    super();
    this.#colour = colour;
    this.#canvas.setAttribute("aria-label", label);
    host.classList.add("viewport");
    host.append(this.#canvas, ...this.#notes.elements);
    new Gestures(this);
    this.#canvas.addEventListener("pointerleave", () => this.#notes.showValue([], null));
    new ResizeObserver(() => this.#resize()).observe(host);
  }

  get element() {
    return this.#canvas;
  }

  /** Shows a stack at a slice; `box` is what "zoom to the lesion" goes to. */
  async show(stack, { slice = stack.key, box = stack.box, focus = false } = {}) {
    this.stack = stack;
    this.#focusBox = box;
    this.#hu = null;
    this.#placed = focus && box !== null ? "focus" : "fit";
    this.#place();
    await this.goTo(slice);
  }

  /** Forgets the image. */
  clear() {
    this.stack = null;
    this.#hu = null;
    this.boxes = [];
    this.proposals = [];
    this.editor.mark = null;
    this.#notes.clear();
    this.paint();
  }

  /** Goes to a slice of the series, as near as there is one. */
  async goTo(slice) {
    const { stack } = this;
    if (stack === null) return;
    this.slice = stack.clamp(slice);
    this.tell("moved");
    const wanted = this.slice;
    try {
      const hu = await stack.slice(wanted);
      if (this.stack !== stack || this.slice !== wanted) return;
      this.#hu = hu;
      this.#painter.forget();
      stack.prefetch(wanted);
      this.paint();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("error", { detail: error }));
    }
  }

  /** One slice on or back, as a reader's step: others are told. */
  step(count) {
    if (this.stack === null) return;
    const target = this.stack.clamp(this.slice + count);
    if (target === this.slice) return;
    const moved = target - this.slice;
    this.goTo(target);
    this.tell("slice", moved);
  }

  setWindow(window) {
    this.window = window;
    this.#painter.forget();
    this.paint();
  }

  setTool(tool) {
    this.tool = tool;
    if (isDrawing(tool)) this.editor.tool = tool;
    this.#canvas.dataset.tool = tool;
    this.paint();
  }

  /** Shows the whole slice. */
  fit() {
    this.#placed = "fit";
    this.#place();
    this.tell("view");
  }

  /** Shows the lesion large; the mark if one is drawn. */
  focus(box = this.#focusBox) {
    if (box === null || this.stack === null) return;
    this.#focusBox = box;
    this.#placed = "focus";
    this.#place();
    this.tell("view");
  }

  /** Zooms about a place of the canvas, its middle if none is given. */
  zoom(factor, at) {
    this.#placed = "free";
    this.projection.zoom(factor, at);
    this.tell("view");
    this.paint();
  }

  /** Moves the slice by screen pixels. */
  pan(dx, dy) {
    this.#placed = "free";
    this.projection.pan(dx, dy);
    this.tell("view");
    this.paint();
  }

  /** The whole slice, or the lesion large where the whole slice is shown already. */
  toggleFocus() {
    if (this.#placed === "fit") this.focus();
    else this.fit();
  }

  /** Whether mark and proposals belong to the slice that is shown. */
  get isOnMarkedSlice() {
    return this.markSlice === null || this.markSlice === this.slice;
  }

  /** Mark and proposals are forgotten if they belong to another slice; a new mark begins here. */
  beginMark() {
    if (!this.isOnMarkedSlice) {
      this.editor.mark = null;
      this.proposals = [];
      this.chosenProposal = null;
    }
    this.markSlice = this.slice;
  }

  /** Tells the pixel under the pointer. */
  readAt(at) {
    const [x, y] = this.projection.toImage(at).map(Math.round);
    const { columns, rows } = this.stack;
    const inside = this.#hu !== null && x >= 0 && y >= 0 && x < columns && y < rows;
    this.#notes.showValue([x, y], inside ? this.#hu[y * columns + x] : null);
  }

  /** Shows what could be taken hold of under the pointer. */
  hoverAt(at) {
    const hovered = this.proposalAt(at);
    const grip = isDrawing(this.tool) && this.isOnMarkedSlice ? this.editor.hover(at, this.projection) : null;
    this.#canvas.dataset.over = hovered !== null ? "proposal" : grip ?? "";
    if (hovered === this.#hoveredProposal) return;
    this.#hoveredProposal = hovered;
    this.paint();
  }

  /** Dispatches one of the events. */
  tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Shows as many screen pixels a mm as another viewport does, so that sizes compare. */
  setScale(scale) {
    if (this.stack === null) return;
    this.#placed = "free";
    this.projection.scale = scale;
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
    if (this.stack === null) return;
    const { columns, rows, spacing } = this.stack;
    const kept = [this.projection.center, this.projection.scale];
    this.projection.fit(columns, rows, spacing);
    if (this.#placed === "free") [this.projection.center, this.projection.scale] = kept;
    if (this.#placed === "focus") {
      const [x1, y1, x2, y2] = this.#focusBox;
      const extent = Math.max((x2 - x1) * spacing[0], (y2 - y1) * spacing[1]);
      const millimetres = Math.max(FOCUS_LEAST_MM, FOCUS_BOXES * extent);
      this.projection.focus([(x1 + x2) / 2, (y1 + y2) / 2], millimetres);
    }
    this.paint();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0 || clientHeight === 0) return;
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(clientWidth * ratio);
    this.#canvas.height = Math.round(clientHeight * ratio);
    this.projection.size = [clientWidth, clientHeight];
    this.#place();
    this.#paintNow();
  }

  #paintNow() {
    const context = this.#canvas.getContext("2d");
    const ratio = devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, ...this.projection.size);
    if (this.stack === null || this.#hu === null) return;
    const { columns, rows } = this.stack;
    this.#painter.paint(context, this.projection, { hu: this.#hu, columns, rows, window: this.window });
    for (const { box, slice, colour } of this.boxes) {
      if (slice === this.slice) paintBox(context, this.projection, box, colour);
    }
    if (this.isOnMarkedSlice) this.#paintMarks(context);
    paintScale(context, this.projection);
    this.#notes.showSlice(this.slice, this.stack);
    this.#notes.showWindow(this.window);
  }

  #paintMarks(context) {
    const [colour, hovered, chosen] = [this.#colour, this.#hoveredProposal, this.chosenProposal];
    paintProposals(context, this.projection, this.proposals, { hovered, chosen, colour });
    const { mark } = this.editor;
    if (mark !== null) paintMark(context, this.projection, mark, { colour, withHandles: mark.kind === this.tool });
  }

  /** The smallest proposal under the pointer: one within another can still be clicked. */
  proposalAt(at) {
    if (!this.isOnMarkedSlice) return null;
    const [x, y] = this.projection.toImage(at);
    let best = null;
    for (const [place, { box }] of this.proposals.entries()) {
      if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) continue;
      if (best === null || area(box) < area(this.proposals[best].box)) best = place;
    }
    return best;
  }
}

function area([x1, y1, x2, y2]) {
  return (x2 - x1) * (y2 - y1);
}
