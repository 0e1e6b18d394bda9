// Where files are dropped or chosen.

import { button, icon, make } from "../core/dom.js";
import { KINDS } from "./receiving.js";

/** Drop zone and chooser; `onFiles` hears the files. The whole window takes a drop as well. */
export class UploadPanel {
  #chooser = make("input", { type: "file", multiple: true, hidden: true, tabIndex: -1 });

  /** @param {(files: File[]) => void} onFiles */
  constructor(onFiles) {
    this.#chooser.addEventListener("change", () => {
      onFiles([...(this.#chooser.files ?? [])]);
      this.#chooser.value = "";
    });
    this.element = make(
      "div",
      { className: "upload" },
      this.#chooser,
      make(
        "div",
        { className: "drop" },
        icon("upload", 22),
        make("p", { textContent: "Drop CT here" }),
        make("p", { className: "faint", textContent: KINDS }),
        this.chooseButton("plain"),
      ),
    );
  }

  /** The button that opens the file chooser, for other places of the page. */
  chooseButton(className = "primary") {
    return button("Choose files", { sign: "upload", run: () => this.#chooser.click(), className });
  }
}
