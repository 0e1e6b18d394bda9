// What the mask of an indexed lesion measures, in words: beside the mark's own diameters, never in their place.

import { make } from "./dom.js";

const ML = 1000;
const ELLIPSE = "ellipse";
/** The flag of a volume that is a part of the lesion's, as the service names it. */
const IMAGE_ENDS = "image ends inside the lesion";
const METHODS = { network: "Outlined by the network", ellipse: "The mark's own ellipse: no outline was found" };

/** `512 mm³`, from 1,000 mm³ on `2.21 ml`. @param {number} mm3 */
export function volumeText(mm3) {
  if (mm3 < ML) return `${mm3.toFixed(0)} mm³`;
  const ml = mm3 / ML;
  return `${ml.toFixed(ml < 10 ? 2 : ml < 100 ? 1 : 0)} ml`;
}

/** `≈ 18.1 × 13.8 mm, 2.21 ml`; null where the lesion was not measured. @param {Pick<LesionOut, "measured">} lesion */
export function measuredText({ measured }) {
  if (!measured) return null;
  const { long_mm: long, short_mm: short, volume_mm3: volume, flags } = measured;
  const part = flags.includes(IMAGE_ENDS) ? "at least " : "";
  const words = volume === null ? "" : `, ${part}${volumeText(volume.value)}`;
  return `≈ ${long.value.toFixed(1)} × ${short.value.toFixed(1)} mm${words}`;
}

/** What the numbers rest on: intervals, method and what to know. @param {MeasuredSizesOut} measured */
export function measuredTitle({ long_mm: long, short_mm: short, volume_mm3: volume, method, flags }) {
  const within = [rangeOf("long", long, mm), rangeOf("short", short, mm), rangeOf("volume", volume, volumeText)].filter(Boolean);
  const how = method === ELLIPSE ? METHODS.ellipse : METHODS.network;
  return [`Measured on the mask, estimated. ${how}.`, within.length > 0 && `Nine of ten lie within: ${within.join(", ")}.`, ...flags].filter(Boolean).join(" ");
}

/** The measured sizes as a line of their own; null where there are none. @param {Pick<LesionOut, "measured">} lesion */
export function measuredNote(lesion) {
  const text = measuredText(lesion);
  if (text === null || !lesion.measured) return null;
  return make("span", { className: "sized number", textContent: text, title: measuredTitle(lesion.measured) });
}

/** @param {string} name @param {MeasuredValueOut | null} found @param {(value: number) => string} shown */
function rangeOf(name, found, shown) {
  const interval = found?.interval_90;
  return interval ? `${name} ${shown(interval[0])} to ${shown(interval[1])}` : null;
}

/** @param {number} value */
function mm(value) {
  return `${value.toFixed(1)} mm`;
}
