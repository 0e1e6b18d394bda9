// One slice as grey pixels under a window, kept until the slice or the window changes.

import { contextOf } from "../core/dom.js";
import { greyTable, paintGrey } from "./windows.js";

/** @typedef {import("./projection.js").Projection} Projection */
/** @typedef {import("./windows.js").HuWindow} HuWindow */

/** Draws HU slices; `forget` after another slice or window was chosen. */
export class SlicePainter {
  #pixels = document.createElement("canvas");
  #isFresh = false;

  forget() {
    this.#isFresh = false;
  }

  /**
   * Draws a slice where the projection puts it.
   * @param {CanvasRenderingContext2D} context @param {Projection} projection
   * @param {{ hu: Int16Array, columns: number, rows: number, window: HuWindow, isInverse?: boolean }} shown
   */
  paint(context, projection, { hu, columns, rows, window, isInverse = false }) {
    if (!this.#isFresh) this.#render(hu, columns, rows, greyTable(window, isInverse));
    // Pixel (0, 0) is the centre of the top-left pixel, so the image begins half a pixel before it.
    const [left, top] = projection.toScreen([-0.5, -0.5]);
    const [right, bottom] = projection.toScreen([columns - 0.5, rows - 0.5]);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#pixels, left, top, right - left, bottom - top);
  }

  /** @param {Int16Array} hu @param {number} columns @param {number} rows @param {Uint32Array} table */
  #render(hu, columns, rows, table) {
    this.#pixels.width = columns;
    this.#pixels.height = rows;
    const pixels = contextOf(this.#pixels);
    const grey = pixels.createImageData(columns, rows);
    paintGrey(hu, table, grey);
    pixels.putImageData(grey, 0, 0);
    this.#isFresh = true;
  }
}
