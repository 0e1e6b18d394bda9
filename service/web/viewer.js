// One viewport on CT: slices, window, zoom and pan, and what is marked. Tells what changed by events.

import { MarkEditor } from "./drawing.js";
import { make } from "./dom.js";
import { paintBox, paintMark, paintProposals, paintScale } from "./overlay.js";
import { Projection } from "./projection.js";
import { SlicePainter } from "./slice_painter.js";
import { ViewerNotes } from "./viewer_notes.js";
import { WINDOWS, draggedWindow } from "./windows.js";

const DRAWING_TOOLS = ["box", "recist", "point"];
const CLICK_PX = 3;
const FOCUS_LEAST_MM = 80;
const FOCUS_BOXES = 4;

/**
 * A viewport in `host`. Events: `window` and `slice` when a reader changes them (`settled` when a
 * drag of the window ends, `moved` for any new slice), `view` for zoom and pan, `mark` when a mark is
 * complete, `proposal` with the number of the one clicked, `error`.
 */
export class Viewer extends EventTarget {
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
  #notes = new ViewerNotes();
  #hu = null;
  #gesture = null;
  #hoveredProposal = null;
  #wheel = 0;
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
    this.#listen();
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
    this.#tell("moved");
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
    this.#tell("slice", moved);
  }

  setWindow(window) {
    this.window = window;
    this.#painter.forget();
    this.paint();
  }

  setTool(tool) {
    this.tool = tool;
    if (DRAWING_TOOLS.includes(tool)) this.editor.tool = tool;
    this.#canvas.dataset.tool = tool;
    this.paint();
  }

  /** Shows the whole slice. */
  fit() {
    this.#placed = "fit";
    this.#place();
    this.#tell("view");
  }

  /** Shows the lesion large; the mark if one is drawn. */
  focus(box = this.#focusBox) {
    if (box === null || this.stack === null) return;
    this.#focusBox = box;
    this.#placed = "focus";
    this.#place();
    this.#tell("view");
  }

  zoom(factor) {
    this.#placed = "free";
    this.projection.zoom(factor);
    this.#tell("view");
    this.paint();
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
    if (this.#onMarkedSlice()) this.#paintMarks(context);
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

  #onMarkedSlice() {
    return this.markSlice === null || this.markSlice === this.slice;
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", () => this.#cancel());
    canvas.addEventListener("pointerleave", () => this.#notes.showValue([], null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    canvas.addEventListener("dblclick", () => (this.#placed === "fit" ? this.focus() : this.fit()));
  }

  #press(event) {
    if (this.stack === null) return;
    const at = [event.offsetX, event.offsetY];
    this.#canvas.setPointerCapture(event.pointerId);
    this.#gesture = { kind: this.#gestureOf(event, at), at, moved: 0 };
    if (this.#gesture.kind === "mark") {
      if (!this.#onMarkedSlice()) this.#startMarkHere();
      this.editor.press(at, this.projection);
      this.markSlice = this.slice;
    }
    this.paint();
  }

  #startMarkHere() {
    this.editor.mark = null;
    this.proposals = [];
    this.chosenProposal = null;
  }

  #gestureOf(event, at) {
    if (event.button === 1 || event.shiftKey) return "pan";
    if (event.button === 2) return "window";
    const isOnProposal = this.#proposalAt(at) !== null;
    if (isOnProposal && ["window", "point"].includes(this.tool)) return "proposal";
    return DRAWING_TOOLS.includes(this.tool) ? "mark" : this.tool;
  }

  #move(event) {
    const at = [event.offsetX, event.offsetY];
    if (this.stack === null) return;
    this.#tellValue(at);
    if (this.#gesture === null) {
      this.#hoverAt(at);
      return;
    }
    const { kind } = this.#gesture;
    const [dx, dy] = [at[0] - this.#gesture.at[0], at[1] - this.#gesture.at[1]];
    this.#gesture.at = at;
    this.#gesture.moved += Math.abs(dx) + Math.abs(dy);
    if (kind === "window") {
      this.setWindow(draggedWindow(this.window, dx, dy));
      this.#tell("window");
    } else if (kind === "pan") {
      this.#placed = "free";
      this.projection.pan(dx, dy);
      this.#tell("view");
    } else if (kind === "mark") {
      this.editor.move(at, this.projection);
    }
    this.paint();
  }

  #release(event) {
    if (this.#gesture === null) return;
    const at = [event.offsetX, event.offsetY];
    const { kind, moved } = this.#gesture;
    this.#gesture = null;
    const proposal = moved < CLICK_PX ? this.#proposalAt(at) : null;
    const isMark = kind === "mark" && this.editor.release(at, this.projection);
    if (isMark) this.#tell("mark");
    else if (proposal !== null && ["mark", "proposal"].includes(kind)) this.#tell("proposal", proposal);
    if (kind === "window" && moved > 0) this.#tell("settled");
    this.paint();
  }

  #cancel() {
    this.#gesture = null;
    this.editor.cancel();
    this.paint();
  }

  #turn(event) {
    if (this.stack === null) return;
    event.preventDefault();
    const at = [event.offsetX, event.offsetY];
    if (event.ctrlKey || event.metaKey) {
      this.#placed = "free";
      this.projection.zoom(Math.exp(-event.deltaY / 300), at);
      this.#tell("view");
      this.paint();
      return;
    }
    // A notch of a wheel is about 100; a touchpad sends many small steps.
    this.#wheel += event.deltaMode === 0 ? event.deltaY / 60 : event.deltaY;
    const steps = Math.trunc(this.#wheel);
    this.#wheel -= steps;
    if (steps !== 0) this.step(Math.sign(steps));
  }

  #hoverAt(at) {
    const hovered = this.#proposalAt(at);
    const grip = DRAWING_TOOLS.includes(this.tool) && this.#onMarkedSlice()
      ? this.editor.hover(at, this.projection)
      : null;
    this.#canvas.dataset.over = hovered !== null ? "proposal" : grip ?? "";
    if (hovered === this.#hoveredProposal) return;
    this.#hoveredProposal = hovered;
    this.paint();
  }

  /** The smallest proposal under the pointer: one within another can still be clicked. */
  #proposalAt(at) {
    if (!this.#onMarkedSlice()) return null;
    const [x, y] = this.projection.toImage(at);
    let best = null;
    for (const [place, { box }] of this.proposals.entries()) {
      if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) continue;
      if (best === null || area(box) < area(this.proposals[best].box)) best = place;
    }
    return best;
  }

  #tellValue(at) {
    const [x, y] = this.projection.toImage(at).map(Math.round);
    const { columns, rows } = this.stack;
    const inside = this.#hu !== null && x >= 0 && y >= 0 && x < columns && y < rows;
    this.#notes.showValue([x, y], inside ? this.#hu[y * columns + x] : null);
  }

  #tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

function area([x1, y1, x2, y2]) {
  return (x2 - x1) * (y2 - y1);
}
