// Some marks of each verdict on their images: the run's picture, cut into tiles with captions in the page's own type.

import { getPicture, messageOf } from "../core/api.js";
import { contextOf, make } from "../core/dom.js";
import { FATE_SIGNS, fateOf } from "./verdicts.js";

const WORDS = "Some marks of each verdict on their images; what was drawn is green where it was kept, yellow where the detector proposed it, red where it was refused.";

/** The pictures of a run; hidden where it has none. */
export class PictureSheet {
  #tiles = make("ul", { className: "tiles" });
  #told = make("p", { className: "problem", role: "alert", hidden: true });
  element = make(
    "section", { className: "mined-sheet", hidden: true, tabIndex: 0, role: "region", "aria-label": "Pictures" },
    make("h2", { textContent: "Pictures" }), make("p", { className: "faint", textContent: WORDS }), this.#told, this.#tiles,
  );

  /** @param {MiningOut} run */
  async show({ sheet, tiles }) {
    this.element.hidden = sheet === null || !tiles;
    this.#told.hidden = true;
    if (sheet === null || !tiles) return;
    try {
      const picture = await getPicture(sheet.replace(/^\//, ""));
      this.#tiles.replaceChildren(...tiles.captions.map((caption, place) => tile(picture, tiles, caption, place)));
      picture.close();
    } catch (error) {
      this.#tiles.replaceChildren();
      this.#told.textContent = messageOf(error);
      this.#told.hidden = false;
    }
  }
}

/** @param {ImageBitmap} picture @param {SheetLayoutOut} layout @param {TileCaptionOut} caption @param {number} place */
function tile(picture, { columns, tile_px: side, pitch_px: pitch, top_px: top }, { verdict, words }, place) {
  const canvas = make("canvas", { width: side, height: side, role: "img", "aria-label": `${verdict} ${words}`.trim() });
  const [x, y] = [(place % columns) * side, top + Math.floor(place / columns) * pitch];
  contextOf(canvas).drawImage(picture, x, y, side, side, 0, 0, side, side);
  const fate = fateOf(verdict);
  return make(
    "li", { className: "tile", dataset: { fate: FATE_SIGNS[fate] } },
    make("span", { className: "picture" }, canvas),
    make("span", { className: `fate ${fate}` }, make("i", { className: "fate-dot", "aria-hidden": "true" }), make("span", { textContent: verdict })),
    make("span", { className: "faint", textContent: words }),
  );
}
