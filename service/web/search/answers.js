// The right-hand column of the search view: filters, follow-ups, hits, and every state they have.

import { can } from "../core/capabilities.js";
import { all, button, make } from "../core/dom.js";
import { ExportMenu } from "../core/output/menu.js";
import { rove } from "../core/roving.js";
import { emptyState, errorState, loadingState, skeletonCards, warning } from "../core/states.js";
import { Filters, NO_FILTERS } from "./filters.js";
import { MOST_HITS } from "./query.js";
import { nothingAlike, similarityScale } from "./found/alikeness.js";
import { groupsOf, shownHits } from "./found/groups.js";
import { queryFacts } from "./found/hit_terms.js";
import { summaryStrip } from "./found/summary.js";
import { WordField, wordChips } from "./words/word_field.js";
import { waysOut } from "./output/ways_out.js";
import { followUpList, hitGroup, hitsHeading, recognisedNote } from "./results.js";

/**
 * @typedef {{ lesion: LesionOut, hit: HitOut | null, followUp: FollowUpOut | null }} Found
 * @typedef {{ openId: string | null, doubt: string | null, isIndexed: boolean }} ResultContext
 * @typedef {{
 *   onFilter: (patch: Record<string, any>) => void, onOpen: (lesionId: string) => void,
 *   onPatient: () => void, queryPicture: () => import("./output/ways_out.js").QueryPicture, onTag: (term: string) => void, onMore: (() => void) | null, onRetry: () => void,
 * }} AnswerListeners
 */

/** How long hits wait for what their similarity means. */
const SCALE_MS = 250;

/** @param {number} ms @returns {Promise<undefined>} */
function waited(ms) {
  return new Promise((resolve) => { setTimeout(() => resolve(undefined), ms); });
}

/** Shows one answer; `on` holds onFilter, onOpen(lesionId), onPatient, onMore and onRetry. */
export class Answers {
  #on;
  #body = make("div", { className: "scroll", "aria-live": "polite" });
  /** @type {SearchOut | null} */
  #result = null;
  /** How many hits were asked for: fewer have come if there are no more. */
  #asked = 0;
  /** @type {import("./found/groups.js").HitGroup[]} */
  #groups = [];
  #exports = new ExportMenu();
  /** Patients all of whose hits are shown. @type {Set<string>} */
  #opened = new Set();

  /** @param {AnswerListeners} on */
  constructor(on) {
    this.#on = on;
    this.filters = new Filters(on.onFilter);
    this.words = new WordField((text) => on.onFilter({ text }));
    this.element = make("section", { className: "answers", "aria-label": "Results" }, this.words.element, this.filters.element, this.#body);
  }

  /** Shows the URL's words and filters. @param {import("../core/route.js").Params} params */
  showFields(params) {
    this.words.show(params.text);
    this.filters.show(params);
  }

  /** Nothing asked yet. @param {boolean} hasImage */
  showEmpty(hasImage) {
    this.#result = null;
    this.#body.replaceChildren(
      hasImage
        ? emptyState("box", "Mark the lesion", `Draw a box (b)${can().detect ? ", the two diameters (r), or let the detector propose lesions (d)" : " or the two diameters (r)"}. The results appear here.`)
        : emptyState("search", "Results appear here", "Pick an indexed lesion, or open an image and mark its lesion."),
    );
  }

  /** Waits for an answer of up to `asked` hits. @param {number} asked */
  showLoading(asked) {
    this.#asked = asked;
    this.#body.replaceChildren(loadingState("Searching"), skeletonCards(6));
  }

  /** @param {any} error */
  showError(error) {
    this.#result = null;
    this.#body.replaceChildren(errorState(error, this.#on.onRetry));
  }

  /**
   * `doubt` is why hits may be of the same patient, null where the patient is known.
   * `isIndexed` is whether the query is a lesion of the index.
   * @param {SearchOut | WordSearchOut} result @param {ResultContext} how
   */
  async showResult(result, how) {
    // A large index makes its scale in seconds, once: the hits do not wait for it.
    const scale = await Promise.race([similarityScale(), waited(SCALE_MS)]);
    this.#draw(result, how, scale ?? null);
    if (scale === undefined) this.#addScale(result, how);
  }

