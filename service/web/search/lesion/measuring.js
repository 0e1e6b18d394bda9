// The marked lesion measured by the service: outline, diameters and volume, each with its interval.

import { messageOf, postForm } from "../../core/api.js";
import { button, make } from "../../core/dom.js";
import { volumeText } from "../../core/measured_sizes.js";
import { MEASURED_COLOUR } from "../../viewer/tools/kept_mask.js";

/** @typedef {{ words: string, title: string, run: () => Promise<string> }} Report */

/** @type {[string, string][]} */
const SHOWN = [["long_mm", "long diameter"], ["short_mm", "short diameter"], ["volume_mm3", "volume"], ["mean_hu", "mean"]];
/** @type {Record<string, string>} */
const UNITS = { mm2: "mm²" };

/** Asks the service; the mark is in the URL's fields. @param {import("../../core/route.js").Params} params @param {number} slice @returns {Promise<MeasureOut>} */
export function measure({ upload, box, recist, point }, slice) {
  return postForm("v1/measure", { upload_id: upload, grid: "display", key_slice_index: slice, box, recist, point });
}

/** Outlines and diameters as lines to draw. @param {MeasureOut} found @returns {import("../../viewer/layers.js").ShownLine[]} */
export function linesOf({ contours, recist, key_slice_index: key }) {
  const outlines = contours.flatMap(({ slice_index: slice, paths }) => paths.map((points) => ({ points: pairsOf(points), slice, colour: MEASURED_COLOUR })));
  const diameters = [recist.long, recist.short].map((points) => ({ points: pairsOf(points), slice: key, colour: MEASURED_COLOUR }));
  return [...outlines, ...diameters];
}

/** The measured diameters as the URL has a RECIST mark. @param {MeasureOut} found */
export function recistOf({ recist }) {
  return [...recist.long, ...recist.short].flat().map((value) => Math.round(Number(value) * 10) / 10).join(",");
}

/** What was measured, in words; `onUse` takes the diameters as the mark. @param {MeasureOut} found @param {{ onUse: () => void, onClose: () => void, reports: Report[] }} on */
export function measuredPanel(found, { onUse, onClose, reports }) {
  const rows = SHOWN.flatMap(([name, words]) => {
    const one = found.measurements[name];
    return one === undefined ? [] : [make("dt", { textContent: words }), make("dd", { className: "number", textContent: valueText(one) })];
  });
  const told = make("p", { className: "faint", role: "status" });
  const report = async (/** @type {Report["run"]} */ run) => {
    try {
      told.textContent = await run();
    } catch (error) {
      told.textContent = messageOf(error);
    }
  };
  const [first, last] = found.slices;
  const facts = `${found.method === "network" ? "Outlined by the network" : "The mark's own ellipse"}; ${last - first + 1} images, edge to edge. Estimated.`;
  return make(
    "section", { className: "measured-panel", "aria-label": "Measurement" },
    make("header", { className: "section-heading" }, make("h2", { textContent: "Measured" }), button("", { sign: "close", run: onClose, className: "tool", title: "Close", "aria-label": "Close the measurement" })),
    make("dl", { className: "facts" }, ...rows),
    make("p", { className: "faint", textContent: facts }),
    ...found.flags.map(({ text }) => make("p", { className: "doubt", textContent: text })),
    make(
      "div", { className: "actions" },
      button("Use these diameters", { sign: "recist", run: onUse, className: "plain small", title: "They become the mark, with handles to correct them" }),
      ...reports.map(({ words, title, run }) => button(words, { sign: "export", run: () => report(run), className: "plain small", title })),
    ),
    told,
  );
}

/** `18.1 mm (16.0 to 20.9)`. @param {EstimateOut} estimate */
function valueText({ value, interval_90: interval, unit }) {
  if (unit === "mm3") return interval === null ? volumeText(value) : `${volumeText(value)} (${volumeText(Number(interval[0]))} to ${volumeText(Number(interval[1]))})`;
  const digits = unit === "mm" ? 1 : 0;
  const shown = (/** @type {number} */ one) => one.toFixed(digits).replace("-", "−");
  const range = interval === null ? "" : ` (${shown(Number(interval[0]))} to ${shown(Number(interval[1]))})`;
  return `${shown(value)} ${UNITS[unit] ?? unit}${range}`;
}

/** @param {any[]} points @returns {import("../../viewer/projection.js").Pair[]} */
function pairsOf(points) {
  return points.map(([x, y]) => [Number(x), Number(y)]);
}
