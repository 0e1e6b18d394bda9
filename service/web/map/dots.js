// Dots by the thousand, put together pixel by pixel and kept as one picture: without a GPU the canvas' own
// drawing of five thousand pictures takes several frames.

import { contextOf } from "../core/dom.js";

/**
 * @typedef {{ across: number, down: number, from: number, alpha: number }} Spot a pixel of a stamp, from its middle
 * @typedef {{ bytes: Uint8ClampedArray, words: Uint32Array, spots: Spot[], reach: number }} Stamp
 */

const EDGE = "rgba(10, 13, 17, 0.8)";
/** Dots of a smaller radius, in device pixels, have no half-seen edge. */
const CRISP_PX = 3.2;

/** A layer of round dots, painted once for a view and then copied. */
export class MapDots {
  #canvas = document.createElement("canvas");
  #stamps = new Map();
  #radius = 0;

  /**
   * Paints the layer anew, `width` by `height` device pixels. `dots` gives the middle of each, in device
   * pixels, and its colour; a later dot lies over an earlier one.
   * @param {number} width @param {number} height @param {number} radius @param {Iterable<[number, number, string]>} dots
   */
  paint(width, height, radius, dots) {
    if (width < 1 || height < 1) return;
    if (radius !== this.#radius) this.#stamps.clear();
    this.#radius = radius;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    const context = contextOf(this.#canvas);
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (const [left, top, colour] of dots) {
      this.#stamp(picture, pixels, [Math.round(left), Math.round(top)], this.#stampOf(colour));
    }
    context.putImageData(picture, 0, 0);
  }

  /**
   * Copies the layer over a canvas of the same size.
   * @param {CanvasRenderingContext2D} context @param {number} width @param {number} height
   */
  copyTo(context, width, height) {
    if (this.#canvas.width > 0) context.drawImage(this.#canvas, 0, 0, width, height);
  }

  /** @param {ImageData} picture @param {Uint32Array} pixels @param {[number, number]} pair @param {Stamp} stamp */
  #stamp({ width, height, data }, pixels, [x, y], { bytes, words, spots, reach }) {
    const isInside = x >= reach && y >= reach && x < width - reach && y < height - reach;
    for (const { across, down, from, alpha } of spots) {
      const [left, top] = [x + across, y + down];
      if (!isInside && (left < 0 || top < 0 || left >= width || top >= height)) continue;
      const to = top * width + left;
      if (alpha === 255 || data[4 * to + 3] === 0) pixels[to] = words[from];
      else blend(data, 4 * to, bytes, 4 * from, alpha / 255);
    }
  }

  /** @param {string} colour */
  #stampOf(colour) {
    const kept = this.#stamps.get(colour);
    if (kept !== undefined) return kept;
    const side = 2 * Math.ceil(this.#radius + 1.5) + 1;
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = contextOf(canvas, { willReadFrequently: true });
    context.arc(side / 2, side / 2, this.#radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = devicePixelRatio;
    context.strokeStyle = EDGE;
    context.stroke();
    const bytes = context.getImageData(0, 0, side, side).data;
    const stamp = { bytes, words: new Uint32Array(bytes.buffer), spots: spotsOf(bytes, side, this.#radius < CRISP_PX), reach: side >> 1 };
    this.#stamps.set(colour, stamp);
    return stamp;
  }
}

/**
 * The pixels of a stamp that are seen, from its middle. A crisp one has no half-seen pixels: of very small dots
 * they cost most of the time and are not told apart.
 * @param {Uint8ClampedArray} bytes @param {number} side @param {boolean} isCrisp @returns {Spot[]}
 */
function spotsOf(bytes, side, isCrisp) {
  const half = side >> 1;
  /** @type {Spot[]} */
  const spots = [];
  for (let from = 0; from < side * side; from += 1) {
    const alpha = bytes[4 * from + 3];
    if (alpha === 0 || (isCrisp && alpha < 128)) continue;
    spots.push({ across: (from % side) - half, down: Math.floor(from / side) - half, from, alpha: isCrisp ? 255 : alpha });
  }
  return spots;
}

/**
 * Lays a pixel of a share `alpha` over another; neither is multiplied by its own alpha.
 * @param {Uint8ClampedArray} below @param {number} at @param {Uint8ClampedArray} above @param {number} from @param {number} alpha
 */
function blend(below, at, above, from, alpha) {
  const rest = (below[at + 3] / 255) * (1 - alpha);
  const whole = alpha + rest;
  for (let channel = 0; channel < 3; channel += 1) {
    below[at + channel] = (above[from + channel] * alpha + below[at + channel] * rest) / whole;
  }
  below[at + 3] = whole * 255;
}
