// How lesions are told in every view: types, sizes, numbers with their units, pictures.

import { lesionPath, showPicture } from "./api.js";
import { make } from "./dom.js";
import { typeColour } from "./vocabulary.js";

/** What a picture of a lesion needs to be told of it.
 * @typedef {Pick<LesionOut, "lesion_id" | "patient_id" | "lesion_type" | "long_mm" | "short_mm">} PicturedLesion */

const PICTURE_MM = 120;
const CROP_DIAMETERS = 3.2;
const MOST_CROP = 2.4;

/** The type with its dot. @param {string} type */
export function typeLabel(type) {
  const dot = make("i", { className: "dot", style: { "--type": typeColour(type) } });
  return make("span", { className: "type" }, dot, make("span", { textContent: type }));
}

/** `23.4 × 17.1 mm`, or what is known of it. @param {Pick<LesionOut, "long_mm" | "short_mm">} lesion */
export function sizeText(lesion) {
  if (lesion.long_mm === null) return "size unknown";
  const short = lesion.short_mm === null ? "" : ` × ${lesion.short_mm.toFixed(1)}`;
  return `${lesion.long_mm.toFixed(1)}${short} mm`;
}

/**
 * `21.1 → 13.0 mm (−38 %)` from the prior to the current study, or what is known of it.
 * @param {FollowUpOut} followUp
 */
export function changeText({ role, change_mm: change, change_pct: percent, lesion }) {
  if (lesion === null) return "";
  const here = lesion.long_mm;
  if (here === null || change === null || percent === null || role === null) return sizeText(lesion);
  const [prior, current] = role === "prior" ? [here, here + change] : [here - change, here];
  return `${prior.toFixed(1)} → ${current.toFixed(1)} mm (${signed(percent, 0, "%")})`;
}

/** The tags that a lesion has: one that a reader or a report denies is no tag of it. @param {Pick<LesionOut, "tags">} lesion */
export function heldTags({ tags }) {
  return tags.filter(({ probability }) => probability > 0);
}

/** Whose image a lesion's is, a line each: patient, study with its date, series. @param {LesionOut} lesion */
export function whoLines({ patient_id: patient, study_id: study, study_date: date, series_id: series }) {
  return [`patient ${patient}`, [`study ${study}`, date].filter(Boolean).join(" · "), `series ${series}`];
}

/** A number with its sign, a true minus, and its unit. @param {number} value @param {number} digits @param {string} unit */
export function signed(value, digits, unit) {
  const rounded = Math.abs(value).toFixed(digits);
  const isZero = Number(rounded) === 0;
  const sign = isZero ? "±" : value > 0 ? "+" : "−";
  return `${sign}${rounded} ${unit}`;
}

/** A number in a column: a true minus instead of a hyphen. @param {number} value @param {number} digits */
export function decimal(value, digits) {
  return value.toFixed(digits).replace("-", "−");
}

/** `1 study`, `3 studies`. @param {number} count @param {string} word */
export function plural(count, word, many = `${word}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? word : many}`;
}

/** The lesion's picture under its type's window, its box drawn: 120 mm wide. @param {PicturedLesion} lesion */
export function patchPicture(lesion, { size = 240, eager = false } = {}) {
  const image = make("img", {
    className: "patch",
    alt: `${lesion.lesion_type} lesion, ${sizeText(lesion)}, patient ${lesion.patient_id}`,
    width: size,
    height: size,
    loading: eager ? "eager" : "lazy",
    draggable: false,
  });
  showPicture(image, lesionPath(lesion.lesion_id, "/image.png"));
  return image;
}

/**
 * The middle of that picture, so that a small lesion is still seen in a small square.
 * @param {PicturedLesion} lesion @param {number} size
 */
export function croppedPicture(lesion, size) {
  const image = patchPicture(lesion, { size });
  const wanted = CROP_DIAMETERS * (lesion.long_mm ?? PICTURE_MM);
  image.style.setProperty("scale", String(Math.min(Math.max(PICTURE_MM / wanted, 1), MOST_CROP)));
  return make("span", { className: "crop", style: { width: rem(size), height: rem(size) } }, image);
}

/** Pixels at the standard size of text, as a length that grows with it. @param {number} pixels */
export function rem(pixels) {
  return `${pixels / 16}rem`;
}
