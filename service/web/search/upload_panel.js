// Files to slices: drop or choose them, say the spacing of a PNG, send them, see how far they are.

import { sendFiles } from "../core/api.js";
import { button, field, icon, make } from "../core/dom.js";
import { errorState, loadingState } from "../core/states.js";

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47];
const SPACING_NAME = "lesion-search-spacing";
const KINDS = "16-bit PNG (HU + 32768), DICOM, NIfTI, several slices, or a zip of a series";

/** What the service said of an upload; it is kept in this tab, so that a reload finds it. */
export function uploadFacts(uploadId) {
  const kept = sessionStorage.getItem(`upload:${uploadId}`);
  return kept === null ? null : JSON.parse(kept);
}

/** Drop zone and chooser; `onUpload` hears the facts of what was uploaded. */
export class UploadPanel {
  #onUpload;
  #body = make("div", { className: "upload-body" });
  #chooser = make("input", { type: "file", multiple: true, hidden: true, tabIndex: -1 });

  constructor(onUpload) {
    this.#onUpload = onUpload;
    this.#chooser.addEventListener("change", () => {
      this.take([...this.#chooser.files]);
      this.#chooser.value = "";
    });
    this.element = make("div", { className: "upload" }, this.#chooser, this.#body);
    this.reset();
  }

  /** The button that opens the file chooser, for other places of the page. */
  chooseButton(className = "primary") {
    return button("Choose files", { sign: "upload", run: () => this.#chooser.click(), className });
  }

  /** Shows the drop zone. */
  reset() {
    this.#body.replaceChildren(make(
      "div",
      { className: "drop" },
      icon("upload", 22),
      make("p", { textContent: "Drop CT here" }),
      make("p", { className: "faint", textContent: KINDS }),
      this.chooseButton("plain"),
    ));
  }

  /** Takes files: PNGs need their spacing first, anything else is sent at once. */
  async take(files) {
    if (files.length === 0) return;
    const inOrder = [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    if (await isPng(inOrder[0])) this.#askSpacing(inOrder);
    else this.#send(inOrder, null);
  }

  #askSpacing(files) {
    const kept = (sessionStorage.getItem(SPACING_NAME) ?? "").split(",");
    const inputs = ["x", "y", "slice"].map((axis, place) => make("input", {
      type: "number", min: 0.01, max: 50, step: "any", required: true, className: "number",
      value: kept[place] ?? "", name: `spacing-${axis}`,
    }));
    const form = make(
      "form",
      { className: "spacing" },
      make("p", { className: "file-name", textContent: files.length === 1 ? files[0].name : `${files.length} slices` }),
      make("p", { className: "faint", textContent: "A PNG does not say how large its pixels are." }),
      make("div", { className: "triple" }, field("x, mm", inputs[0]), field("y, mm", inputs[1]), field("slice, mm", inputs[2])),
      make(
        "div",
        { className: "actions" },
        button("Cancel", { run: () => this.reset(), className: "plain" }),
        make("button", { type: "submit", className: "primary", textContent: "Open" }),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const spacing = inputs.map((input) => input.value).join(",");
      sessionStorage.setItem(SPACING_NAME, spacing);
      this.#send(files, spacing);
    });
    this.#body.replaceChildren(form);
    (inputs.find((input) => input.value === "") ?? form.querySelector("[type=submit]")).focus();
  }

  async #send(files, spacing) {
    const megabytes = files.reduce((sum, file) => sum + file.size, 0) / 2 ** 20;
    this.#body.replaceChildren(loadingState(`Sending ${megabytes.toFixed(1)} MB`, 0));
    const onProgress = (share) => {
      const bar = this.#body.querySelector("progress");
      if (bar !== null) bar.value = share;
      if (share === 1) this.#body.replaceChildren(loadingState("Reading the image"));
    };
    try {
      const facts = await sendFiles("v1/uploads", files, { spacing, grid: "display" }, onProgress);
      sessionStorage.setItem(`upload:${facts.upload_id}`, JSON.stringify({ ...facts, name: nameOf(files) }));
      this.reset();
      this.#onUpload(facts);
    } catch (error) {
      this.#body.replaceChildren(errorState(error, () => this.reset(), "Choose another file"));
    }
  }
}

/** Lets files be dropped anywhere on an element. */
export function acceptDrops(element, onFiles) {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  element.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.classList.add("dropping");
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) element.classList.remove("dropping");
  });
  element.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    element.classList.remove("dropping");
    onFiles([...event.dataTransfer.files]);
  });
}

async function isPng(file) {
  const start = new Uint8Array(await file.slice(0, PNG_SIGNATURE.length).arrayBuffer());
  return PNG_SIGNATURE.every((byte, place) => start[place] === byte);
}

function nameOf(files) {
  return files.length === 1 ? files[0].name : `${files.length} files`;
}
