// Viewports side by side under one toolbar: what is chosen there holds for all of them, and has a key.

import { isDrawing } from "./gestures.js";
import { linkViewers } from "./linking.js";
import { TOOLS, Toolbar, hasOutlines } from "./toolbar.js";
import { namedWindows, windowOf } from "./windows.js";

/** @typedef {import("./viewport.js").Viewport} Viewport */

/** Two viewports that move as one; marks are drawn in the first alone. */
export class Station {
  #viewers;
  #on;
  #isMarkable;

  /**
   * @param {[Viewport, Viewport]} viewers
   * @param {{ marks: boolean, isOneBody?: boolean, onWindow?: (window: import("./windows.js").HuWindow) => void, onFocus?: () => void, onDetect?: () => void, onMeasure?: () => void }} on
   *   `isOneBody` is whether both show one patient, so that pan and zoom go together; `onWindow` hears a window that a reader chose.
   */
  constructor(viewers, on) {
    this.#viewers = viewers;
    this.#on = on;
    this.#isMarkable = on.marks;
    this.toolbar = new Toolbar({
      marks: on.marks,
      onTool: (name) => this.useTool(name),
      onPreset: (name) => this.setWindow(windowOf(name)),
      onFit: () => this.each((viewer) => viewer.fit()),
      onFocus: () => this.focus(),
      onInverse: () => this.setInverse(!viewers[0].isInverse),
      onOutline: () => this.showOutlines(!viewers[0].layers.hasLines),
      onScout: () => this.showScout(!viewers[0].hasScout),
      onDetect: on.onDetect ?? null,
      onMeasure: on.onMeasure ?? null,
    });
    linkViewers(...viewers, { isOneBody: on.isOneBody ?? false });
    for (const viewer of viewers) {
      viewer.addEventListener("window", () => this.toolbar.showWindow(viewer.window));
      viewer.addEventListener("settled", () => on.onWindow?.(viewer.window));
    }
    this.useTool("window");
  }

  get element() {
    return this.toolbar.element;
  }

  /** @param {(viewer: Viewport) => void} act */
  each(act) {
    for (const viewer of this.#viewers) act(viewer);
  }

  /** Whether marks can be drawn: a box to begin with. @param {boolean} allowed */
  allowMarks(allowed) {
    this.#isMarkable = allowed;
    this.toolbar.allowMarks(allowed);
    this.useTool(allowed ? "box" : "window");
  }

  /** @param {string} name */
  useTool(name) {
    if (isDrawing(name) && !this.#isMarkable) return;
    const [first, second] = this.#viewers;
    first.setTool(name);
    second.setTool(isDrawing(name) ? "window" : name);
    this.toolbar.showTool(name);
  }

  /** A window for both, not yet a reader's choice. @param {import("./windows.js").HuWindow} window */
  showWindow(window) {
    this.each((viewer) => viewer.setWindow(window));
    this.toolbar.showWindow(window);
  }

  /** A window that a reader chose. @param {import("./windows.js").HuWindow} window */
  setWindow(window) {
    this.showWindow(window);
    this.#on.onWindow?.(window);
  }

  /** @param {boolean} isInverse */
  setInverse(isInverse) {
    this.each((viewer) => viewer.setInverse(isInverse));
    this.#showSwitches();
  }

  /** @param {boolean} isShown */
  showScout(isShown) {
    this.each((viewer) => viewer.showScout(isShown));
    this.#showSwitches();
  }

  /** Outlines of measured masks, seen or not: what lies below them is to be seen too. @param {boolean} isShown */
  showOutlines(isShown) {
    this.each((viewer) => {
      viewer.layers.hasLines = isShown;
      viewer.paint();
    });
    this.#showSwitches();
  }

  /** The lesions large. */
  focus() {
    if (this.#on.onFocus) this.#on.onFocus();
    else this.each((viewer) => viewer.focus());
  }

  /** Both at one scale, so that sizes compare. */
  matchScales() {
    const shown = this.#viewers.filter(({ stack }) => stack !== null);
    if (shown.length < 2) return;
    const scale = Math.min(...shown.map(({ projection }) => projection.scale));
    this.each((viewer) => viewer.setScale(scale));
  }

  /** The keys of all this, for the list of a view. @returns {import("../core/keyboard.js").KeyEntry[]} */
  keys() {
    const [first] = this.#viewers;
    const presets = Object.keys(namedWindows()).map((name, place) => ({
      keys: [String(place + 1)], words: `${name} window`, run: () => this.setWindow(windowOf(name)),
    }));
    const tools = TOOLS.filter(({ name }) => this.#on.marks || !isDrawing(name));
    return [
      { keys: ["ArrowUp"], shown: ["↑"], words: "Image before, towards the head (or wheel)", run: () => first.step(-1) },
      { keys: ["ArrowDown"], shown: ["↓"], words: "Image after, towards the feet", run: () => first.step(1) },
      { keys: ["PageUp", "PageDown"], shown: ["PgUp", "PgDn"], words: "Ten images before, after", run: ({ key }) => first.step(key === "PageUp" ? -10 : 10) },
      { keys: ["Home", "End"], words: "First, last image", run: ({ key }) => first.step(key === "Home" ? -Infinity : Infinity) },
      ...presets,
      ...tools.map(({ name, words, key }) => ({ keys: [key], words, run: () => this.useTool(name) })),
      { keys: ["Delete", "Backspace"], shown: ["Del"], words: "Remove a length or region", run: () => this.#viewers.some((viewer) => viewer.removeRuler()) },
      { keys: ["i"], words: "Black on white", run: () => this.setInverse(!first.isInverse) },
      { keys: ["t"], words: "Sagittal and coronal scout", run: () => this.showScout(!first.hasScout) },
      ...(hasOutlines() ? [{ keys: ["k"], words: "Outline of what was measured, or not", run: () => this.showOutlines(!first.layers.hasLines) }] : []),
      { keys: ["f"], words: "Whole image", run: () => this.each((viewer) => viewer.fit()) },
      { keys: ["z"], words: "Zoom to the lesion", run: () => this.focus() },
      { keys: ["+", "="], shown: ["+"], words: "Larger (or Ctrl and wheel)", run: () => this.#zoom(1.25) },
      { keys: ["-"], words: "Smaller", run: () => this.#zoom(0.8) },
    ];
  }

  /** @param {number} factor */
  #zoom(factor) {
    const [first] = this.#viewers;
    first.zoom(factor);
    first.tell("zoomed", { factor });
  }

  #showSwitches() {
    const [first] = this.#viewers;
    this.toolbar.showSwitches({ isInverse: first.isInverse, hasScout: first.hasScout, hasOutlines: first.layers.hasLines });
  }
}
