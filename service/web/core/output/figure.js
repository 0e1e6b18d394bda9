// A figure for a talk or a paper: pictures with their words, on white or on black.

import { contextOf } from "../dom.js";

/**
 * @typedef {{ picture: CanvasImageSource & { width: number, height: number }, title: string, lines: string[], colour: string }} Panel
 * @typedef {"light" | "dark"} FigureTheme
 */

const THEMES = {
  light: { ground: "#ffffff", text: "#14181d", faint: "#4d5763" },
  dark: { ground: "#0a0d11", text: "#e6ebf1", faint: "#a3afbd" },
};
const FONT = "system-ui, 'DejaVu Sans', sans-serif";
const SIDE = 320;
const GAP = 24;
const HEAD = 84;
const LINE = 22;
export const NOTICE = "Research use only. Not a medical device; not for diagnosis or treatment.";

/** Draws panels in rows of `across`. @param {string} title @param {Panel[]} panels @param {{ theme: FigureTheme, across?: number }} look */
export function drawFigure(title, panels, { theme, across = 4 }) {
  const columns = Math.min(across, panels.length);
  const rows = Math.ceil(panels.length / columns);
  const most = Math.max(...panels.map(({ lines }) => lines.length));
  const tall = SIDE + LINE * (most + 1) + GAP;
  const canvas = document.createElement("canvas");
  canvas.width = GAP + columns * (SIDE + GAP);
  canvas.height = HEAD + rows * tall + GAP + LINE;
  const context = contextOf(canvas);
  const colours = THEMES[theme];
  context.fillStyle = colours.ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(context, title, [GAP, 46], `600 24px ${FONT}`, colours.text, canvas.width - 2 * GAP);
  for (const [place, panel] of panels.entries()) {
    const left = GAP + (place % columns) * (SIDE + GAP);
    const top = HEAD + Math.floor(place / columns) * tall;
    drawPanel(context, panel, [left, top], colours);
  }
  write(context, NOTICE, [GAP, canvas.height - GAP], `14px ${FONT}`, colours.faint, canvas.width - 2 * GAP);
  return canvas;
}

/** @param {CanvasRenderingContext2D} context @param {Panel} panel @param {[number, number]} at @param {typeof THEMES["light"]} colours */
function drawPanel(context, { picture, title, lines, colour }, [left, top], colours) {
  context.fillStyle = "#000000";
  context.fillRect(left, top, SIDE, SIDE);
  // The middle square of the picture: pictures of other shapes lose their edges, not their shape.
  const side = Math.min(picture.width, picture.height);
  context.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, left, top, SIDE, SIDE);
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.strokeRect(left, top, SIDE, SIDE);
  write(context, title, [left, top + SIDE + LINE], `600 17px ${FONT}`, colours.text, SIDE);
  for (const [place, words] of lines.entries()) {
    write(context, words, [left, top + SIDE + LINE * (place + 2)], `16px ${FONT}`, colours.faint, SIDE);
  }
}

/** @param {CanvasRenderingContext2D} context @param {string} words @param {[number, number]} at @param {string} font @param {string} colour @param {number} width */
function write(context, words, [left, top], font, colour, width) {
  context.font = font;
  context.fillStyle = colour;
  context.fillText(words, left, top, width);
}
