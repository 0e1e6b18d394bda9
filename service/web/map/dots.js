// Dots by the thousand, put together pixel by pixel and kept as one picture: without a GPU the canvas' own
// drawing of five thousand pictures takes several frames.

import { contextOf } from "../core/dom.js";

/** @typedef {{ side: number, bytes: Uint8ClampedArray, words: Uint32Array }} Stamp */

const EDGE = "rgba(10, 13, 17, 0.8)";

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
  #stamp(picture, pixels, [x, y], stamp) {
    const { width, height, data } = picture;
    const { side, bytes, words } = stamp;
    const [left, top] = [x - (side >> 1), y - (side >> 1)];
    const [first, last] = [Math.max(0, -left), Math.min(side, width - left)];
    for (let row = Math.max(0, -top); row < Math.min(side, height - top); row += 1) {
      let from = row * side + first;
      let to = (top + row) * width + left + first;
      for (let column = first; column < last; column += 1, from += 1, to += 1) {
        const alpha = bytes[4 * from + 3];
        if (alpha === 0) continue;
        if (alpha === 255 || data[4 * to + 3] === 0) pixels[to] = words[from];
        else blend(data, 4 * to, bytes, 4 * from, alpha / 255);
      }
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
    const stamp = { side, bytes, words: new Uint32Array(bytes.buffer) };
    this.#stamps.set(colour, stamp);
    return stamp;
  }
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
