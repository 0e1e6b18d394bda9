// Display windows in HU: the service's presets, what a drag makes of them, and their grey values.

import { vocabulary } from "../core/vocabulary.js";

/** @typedef {readonly [number, number]} HuWindow low and high */

/** The display windows that the service names, as [low, high]. @returns {Record<string, HuWindow>} */
export function namedWindows() {
  return Object.fromEntries(Object.entries(vocabulary().windows).map(([name, window]) => [name, [window.low_hu, window.high_hu]]));
}

/** A window by its name. @param {string} name @returns {HuWindow} */
export function windowOf(name) {
  const { low_hu: low, high_hu: high } = vocabulary().windows[name];
  return [low, high];
}

/** The window for an image of which nothing is known. */
export function usualWindow() {
  return windowOf(vocabulary().usual_window);
}

const HU_OFFSET = 32768;
const NARROWEST = 2;

/** The window a reader would choose for a lesion of that type. @param {string} type */
export function windowForType(type) {
  const { lesion_types: types, usual_window: usual } = vocabulary();
  return windowOf(types[type]?.window ?? usual);
}

/**
 * The window for a lesion of unknown type: the lung's where enough of what lies in and around it is aerated lung.
 * @param {import("./tools/statistics.js").Plane} plane @param {import("./proposals.js").Box | null} box null looks at the whole slice
 */
export function windowAround({ hu, columns, rows, spacing }, box) {
  const rule = vocabulary().lung_window_where;
  let [x1, y1, x2, y2] = [0, 0, columns - 1, rows - 1];
  if (box !== null) {
    const extent = Math.max((box[2] - box[0]) * spacing[0], (box[3] - box[1]) * spacing[1]);
    const half = Math.max(rule.extents * extent, rule.least_mm) / 2;
    const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    [x1, x2] = [Math.max(Math.floor(x - half / spacing[0]), 0), Math.min(Math.floor(x + half / spacing[0]), columns - 1)];
    [y1, y2] = [Math.max(Math.floor(y - half / spacing[1]), 0), Math.min(Math.floor(y + half / spacing[1]), rows - 1)];
  }
  let lung = 0;
  for (let row = y1; row <= y2; row += 1) {
    for (let column = x1; column <= x2; column += 1) {
      const value = hu[row * columns + column];
      if (value > rule.low_hu && value < rule.high_hu) lung += 1;
    }
  }
  const pixels = Math.max(x2 - x1 + 1, 0) * Math.max(y2 - y1 + 1, 0);
  const share = box === null ? rule.share_of_image : rule.share;
  return pixels > 0 && lung / pixels >= share ? windowOf("lung") : usualWindow();
}

/** The preset's name of [low, high], or null. @param {HuWindow} window */
export function presetOf([low, high]) {
  const found = Object.entries(namedWindows()).find(([, window]) => window[0] === low && window[1] === high);
  return found?.[0] ?? null;
}

/** A window from the URL: a preset's name or `low..high`; null if it is neither. @param {string | undefined} text @returns {HuWindow | null} */
export function parseWindow(text) {
  if (text !== undefined && text in namedWindows()) return windowOf(text);
  const [low, high] = (text ?? "").split("..").map(Number);
  return Number.isFinite(low) && Number.isFinite(high) && high > low ? [low, high] : null;
}

/** The form of a window in the URL. @param {HuWindow} window */
export function windowText(window) {
  return presetOf(window) ?? `${Math.round(window[0])}..${Math.round(window[1])}`;
}

/** The window after a drag of screen pixels: to the right widens it, down raises its level. @param {HuWindow} window @param {number} dx @param {number} dy @returns {HuWindow} */
export function draggedWindow([low, high], dx, dy) {
  const width = high - low;
  const step = Math.max(width, 60) / 300;
  const wider = Math.min(Math.max(width + dx * step, NARROWEST), 6000);
  const level = Math.min(Math.max((low + high) / 2 + dy * step, -1500), 3500);
  return [Math.round(level - wider / 2), Math.round(level + wider / 2)];
}

/** Opaque grey of every 16-bit HU, as pixels of a canvas; inverse is black on white. @param {HuWindow} window */
export function greyTable([low, high], isInverse = false) {
  const table = new Uint32Array(65536);
  const scale = 255 / (high - low);
  for (let place = 0; place < table.length; place += 1) {
    const bright = Math.min(Math.max(Math.round((place - HU_OFFSET - low) * scale), 0), 255);
    const grey = isInverse ? 255 - bright : bright;
    table[place] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/**
 * Writes a slice's grey values into the pixels of an ImageData of its size.
 * @param {Int16Array} hu @param {Uint32Array} table @param {ImageData} imageData
 */
export function paintGrey(hu, table, imageData) {
  const pixels = new Uint32Array(imageData.data.buffer);
  for (let place = 0; place < hu.length; place += 1) pixels[place] = table[hu[place] + HU_OFFSET];
}
