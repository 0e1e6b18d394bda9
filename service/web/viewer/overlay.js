// What is drawn over a slice: boxes, marks, proposals, the scale bar.

import { handlesOf, markSize } from "./drawing.js";

/** @typedef {import("./projection.js").Projection} Projection */
/** @typedef {import("./proposals.js").Box} Box */
/** @typedef {import("./drawing.js").Mark} Mark */
/** @typedef {import("./proposals.js").Proposal} Proposal */
/** @typedef {import("./projection.js").Pair} Pair */

const FONT = "12px system-ui, 'DejaVu Sans', sans-serif";
const TEXT = "#e8edf3";
const SHADE = "rgba(0, 0, 0, 0.85)";

/**
 * A lesion's box, with corners that leave the lesion itself free.
 * @param {CanvasRenderingContext2D} context @param {Projection} projection @param {Box} box @param {string} colour
 */
export function paintBox(context, projection, box, colour) {
  const [left, top] = projection.toScreen([box[0], box[1]]);
  const [right, bottom] = projection.toScreen([box[2], box[3]]);
  stroke(context, colour, 1.5, () => context.rect(left, top, right - left, bottom - top));
}

/**
 * The mark being drawn, its handles and its size.
 * @param {CanvasRenderingContext2D} context @param {Projection} projection @param {Mark} mark @param {{ colour: string, withHandles: boolean }} options
 */
export function paintMark(context, projection, mark, { colour, withHandles }) {
  const at = mark.points.map((point) => projection.toScreen(point));
  if (mark.kind === "box") {
    stroke(context, colour, 1.5, () => {
      context.rect(at[0][0], at[0][1], at[1][0] - at[0][0], at[1][1] - at[0][1]);
    });
  } else if (mark.kind === "recist") {
    stroke(context, colour, 1.5, () => {
      for (let place = 0; place + 1 < at.length; place += 2) {
        context.moveTo(...at[place]);
        context.lineTo(...at[place + 1]);
      }
    });
  } else {
    stroke(context, colour, 1.5, () => paintCross(context, at[0]));
  }
  if (withHandles && mark.kind !== "point") {
    for (const handle of handlesOf(mark)) {
      const [left, top] = projection.toScreen(handle);
      context.fillStyle = colour;
      context.fillRect(left - 3, top - 3, 6, 6);
    }
  }
  const words = markSize(mark, projection.spacing);
  if (words) {
    const right = Math.max(...at.map(([left]) => left));
    const bottom = Math.max(...at.map(([, top]) => top));
    label(context, words, [right + 6, bottom + 12], colour, projection.size);
  }
}

/**
 * Boxes of the detector, numbered from the best, with their scores.
 * @param {CanvasRenderingContext2D} context @param {Projection} projection @param {Proposal[]} proposals @param {{ hovered: number | null, chosen: number | null, colour: string }} options
 */
export function paintProposals(context, projection, proposals, { hovered, chosen, colour }) {
  for (const [place, proposal] of proposals.entries()) {
    const [left, top] = projection.toScreen([proposal.box[0], proposal.box[1]]);
    const [right, bottom] = projection.toScreen([proposal.box[2], proposal.box[3]]);
    const strong = place === hovered || place === chosen;
    context.setLineDash(strong ? [] : [5, 4]);
    stroke(context, colour, strong ? 2 : 1.25, () => context.rect(left, top, right - left, bottom - top));
    context.setLineDash([]);
    if (right < 0 || bottom < 0 || left > projection.size[0] || top > projection.size[1]) continue;
    const words = chosen === place ? proposal.score.toFixed(2) : `${place + 1}  ${proposal.score.toFixed(2)}`;
    label(context, words, [left, top - 8], colour, projection.size);
  }
}

/**
 * A bar of a round length at the lower right, with its millimetres.
 * @param {CanvasRenderingContext2D} context @param {Projection} projection
 */
export function paintScale(context, projection) {
  const [width, height] = projection.size;
  const longest = Math.min(width / 3, 160) / projection.scale;
  const length = [100, 50, 20, 10, 5, 2, 1].find((round) => round <= longest) ?? 1;
  const right = width - 14;
  const left = right - length * projection.scale;
  stroke(context, TEXT, 1.5, () => {
    context.moveTo(left, height - 18);
    context.lineTo(left, height - 13);
    context.lineTo(right, height - 13);
    context.lineTo(right, height - 18);
  });
  const words = `${length} mm`;
  context.font = FONT;
  label(context, words, [right - context.measureText(words).width, height - 26], TEXT, projection.size);
}

/** @param {CanvasRenderingContext2D} context @param {[number, number]} pair */
function paintCross(context, [left, top]) {
  context.moveTo(left - 10, top);
  context.lineTo(left - 3, top);
  context.moveTo(left + 3, top);
  context.lineTo(left + 10, top);
  context.moveTo(left, top - 10);
  context.lineTo(left, top - 3);
  context.moveTo(left, top + 3);
  context.lineTo(left, top + 10);
}

/** A dark line below the bright one keeps marks readable over lung and over bone alike. @param {CanvasRenderingContext2D} context @param {string} colour @param {number} width @param {() => void} trace */
export function stroke(context, colour, width, trace) {
  /** @type {[string, number][]} */
  const lines = [[SHADE, width + 2], [colour, width]];
  for (const [style, thickness] of lines) {
    context.beginPath();
    trace();
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.stroke();
  }
}

/** Words over the picture, kept within it. @param {CanvasRenderingContext2D} context @param {string} words @param {Pair} place @param {string} colour @param {Pair} size */
export function label(context, words, [left, middle], colour, [width, height]) {
  context.font = FONT;
  context.textBaseline = "middle";
  const length = context.measureText(words).width;
  const x = Math.min(Math.max(left, 4), width - length - 4);
  const y = Math.min(Math.max(middle, 10), height - 10);
  context.lineWidth = 3;
  context.strokeStyle = SHADE;
  context.strokeText(words, x, y);
  context.fillStyle = colour;
  context.fillText(words, x, y);
}
