// What a pointer and a wheel do to a viewport.

import { isMeasuring } from "./tools/rulers.js";
import { draggedWindow } from "./windows.js";

const DRAWING_TOOLS = ["box", "recist", "point"];
const CLICK_PX = 3;
const WHEEL_STEP = 60;

/** @typedef {import("./projection.js").Pair} Pair */

/** Whether a tool draws a mark. @param {string} tool @returns {tool is import("./drawing.js").MarkKind} */
export function isDrawing(tool) {
  return DRAWING_TOOLS.includes(tool);
}

/** Listens to the canvas of a viewport and calls its methods. */
export class Gestures {
  #viewer;
  /** @type {{ kind: string, at: Pair, moved: number } | null} */
  #gesture = null;
  #wheel = 0;

  /** @param {import("./viewport.js").Viewport} viewer */
  constructor(viewer) {
    this.#viewer = viewer;
    const canvas = viewer.element;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", () => this.#cancel());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#turn(event), { passive: false });
    canvas.addEventListener("dblclick", () => viewer.toggleFocus());
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const viewer = this.#viewer;
    if (viewer.stack === null) return;
    const at = placeOf(event);
    viewer.element.setPointerCapture(event.pointerId);
    const kind = this.#kindOf(event, at);
    this.#gesture = { kind, at, moved: 0 };
    if (kind === "mark") {
      viewer.layers.press(viewer.tool, at, viewer.projection, viewer.slice);
    }
    viewer.paint();
  }

  /** @param {PointerEvent} event @param {Pair} at */
  #kindOf(event, at) {
    const { tool } = this.#viewer;
    if (event.button === 1 || event.shiftKey) return "pan";
    if (event.button === 2) return "window";
    const isOnProposal = this.#viewer.proposalAt(at) !== null;
    if (isOnProposal && ["window", "point"].includes(tool)) return "proposal";
    return isDrawing(tool) || isMeasuring(tool) ? "mark" : tool;
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const viewer = this.#viewer;
    if (viewer.stack === null) return;
    const at = placeOf(event);
    viewer.readAt(at);
    if (this.#gesture === null) {
      viewer.hoverAt(at);
      return;
    }
    const { kind } = this.#gesture;
    const [dx, dy] = [at[0] - this.#gesture.at[0], at[1] - this.#gesture.at[1]];
    this.#gesture.at = at;
    this.#gesture.moved += Math.abs(dx) + Math.abs(dy);
    if (kind === "window") {
      viewer.setWindow(draggedWindow(viewer.window, dx, dy));
      viewer.tell("window");
    } else if (kind === "pan") {
      viewer.pan(dx, dy);
      viewer.tell("panned", [dx, dy]);
    } else if (kind === "mark") {
      viewer.layers.move(viewer.tool, at, viewer.projection);
      viewer.paint();
    }
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (this.#gesture === null) return;
    const viewer = this.#viewer;
    const at = placeOf(event);
    const { kind, moved } = this.#gesture;
    this.#gesture = null;
    const proposal = moved < CLICK_PX ? viewer.proposalAt(at) : null;
    const isMark = kind === "mark" && viewer.layers.release(viewer.tool, at);
    if (isMark) viewer.tell("mark");
    else if (proposal !== null && ["mark", "proposal"].includes(kind)) viewer.tell("proposal", proposal);
    if (kind === "window" && moved > 0) viewer.tell("settled");
    viewer.paint();
  }

  #cancel() {
    this.#gesture = null;
    this.#viewer.layers.cancel();
    this.#viewer.paint();
  }

  /** @param {WheelEvent} event */
  #turn(event) {
    const viewer = this.#viewer;
    if (viewer.stack === null) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      const [factor, at] = [Math.exp(-event.deltaY / 300), placeOf(event)];
      viewer.zoom(factor, at);
      viewer.tell("zoomed", { factor, at });
      return;
    }
    // A notch of a wheel is about 100; a touchpad sends many small steps.
    this.#wheel += event.deltaMode === 0 ? event.deltaY / WHEEL_STEP : event.deltaY;
    const steps = Math.trunc(this.#wheel);
    this.#wheel -= steps;
    if (steps !== 0) viewer.step(Math.sign(steps));
  }
}

/** @param {MouseEvent} event @returns {[number, number]} */
function placeOf(event) {
  return [event.offsetX, event.offsetY];
}
