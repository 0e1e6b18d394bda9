// Files to slices, one drop at a time: say the spacing of a PNG, send, read. The last drop wins.

import { sendFiles } from "../core/api.js";
import { button, field, icon, make } from "../core/dom.js";
import { errorState } from "../core/states.js";
import { inOrder, namesOf } from "./dropped_files.js";
import { Transfer } from "./transfer.js";

/** @typedef {UploadOut & { name: string, is_in_pacs?: boolean }} Received what the service said, with the files' own names */
/** @typedef {{ onState: (state: Node | null) => void, onReceived: (facts: UploadOut) => void }} ReceiverListeners */

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47];
const SPACING_NAME = "lesion-search-spacing";
export const KINDS = "16-bit PNG (HU + 32768), DICOM, NIfTI, several slices or their folder, or a zip of a series";

/**
 * What the service said of an upload; it is kept in this tab, so that a reload finds it.
 * @param {string} uploadId @returns {Received | null}
 */
export function uploadFacts(uploadId) {
  const kept = sessionStorage.getItem(`upload:${uploadId}`);
  return kept === null ? null : JSON.parse(kept);
}

/** Takes files and says how far they are; `on` holds onState(node or null) and onReceived(facts). */
export class Receiver {
  #on;
  /** Of the files that are being received; a new drop, or another query, aborts it. @type {AbortController | null} */
  #aborting = null;

  /** @param {ReceiverListeners} on */
  constructor(on) {
    this.#on = on;
  }

  /** Whether files are on their way, or wait for their spacing. */
  get isBusy() {
    return this.#aborting !== null;
  }

  /** Gives up what is on its way; the service is told by the broken connection. */
  abort() {
    this.#aborting?.abort();
    this.#aborting = null;
  }

  /** Takes files: PNGs need their spacing first, anything else is sent at once. @param {File[]} files */
  async take(files) {
    this.abort();
    if (files.length === 0) return;
    const mine = new AbortController();
    this.#aborting = mine;
    const sorted = inOrder(files);
    const needsSpacing = await isPng(sorted[0]);
    if (mine.signal.aborted) return;
    if (needsSpacing) this.#askSpacing(sorted, mine);
    else await this.#send(sorted, null, mine);
  }

  /**
   * Waits for an image that somebody else sends, as a PACS does; `name` stands for the files' names.
   * @param {string} name @param {(signal: AbortSignal) => Promise<UploadOut>} ask
   */
  async bring(name, ask) {
    this.abort();
    const mine = new AbortController();
    this.#aborting = mine;
    this.#on.onState(make(
      "div",
      { className: "state receiving", role: "status" },
      make("h2", { className: "file-name", textContent: name }),
      make("progress", { max: 1 }),
      make("p", { textContent: "The service fetches it from the PACS" }),
      make("div", { className: "actions" }, button("Cancel", { run: () => this.#cancel(), className: "plain" })),
    ));
    try {
      const facts = await ask(mine.signal);
      if (!mine.signal.aborted) this.#keep(facts, name);
    } catch (error) {
      if (!mine.signal.aborted) this.#fail(error, "Choose another image");
    }
  }

  /** @param {UploadOut} facts @param {string} name */
  #keep(facts, name) {
    this.#aborting = null;
    const known = { ...facts, name };
    sessionStorage.setItem(`upload:${facts.upload_id}`, JSON.stringify(known));
    this.#on.onReceived(known);
  }

  /** @param {unknown} error @param {string} words */
  #fail(error, words) {
    this.#aborting = null;
    this.#on.onState(errorState(error, () => this.#on.onState(null), words));
  }

  #cancel() {
    this.abort();
    this.#on.onState(null);
  }

  /** @param {File[]} files @param {AbortController} mine */
  #askSpacing(files, mine) {
    const kept = (sessionStorage.getItem(SPACING_NAME) ?? "").split(",");
    const inputs = ["x", "y", "slice"].map((axis, place) => make("input", {
      type: "number", min: 0.01, max: 50, step: "any", required: true, className: "number",
      value: kept[place] ?? "", name: `spacing-${axis}`,
    }));
    const open = make("button", { type: "submit", className: "primary", textContent: "Open" });
    const form = make(
      "form",
      { className: "state spacing" },
      icon("upload", 30),
      make("h2", { className: "file-name", textContent: namesOf(files) }),
      make("p", { textContent: "A PNG does not say how large its pixels are." }),
      make("div", { className: "triple" }, field("x, mm", inputs[0]), field("y, mm", inputs[1]), field("slice, mm", inputs[2])),
      make(
        "div",
        { className: "actions" },
        button("Cancel", { run: () => this.#cancel(), className: "plain" }),
        open,
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const spacing = inputs.map((input) => input.value).join(",");
      sessionStorage.setItem(SPACING_NAME, spacing);
      this.#send(files, spacing, mine);
    });
    this.#on.onState(form);
    (inputs.find((input) => input.value === "") ?? open).focus();
  }

  /** @param {File[]} files @param {string | null} spacing @param {AbortController} mine */
  async #send(files, spacing, mine) {
    const transfer = new Transfer(files.reduce((sum, file) => sum + file.size, 0));
    const bar = make("progress", { max: 1, value: 0 });
    const words = make("p", { className: "number", textContent: transfer.words() });
    this.#on.onState(make(
      "div",
      { className: "state receiving", role: "status" },
      make("h2", { className: "file-name", textContent: namesOf(files) }),
      bar,
      words,
      make("div", { className: "actions" }, button("Cancel", { run: () => this.#cancel(), className: "plain" })),
    ));
    const onProgress = (/** @type {number} */ share) => {
      transfer.reach(share, performance.now());
      if (transfer.isSent) bar.removeAttribute("value");
      else bar.value = share;
      words.textContent = transfer.words();
    };
    try {
      const facts = await sendFiles("v1/uploads", files, { spacing, grid: "display" }, { onProgress, signal: mine.signal });
      if (!mine.signal.aborted) this.#keep(facts, namesOf(files));
    } catch (error) {
      if (!mine.signal.aborted) this.#fail(error, "Choose another file");
    }
  }
}

/** @param {File} file */
async function isPng(file) {
  const start = new Uint8Array(await file.slice(0, PNG_SIGNATURE.length).arrayBuffer());
  return PNG_SIGNATURE.every((byte, place) => start[place] === byte);
}
