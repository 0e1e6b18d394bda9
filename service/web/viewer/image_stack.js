// The slices of one lesion or upload, fetched when they are wanted and kept for a while.

import { getJson, getSlice, lesionPath } from "../core/api.js";
import { boxOf } from "./proposals.js";

const MOST_KEPT = 96;

/** Neighbouring axial slices with their geometry; slices are named by the series' own numbers. */
export class ImageStack {
  #pathOf;
  #kept = new Map();

  /** @param {UploadOut | LesionSlicesOut} facts @param {(slice: number) => string} pathOf @param {{ isNumbered: boolean }} options */
  constructor(facts, pathOf, { isNumbered }) {
    this.slices = facts.slices;
    this.rows = facts.rows;
    this.columns = facts.columns;
    /** @type {import("./projection.js").Pair} */
    this.spacing = [facts.spacing_mm_px[0], facts.spacing_mm_px[1]];
    this.interval = facts.slice_interval_mm;
    this.first = facts.first_slice_index;
    this.last = facts.first_slice_index + facts.slices - 1;
    this.key = facts.key_slice_index;
    /** @type {import("./proposals.js").Box | null} */
    this.box = "box" in facts ? boxOf(facts) : null;
    /** Whether the slice numbers are the series' own; an upload's are places in the display grid. */
    this.isNumbered = isNumbered;
    /** Which way the numbers grow: towards the head (1) or the feet (-1). */
    this.headward = facts.feet_first ? 1 : -1;
    this.#pathOf = pathOf;
  }

  /** The slices about an indexed lesion. @param {string} lesionId */
  static async ofLesion(lesionId) {
    const facts = await getJson(lesionPath(lesionId, "/slices"));
    return new ImageStack(facts, (slice) => lesionPath(lesionId, `/slices/${slice}`), { isNumbered: true });
  }

  /** The slices of what was uploaded. @param {UploadOut} facts */
  static ofUpload(facts) {
    return new ImageStack(facts, (slice) => `v1/uploads/${facts.upload_id}/slices/${slice}?grid=display`, { isNumbered: false });
  }

  /** The place of a slice counted from the head, from 1; the same the other way round. @param {number} slice */
  placeOf(slice) {
    return this.headward > 0 ? this.last - slice + 1 : slice - this.first + 1;
  }

  /** The slice at a place counted from the head. @param {number} place */
  at(place) {
    return this.headward > 0 ? this.last - place + 1 : this.first + place - 1;
  }

  /** Millimetres from one slice to another, positive towards the head. @param {number} from @param {number} to */
  headwardMm(from, to) {
    return (to - from) * this.headward * this.interval;
  }

  /** @param {number} slice */
  clamp(slice) {
    return Math.min(Math.max(slice, this.first), this.last);
  }

  /** HU of one slice, rows x columns. @param {number} index */
  slice(index) {
    const kept = this.#kept.get(index);
    if (kept !== undefined) {
      this.#kept.delete(index);
      this.#kept.set(index, kept);
      return kept;
    }
    const coming = getSlice(this.#pathOf(index));
    coming.catch(() => this.#kept.delete(index));
    this.#kept.set(index, coming);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return coming;
  }

  /** Asks for the neighbours, so that scrolling shows them at once. @param {number} index */
  prefetch(index, reach = 2) {
    for (let step = 1; step <= reach; step += 1) {
      for (const neighbour of [index + step, index - step]) {
        if (neighbour >= this.first && neighbour <= this.last) this.slice(neighbour).catch(() => {});
      }
    }
  }
}
