// The detector's boxes on one slice: which are shown, which one is meant, which one was taken.

import { paintProposals } from "./overlay.js";

/** More of them hide the image; the rest are seldom lesions. */
const MOST_SHOWN = 5;

/**
 * @typedef {[number, number, number, number]} Box x1, y1, x2, y2 in pixels
 * @typedef {{ box: Box, score: number }} Proposal
 */

/** The box of a lesion or proposal, which the service gives as four numbers. @param {{ box: number[] }} marked */
export function boxOf({ box }) {
  return /** @type {Box} */ (box);
}

/** Proposals in the detector's order, best first. */
export class Proposals {
  /** @type {Proposal[]} */
  #all = [];
  #least = 0;
  /** @type {number | null} */
  #chosen = null;
  /** @type {number | null} */
  #hovered = null;

  /** The best few that reach the least score; once one was taken, only that one. */
  get shown() {
    if (this.#chosen !== null) return this.#all.slice(this.#chosen, this.#chosen + 1);
    return this.#all.slice(0, MOST_SHOWN).filter(({ score }) => score >= this.#least);
  }

  /** Shows only those that reach a score. @param {number} score */
  setLeast(score) {
    this.#least = score;
  }

  /** Other proposals; `chosen` is the place of the one searched with. @param {Proposal[]} proposals @param {number | null} [chosen] */
  show(proposals, chosen = null) {
    this.#all = proposals;
    this.#chosen = chosen;
    this.#hovered = null;
  }

  /** Whether one of them was taken. */
  get hasChosen() {
    return this.#chosen !== null;
  }

  /** @param {number | null} place */
  choose(place) {
    this.#chosen = place;
  }

  /** Marks the one under the pointer; answers whether that is another than before. @param {number | null} place */
  hover(place) {
    const isNew = place !== this.#hovered;
    this.#hovered = place;
    return isNew;
  }

  /** The smallest one that holds a pixel: one within another can still be clicked. @param {import("./projection.js").Pair} pixel */
  at([x, y]) {
    /** @type {number | null} */
    let best = null;
    for (const [place, { box }] of this.shown.entries()) {
      if (x < box[0] || x > box[2] || y < box[1] || y > box[3]) continue;
      if (best === null || area(box) < area(this.shown[best].box)) best = place;
    }
    return best;
  }

  /** @param {CanvasRenderingContext2D} context @param {import("./projection.js").Projection} projection @param {string} colour */
  paint(context, projection, colour) {
    paintProposals(context, projection, this.shown, { hovered: this.#hovered, chosen: this.#chosen === null ? null : 0, colour });
  }
}

/** @param {Box} box */
function area([x1, y1, x2, y2]) {
  return (x2 - x1) * (y2 - y1);
}
