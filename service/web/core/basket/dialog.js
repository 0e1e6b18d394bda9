// The case basket as a dialog: pictures, notes, and the way out as figure, CSV or JSON.

import { getPicture, lesionPath } from "../api.js";
import { button, make } from "../dom.js";
import { croppedPicture, sizeText, typeLabel } from "../lesion_facts.js";
import { measuredNote, measuredText } from "../measured_sizes.js";
import { drawFigure } from "../output/figure.js";
import { saveJson, savePicture, saveText } from "../output/files.js";
import { ExportMenu } from "../output/menu.js";
import { csvOf, lesionRow } from "../output/table.js";
import { address } from "../route.js";
import { emptyState } from "../states.js";
import { typeColour } from "../vocabulary.js";
import { basket } from "./store.js";

/** Opens the basket. */
export function showBasket() {
  if (document.querySelector("dialog[open]")) return;
  const list = make("ul", { className: "basket-list" });
  const menu = new ExportMenu();
  menu.show(ways());
  const close = make("button", { textContent: "Close", className: "plain", value: "" });
  const clear = button("Empty the basket", { run: () => basket.clear(), className: "plain" });
  const form = make(
    "form", { method: "dialog" },
    make("header", { className: "section-heading" }, make("h2", { textContent: "Case basket" }), menu.element),
    list,
    make("p", { className: "faint small-print", textContent: "Kept in this tab until you close it; export what you want to keep." }),
    make("div", { className: "actions" }, clear, close),
  );
  const dialog = make("dialog", { className: "basket", "aria-label": "Case basket" }, form);
  const draw = () => {
    const { items } = basket;
    clear.hidden = items.length === 0;
    menu.element.hidden = items.length === 0;
    list.replaceChildren(...items.map(row));
    if (items.length === 0) list.replaceChildren(make("li", {}, emptyState("basket", "Nothing collected", "Open a result and press a, or press its Collect button.")));
  };
  let count = -1;
  const onChange = () => {
    if (basket.items.length !== count) draw();
    count = basket.items.length;
  };
  basket.addEventListener("change", onChange);
  dialog.addEventListener("close", () => { basket.removeEventListener("change", onChange); dialog.remove(); });
  dialog.addEventListener("click", ({ target }) => { if (target instanceof HTMLAnchorElement) dialog.close(); });
  document.body.append(dialog);
  onChange();
  dialog.showModal();
  close.focus();
}

/** @param {import("./store.js").BasketItem} item */
function row({ lesion, note, similarity, from }) {
  const { lesion_id: id } = lesion;
  const words = make("textarea", { value: note, rows: 2, placeholder: "Note", "aria-label": `Note on ${id}` });
  words.addEventListener("input", () => basket.write(id, words.value));
  return make(
    "li", { className: "basket-row", dataset: { lesion: id } },
    croppedPicture(lesion, 72),
    make(
      "div", { className: "row-words" },
      make("p", { className: "line" }, typeLabel(lesion.lesion_type), make("span", { textContent: sizeText(lesion) }), measuredNote(lesion)),
      make("p", { className: "faint", textContent: `patient ${lesion.patient_id} · ${lesion.study_id}` }),
      make("p", { className: "faint", textContent: similarity === null ? `from ${from}` : `${similarity.toFixed(3)} alike ${from}` }),
      make("a", { className: "quiet", href: address("search", { lesion: id }), textContent: "Search from it" }),
    ),
    words,
    button("", { sign: "close", run: () => basket.remove(id), className: "tool", title: "Take out", "aria-label": `Take ${id} out` }),
  );
}

/** @returns {import("../output/menu.js").Way[]} */
function ways() {
  const rows = () => basket.items.map(({ lesion, note, similarity, from }) => ({ ...lesionRow(lesion), similarity, from, note }));
  return [
    { words: "Figure, light", run: () => figure("light") },
    { words: "Figure, dark", run: () => figure("dark") },
    { words: "CSV", run: () => saveText("case_basket.csv", csvOf(rows()), "text/csv") },
    { words: "JSON", run: () => saveJson("case_basket.json", basket.items) },
  ];
}

/** @param {import("../output/figure.js").FigureTheme} theme */
async function figure(theme) {
  const panels = await Promise.all(basket.items.map(async ({ lesion, note }) => ({
    picture: await getPicture(lesionPath(lesion.lesion_id, "/image.png")),
    title: `${lesion.lesion_type}, ${sizeText(lesion)}`,
    lines: [measuredText(lesion) ?? "", `patient ${lesion.patient_id}, ${lesion.study_id}`, note].filter(Boolean),
    colour: typeColour(lesion.lesion_type),
  })));
  await savePicture(`case_basket_${theme}.png`, drawFigure("Case basket", panels, { theme }));
}
