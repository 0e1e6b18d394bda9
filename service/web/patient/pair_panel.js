// Two appearances beside each other: are they the same lesion? What the matcher says, what a reader says.

import { can } from "../core/capabilities.js";
import { button, make } from "../core/dom.js";
import { decimal, sizeText, whoLines } from "../core/lesion_facts.js";
import { measuredNote } from "../core/measured_sizes.js";
import { address } from "../core/route.js";
import { ink, linkWords, toneColour } from "../core/vocabulary.js";
import { boxOf } from "../viewer/proposals.js";
import { ImageStack } from "../viewer/image_stack.js";
import { Pane } from "../viewer/pane.js";
import { Station } from "../viewer/station.js";
import { showKeptMask } from "../viewer/tools/kept_mask.js";
import { windowForType } from "../viewer/windows.js";
import { Forecast } from "./forecast.js";
import { Overlaying } from "./overlaying.js";
import { priorsStrip } from "./priors_strip.js";

/**
 * @typedef {{ link: LinkOut | null, word: string | null, canUndo: boolean, error: any, isBusy: boolean }} PairVerdict
 * @typedef {PairVerdict & {
 *   isLarge: boolean, layout: string | undefined, cells: import("./priors_strip.js").Cell[], studies: StudyOut[],
 *   response: HTMLElement | null,
 * }} PairState
 * @typedef {{
 *   onDecide: (decision: string) => void, onUndo: () => void, onClose: () => void,
 *   onChoose: (lesionId: string) => void, onLayout: (layout: string) => void, onSize: (isLarge: boolean) => void,
 *   onForecast: (found: ForecastOut | null) => void,
 * }} PairListeners
 */

const SAME_COLOUR = "#56d364";
/** @type {Record<string, string>} */
const TERM_WORDS = { similarity: "appearance", location: "position", in_plane: "in-plane position", height: "craniocaudal position", size: "size", type: "type" };

/** Prior and current, over the whole width or in a drawer beside the sheet. */
export class PairPanel {
  #on;
  #shown = ["", ""];
  #panes = [0, 1].map((place) => new Pane("followup", { label: place === 0 ? "prior" : "current", colour: SAME_COLOUR }));
  #facts = make("div", { className: "pair-facts" });

  #strip = make("div", { className: "priors-home" });
  #isLarge = false;
  forecast;

