// The appearances of one lesion over the studies as a strip: which is prior and which is current is chosen here.

import { make } from "../core/dom.js";
import { croppedPicture, sizeText } from "../core/lesion_facts.js";
import { rove } from "../core/roving.js";
import { ink, toneColour } from "../core/vocabulary.js";

/** @typedef {ReturnType<import("./track_marks.js").TrackMarks["cells"]>[number]} Cell */

/** A button a study; `onChoose` hears the lesion. @param {Cell[]} cells @param {StudyOut[]} studies @param {{ selected: string[], onChoose: (id: string) => void }} on */
export function priorsStrip(cells, studies, { selected, onChoose }) {
  const items = cells.map((cell) => {
    const study = studies[cell.column];
    const head = [make("b", { textContent: study.study_id }), make("span", { className: "faint", textContent: study.study_date ?? "no date" })];
    const word = make("span", { className: "state-word", style: { color: ink(toneColour(cell.tone)) }, textContent: cell.word });
    const [lesion] = cell.lesions;
    if (lesion === undefined) return make("li", { className: "prior none" }, ...head, word);
    const place = selected.indexOf(lesion.lesion_id);
    const role = place === -1 ? "" : place === 0 ? "prior" : "current";
    const choose = make(
      "button",
      { type: "button", className: "prior", dataset: { lesion: lesion.lesion_id, role }, title: "Compare this appearance", on: { click: () => onChoose(lesion.lesion_id) } },
      croppedPicture(lesion, 52),
      make("span", { className: "prior-words" }, ...head, make("span", { textContent: sizeText(lesion) }), word, role === "" ? null : make("span", { className: "badge", textContent: role })),
    );
    choose.setAttribute("aria-pressed", String(place !== -1));
    return make("li", {}, choose);
  });
  const strip = make("ol", { className: "priors", "aria-label": "Priors of this lesion" }, ...items);
  rove(strip, "button", { keys: "horizontal" });
  return strip;
}
