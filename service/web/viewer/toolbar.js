// The tools of a viewport: what a drag does, the window presets, and how the image lies.

import { can } from "../core/capabilities.js";
import { button, make } from "../core/dom.js";
import { rove } from "../core/roving.js";
import { isDrawing } from "./gestures.js";
import { namedWindows, presetOf, windowOf } from "./windows.js";

/** @typedef {import("./windows.js").HuWindow} HuWindow */

export const TOOLS = [
  { name: "window", words: "Window and level: drag", key: "w" },
  { name: "pan", words: "Move the image: drag", key: "p" },
  { name: "length", words: "Length in mm: drag", key: "l" },
  { name: "ellipse", words: "Region: mean and SD of HU, area", key: "e" },
  { name: "box", words: "Box around the lesion", key: "b" },
  { name: "recist", words: "RECIST mark: the long, then the short diameter", key: "r" },
  { name: "point", words: "Point in the lesion: its extent is found", key: "x" },
];

/** Tool buttons; `marks` adds those that draw, `onTool` hears the name of the one chosen. */
export class Toolbar {
  #tools;
  #presets;
  #detect;
  #measure;
  #inverse;
  #outline;
  #scout;

  /**
   * @param {{
   *   marks: boolean, onTool: (name: string) => void, onPreset: (name: string) => void,
   *   onFit: () => void, onFocus: () => void, onInverse: () => void, onOutline: () => void, onScout: () => void,
   *   onDetect?: (() => void) | null, onMeasure?: (() => void) | null,
   * }} on
   */
  constructor({ marks, onTool, onPreset, onFit, onFocus, onInverse, onOutline, onScout, onDetect = null, onMeasure = null }) {
    const shown = TOOLS.filter(({ name }) => marks || !isDrawing(name));
    this.#tools = new Map(shown.map((tool) => [tool.name, toolButton(tool, onTool)]));
    this.#presets = new Map(Object.keys(namedWindows()).map((name, place) => [name, presetButton(name, place, onPreset)]));
    this.#detect = marks && onDetect !== null
      ? button("Detect", { sign: "detect", run: onDetect, className: "tool worded", title: "Let the detector propose lesions (d)" })
      : null;
    this.#measure = marks && onMeasure !== null ? button("Measure", { sign: "ellipse", run: onMeasure, className: "tool worded", title: "Outline, diameters and volume of the marked lesion (s)" }) : null;
    this.#inverse = button("", { sign: "inverse", run: onInverse, className: "tool", title: "Black on white (i)", "aria-label": "Inverse", "aria-pressed": "false" });
    this.#outline = button("", { sign: "outline", run: onOutline, className: "tool", title: "Outline of what was measured, or not (k)", "aria-label": "Outline", "aria-pressed": "true", hidden: !hasOutlines() });
    this.#scout = button("", { sign: "scout", run: onScout, className: "tool", title: "Sagittal and coronal scout (t)", "aria-label": "Scout", "aria-pressed": "false" });
    this.element = make(
      "div",
      { className: "toolbar", role: "toolbar", "aria-label": "Viewer" },
      make("div", { className: "group" }, ...this.#tools.values()),
      this.#detect === null && this.#measure === null ? null : make("div", { className: "group" }, this.#detect, this.#measure),
      make("div", { className: "group segmented" }, ...this.#presets.values()),
      make(
        "div",
        { className: "group" },
        button("", { sign: "fit", run: onFit, className: "tool", title: "Whole slice (f)", "aria-label": "Whole slice" }),
        button("", { sign: "focus", run: onFocus, className: "tool", title: "Zoom to the lesion (z)", "aria-label": "Zoom to the lesion" }),
        this.#inverse,
        this.#outline,
        this.#scout,
      ),
    );
    rove(this.element, "button", { keys: "horizontal" });
  }

  /** @param {string} chosen */
  showTool(chosen) {
    for (const [name, one] of this.#tools) one.setAttribute("aria-pressed", String(name === chosen));
  }

  /** What is switched on. @param {{ isInverse?: boolean, hasScout?: boolean, hasOutlines?: boolean }} on */
  showSwitches({ isInverse = false, hasScout = false, hasOutlines: isOutlined = true }) {
    this.#inverse.setAttribute("aria-pressed", String(isInverse));
    this.#outline.setAttribute("aria-pressed", String(isOutlined));
    this.#scout.setAttribute("aria-pressed", String(hasScout));
  }

  /** Whether the detector can be asked now. @param {boolean} allowed */
  allowDetect(allowed) {
    if (this.#detect !== null) this.#detect.disabled = !allowed;
  }

  get canDetect() {
    return this.#detect !== null && !this.#detect.disabled;
  }

  /** @param {HuWindow} window */
  showWindow(window) {
    const chosen = presetOf(window);
    for (const [name, one] of this.#presets) one.setAttribute("aria-pressed", String(name === chosen));
  }

  /** Only an uploaded image can be marked: the tools that draw are off for an indexed lesion. @param {boolean} allowed */
  allowMarks(allowed) {
    for (const [name, one] of this.#tools) one.disabled = !allowed && isDrawing(name);
    this.allowDetect(allowed);
    if (this.#measure !== null) this.#measure.disabled = !allowed;
  }
}

/** Whether anything can have an outline here: an indexed lesion that was measured, or one that is. */
export function hasOutlines() {
  return can().measured || can().measure;
}

/** @param {{ name: string, words: string, key: string }} options @param {(name: string) => void} onTool */
function toolButton({ name, words, key }, onTool) {
  const properties = { sign: name, run: () => onTool(name), className: "tool", title: `${words} (${key})` };
  return button("", { ...properties, "aria-label": words, "aria-pressed": "false", dataset: { tool: name } });
}

/** @param {string} name @param {number} place @param {(name: string) => void} onPreset */
function presetButton(name, place, onPreset) {
  const [low, high] = windowOf(name);
  const words = name.charAt(0).toUpperCase() + name.slice(1);
  const title = `${words} window, ${String(low).replace("-", "−")} to ${high} HU (${place + 1})`;
  return button(words, { run: () => onPreset(name), className: "preset", title, "aria-pressed": "false" });
}