  /** @param {PairListeners} on */
  constructor(on) {
    this.#on = on;
    this.forecast = new Forecast(on.onForecast);
    const [one, other] = this.#panes;
    this.station = new Station([one.viewer, other.viewer], { marks: false, isOneBody: true });
    this.overlaying = new Overlaying(one.element, other.element, on.onLayout);
    this.size = button("", { sign: "fit", run: () => on.onSize(!this.#isLarge), className: "tool", title: "Over the whole width, or beside the sheet (o)", "aria-label": "Over the whole width" });
    this.element = make(
      "aside",
      { className: "drawer", "aria-label": "Compare two appearances" },
      make("div", { className: "pair-tools" }, this.station.element, this.overlaying.choice, this.size),
      this.#strip,
      this.overlaying.element,
      this.#facts,
    );
  }

  /**
   * Shows one lesion or two; `link` is what the matcher made of them, `word` a reader's decision.
   * @param {LesionOut[]} lesions @param {PairState} state
   */
  show(lesions, state) {
    const { isLarge, layout, cells, studies, response, ...verdict } = state;
    this.#isLarge = isLarge;
    this.size.setAttribute("aria-pressed", String(isLarge));
    this.overlaying.choice.hidden = !isLarge;
    this.overlaying.use(isLarge ? layout : "side");
    this.#strip.hidden = !isLarge;
    const selected = lesions.map(({ lesion_id: id }) => id);
    if (isLarge) this.#strip.replaceChildren(priorsStrip(cells, studies, { selected, onChoose: this.#on.onChoose }));
    for (const [place, pane] of this.#panes.entries()) this.#showPane(pane, lesions[place] ?? null, place, lesions);
    this.forecast.use(lesions.length === 1 ? lesions[0].lesion_id : "");
    const facts = this.#factsOf(lesions, verdict);
    this.#facts.replaceChildren(...(response === null || !isLarge ? facts : [response, ...facts]));
  }

  /** Lesions with their pictures as they are seen, the prior first. @param {LesionOut[]} lesions */
  asPictures(lesions) {
    const ids = lesions.map(({ lesion_id: id }) => id);
    const inOrder = this.#shown.flatMap((id) => lesions[ids.indexOf(id)] ?? []);
    return { lesions: inOrder, pictures: this.#panes.map(({ viewer }) => viewer.element) };
  }

  /** @param {Pane} pane @param {LesionOut | null} lesion @param {number} place @param {LesionOut[]} lesions */
  async #showPane(pane, lesion, place, lesions) {
    pane.element.hidden = lesion === null;
    if (lesion !== null) pane.heading.replaceChildren(...this.#headingOf(lesion, place, lesions.length));
    const id = lesion?.lesion_id ?? "";
    if (this.#shown[place] === id) return;
    this.#shown[place] = id;
    if (lesion === null) {
      pane.clear();
      return;
    }
    if (place === 0 || lesions.length === 1) this.station.showWindow(windowForType(lesion.lesion_type));
    const retry = () => { this.#shown[place] = ""; this.#showPane(pane, lesion, place, lesions); };
    const shown = await pane.show(ImageStack.ofLesion(id), { focus: true }, retry);
    if (!shown || this.#shown[place] !== id) return;
    pane.viewer.notes.showWho(whoLines(lesion));
    pane.viewer.showBoxes([{ box: boxOf(lesion), slice: lesion.key_slice_index, colour: SAME_COLOUR }]);
    showKeptMask(pane.viewer, lesion);
    if (!this.#shown.every(Boolean)) return;
    this.station.focus();
    this.station.matchScales();
  }

  /** @param {LesionOut} lesion @param {number} place @param {number} count */
  #headingOf(lesion, place, count) {
    const toSearch = make("a", { className: "quiet", href: address("search", { lesion: lesion.lesion_id }), textContent: "Search", title: "Search from this lesion" });
    const close = button("", { sign: "close", run: () => this.#on.onClose(), className: "tool", title: "Close (Esc)", "aria-label": "Close" });
    const role = count < 2 ? "" : place === 0 ? "Prior  " : "Current  ";
    return [
      make("b", { textContent: `${role}${lesion.study_id}`, title: lesion.study_date ?? "no date" }),
      make("span", { className: "number", textContent: sizeText(lesion) }),
      measuredNote(lesion),
      make("span", { className: "heading-buttons" }, toSearch, place === 0 ? close : null),
    ].filter((part) => part !== null);
  }

  /** @param {LesionOut[]} lesions @param {PairVerdict} options */
  #factsOf(lesions, { link, word, canUndo, error, isBusy }) {
    const undo = button("Undo", { sign: "undo", run: () => this.#on.onUndo(), className: "plain", title: "Take the last decision back (u)", disabled: !canUndo || isBusy });
    if (lesions.length < 2) {
      return [
        can().forecast ? this.forecast.element : null,
        make("p", { className: "faint", textContent: "Choose a patch of another study to compare the two, or a number on a line." }),
        can().write ? make("div", { className: "actions" }, undo) : null,
      ].filter((part) => part !== null);
    }
    const confirm = button("Same lesion", { sign: "check", run: () => this.#on.onDecide("confirm"), className: "plain confirm", title: "Confirm (y)", disabled: isBusy });
    const reject = button("Different", { sign: "close", run: () => this.#on.onDecide("reject"), className: "plain reject", title: "Reject (n)", disabled: isBusy });
    confirm.setAttribute("aria-pressed", String(word === "confirm"));
    reject.setAttribute("aria-pressed", String(word === "reject"));
    return [
      ...verdict(link, word),
      error === null ? null : make("p", { className: "problem", role: "alert", textContent: error.message }),
      can().write ? make("div", { className: "actions decide" }, confirm, reject, undo) : null,
    ].filter((part) => part !== null);
  }
}

/** @param {LinkOut | null} link @param {string | null} word */
function verdict(link, word) {
  if (link === null) {
    const words = word === "reject" ? "A reader said: two different lesions." : "The matcher made no link between these two.";
    return [make("p", { className: "faint", textContent: words })];
  }
  const { label, meaning, tone } = linkWords(link.state);
  const said = link.state === "confirmed" ? "A reader confirmed: the same lesion." : `Same lesion with probability ${link.score.toFixed(2)}`;
  const head = make("p", { className: "line" }, make("span", { textContent: said }), make("span", { className: "badge", style: { color: ink(toneColour(tone)) }, textContent: label, title: meaning }));
  return [head, termBars(link.terms)];
}

/** What each term adds to the log-odds: to the right for, to the left against. @param {MatchTermsOut} terms */
function termBars(terms) {
  const entries = Object.entries(terms.contributions).filter(([name]) => name in TERM_WORDS);
  const largest = Math.max(1, ...entries.map(([, value]) => Math.abs(value)));
  const rows = entries.flatMap(([name, value]) => {
    const width = `${(50 * Math.abs(value)) / largest}%`;
    const bar = make("i", { className: value < 0 ? "against" : "for", style: { width } });
    return [
      make("dt", { textContent: TERM_WORDS[name] }),
      make("dd", {}, make("span", { className: "term-bar" }, bar), make("span", { className: "number", textContent: decimal(value, 1) })),
    ];
  });
  return make("dl", { className: "term-bars", title: "Log-odds that each term adds" }, ...rows);
}
