// A reader's decisions on pairs of lesions, and how to take it back, for as long as the tab lives.

import { postJson } from "../core/api.js";

/** @typedef {{ pair: [string, string], decision: string, before: string | null }} Decision */

/** The decisions made in this tab on one patient, oldest first. */
export class Decisions {
  #name;

  /** @param {string} patientId */
  constructor(patientId) {
    this.#name = `decisions:${patientId}`;
  }

  /** @returns {Decision[]} */
  get entries() {
    return JSON.parse(sessionStorage.getItem(this.#name) ?? "[]");
  }

  /** The last decision on a pair that still holds: "confirm", "reject" or null. @param {string} first @param {string} second */
  of(first, second) {
    const same = this.entries.filter(({ pair }) => pair.includes(first) && pair.includes(second));
    return same.at(-1)?.decision ?? null;
  }

  /**
   * Stores a decision; `before` is what held until now: "confirm", "reject" or null.
   * @param {string} first @param {string} second @param {string} decision @param {string | null} before
   */
  async make(first, second, decision, before) {
    await post([first, second], decision);
    this.#keep([...this.entries, { pair: [first, second], decision, before }]);
  }

  /** Takes the last decision back; what held before it holds again. */
  async undo() {
    const entries = this.entries;
    const last = entries.pop();
    if (last === undefined) return null;
    await post(last.pair, last.before ?? "remove");
    this.#keep(entries);
    return last;
  }

  /** @param {Decision[]} entries */
  #keep(entries) {
    sessionStorage.setItem(this.#name, JSON.stringify(entries));
  }
}

/** @param {[string, string]} pair @param {string} decision */
function post([first, second], decision) {
  return postJson("v1/matches", { lesion_a: first, lesion_b: second, decision });
}