  /** Draws the answer again with its ranks once the scale is there. @param {SearchOut | WordSearchOut} result @param {ResultContext} how */
  async #addScale(result, how) {
    const scale = await similarityScale();
    if (scale === null || this.#result !== result) return;
    const [open] = all(this.#body, "[data-lesion][aria-pressed='true']");
    this.#draw(result, { ...how, openId: open?.dataset.lesion ?? null }, scale);
  }

  /** @param {SearchOut | WordSearchOut} result @param {ResultContext} how @param {SimilarityScaleOut | null} scale */
  #draw(result, { openId, doubt, isIndexed }, scale) {
    this.#result = result;
    this.#groups = groupsOf(result.hits);
    this.#opened = new Set(this.#groups.filter(({ rest }) => rest.some(({ lesion }) => lesion.lesion_id === openId)).map(({ patient }) => patient));
    const { onOpen, onPatient } = this.#on;
    const byWordsAlone = "words" in result && result.box === null && !isIndexed;
    /** @type {HTMLElement[]} */
    const parts = result.warnings.map(warning);
    if ("words" in result) parts.unshift(wordChips(result.words, (text) => this.#on.onFilter({ text })));
    if (result.recognised !== null) parts.unshift(recognisedNote(result.recognised));
    if (result.follow_ups.length > 0) parts.push(followUpList(result.follow_ups, { openId, onOpen, onPatient }));
    if (result.hits.length === 0) parts.push(this.#nothing());
    else parts.push(...this.#hits(result, { openId, onOpen, scale, byWordsAlone, query: queryFacts(result, isIndexed) }, doubt));
    this.#body.replaceChildren(...parts);
  }

  #nothing() {
    if (!this.filters.isSet && !("words" in (this.#result ?? {}))) return emptyState("search", "No similar lesion", "The index holds no lesion of another patient.");
    const clear = button("Clear the filter", { run: () => this.#on.onFilter({ ...NO_FILTERS, text: null }), className: "plain" });
    return emptyState("search", "No similar lesion", "No lesion of another patient fits this filter. Widen the sizes or clear the filter.", clear);
  }

  /** @param {SearchOut} result @param {import("./results.js").CardContext} context @param {string | null} doubt */
  #hits(result, context, doubt) {
    const cards = make("div", { className: "cards" });
    rove(cards, ".card", { keys: "none" });
    const draw = () => cards.replaceChildren(...this.#groups.flatMap((group) => hitGroup(group, context, {
      isOpened: this.#opened.has(group.patient),
      onToggle: () => this.#toggle(group.patient, draw),
    })));
    draw();
    const alien = context.byWordsAlone ? null : nothingAlike(context.scale, result.hits[0].similarity);
    const section = make(
      "section", {},
      ...hitsHeading(result, { doubt, byWordsAlone: context.byWordsAlone }, this.#exports.element),
      alien === null ? null : make("p", { className: "doubt alien", role: "status", textContent: alien }),
      summaryStrip(result.hits, { onTag: this.#on.onTag, onCategory: (category) => this.#on.onFilter({ category }) }),
      cards,
    );
    this.#exports.show(() => waysOut(result, shownHits(this.#groups, new Set()), this.#on.queryPicture()));
    const { onMore } = this.#on;
    const hasMore = onMore !== null && result.hits.length === this.#asked && this.#asked < MOST_HITS;
    return hasMore ? [section, button("More results", { run: onMore, className: "plain wide" })] : [section];
  }

  /** @param {string} patient @param {() => void} draw */
  #toggle(patient, draw) {
    if (this.#opened.has(patient)) this.#opened.delete(patient);
    else this.#opened.add(patient);
    draw();
    all(this.#body, ".more-of").find((one) => one.dataset.patient === patient)?.focus();
  }

  /** Whose follow-ups are shown; null without any. */
  get patient() {
    const known = this.#result?.follow_ups.find(({ lesion }) => lesion !== null);
    return known?.lesion?.patient_id ?? null;
  }

  /** Marks the card that is open beside the query. @param {string | null} openId */
  markOpen(openId) {
    for (const card of all(this.#body, "[data-lesion]")) {
      const isOpen = card.dataset.lesion === openId;
      card.setAttribute("aria-pressed", String(isOpen));
      if (isOpen) {
        card.scrollIntoView({ block: "nearest" });
        if (document.activeElement?.matches(".card, .follow-up")) card.focus();
      }
    }
  }

  /** The hit or follow-up of a lesion, as {lesion, hit, followUp}; null if the answer lacks it. @param {string} lesionId */
  find(lesionId) {
    const hit = this.#result?.hits.find(({ lesion }) => lesion.lesion_id === lesionId) ?? null;
    const followUp = this.#result?.follow_ups.find(({ lesion }) => lesion?.lesion_id === lesionId) ?? null;
    const lesion = hit?.lesion ?? followUp?.lesion ?? null;
    return lesion === null ? null : { lesion, hit, followUp };
  }

  /**
   * The id of the result `step` places from the open one, follow-ups before hits; null at an end.
   * @param {string | null} openId @param {number} step
   */
  neighbour(openId, step) {
    if (this.#result === null) return null;
    const { follow_ups: followUps } = this.#result;
    const hits = shownHits(this.#groups, this.#opened);
    const ids = [...followUps, ...hits].flatMap(({ lesion }) => (lesion === null ? [] : [lesion.lesion_id]));
    const place = openId === null ? -1 : ids.indexOf(openId);
    if (place === -1) return hits[0]?.lesion.lesion_id ?? null;
    return ids[place + step] ?? null;
  }
}
