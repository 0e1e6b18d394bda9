// The slices of a stack gathered in one coarse block, from which sagittal and coronal pictures are cut.

const MOST_ACROSS = 256;
const ABSENT = -32768;

/** @typedef {{ values: Int16Array, width: number, height: number, mm: readonly [number, number] }} Cut rows from the head down */

/** Fills itself slice by slice; `onSlice` hears of each. */
export class CoarseVolume {
  #stack;
  #step;
  #values;
  #isGone = false;

  /** @param {import("../image_stack.js").ImageStack} stack */
  constructor(stack) {
    this.#stack = stack;
    this.#step = Math.max(1, Math.ceil(Math.max(stack.columns, stack.rows) / MOST_ACROSS));
    this.columns = Math.ceil(stack.columns / this.#step);
    this.rows = Math.ceil(stack.rows / this.#step);
    this.depth = stack.slices;
    this.#values = new Int16Array(this.columns * this.rows * this.depth).fill(ABSENT);
  }

  /** Stops gathering. */
  drop() {
    this.#isGone = true;
  }

  /** Gathers what is not there yet, from a slice outwards. @param {number} start @param {() => void} onSlice */
  async gather(start, onSlice) {
    const { first, last } = this.#stack;
    const order = Array.from({ length: last - first + 1 }, (_, place) => first + place);
    order.sort((a, b) => Math.abs(a - start) - Math.abs(b - start));
    for (const slice of order) {
      if (this.#isGone) return;
      try {
        this.#keep(slice - first, await this.#stack.slice(slice));
      } catch {
        continue; // A slice that is not in the archive stays black; the axial view says why.
      }
      onSlice();
    }
  }

  /** The sagittal picture at a column of the image. @param {number} x @returns {Cut} */
  sagittal(x) {
    const column = Math.min(Math.max(Math.round(x / this.#step), 0), this.columns - 1);
    return this.#cut(this.rows, this.#stack.spacing[1], (layer, place) => (layer * this.rows + place) * this.columns + column);
  }

  /** The coronal picture at a row of the image. @param {number} y @returns {Cut} */
  coronal(y) {
    const row = Math.min(Math.max(Math.round(y / this.#step), 0), this.rows - 1);
    return this.#cut(this.columns, this.#stack.spacing[0], (layer, place) => (layer * this.rows + row) * this.columns + place);
  }

  /** @param {number} layer @param {Int16Array} hu */
  #keep(layer, hu) {
    const { columns } = this.#stack;
    const start = layer * this.rows * this.columns;
    for (let row = 0; row < this.rows; row += 1) {
      for (let column = 0; column < this.columns; column += 1) {
        this.#values[start + row * this.columns + column] = hu[row * this.#step * columns + column * this.#step];
      }
    }
  }

  /**
   * The picture's top row is the slice nearest to the head.
   * @param {number} width @param {number} spacing @param {(layer: number, place: number) => number} placeOf @returns {Cut}
   */
  #cut(width, spacing, placeOf) {
    const values = new Int16Array(width * this.depth);
    for (let layer = 0; layer < this.depth; layer += 1) {
      const row = this.#stack.headward > 0 ? this.depth - 1 - layer : layer;
      for (let place = 0; place < width; place += 1) values[row * width + place] = this.#values[placeOf(layer, place)];
    }
    /** @type {readonly [number, number]} */
    const mm = [spacing * this.#step, Math.abs(this.#stack.interval) || 1];
    return { values, width, height: this.depth, mm };
  }
}
