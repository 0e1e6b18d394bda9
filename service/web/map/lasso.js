// A lasso over the map: which points lie within a closed line drawn by hand.

/** @typedef {readonly [number, number]} Pair */

const LEAST_CORNERS = 3;

/** Whether a point lies within a closed line: the even-odd rule. @param {Pair} point @param {Pair[]} line */
export function isWithin([x, y], line) {
  let inside = false;
  for (let place = 0, before = line.length - 1; place < line.length; before = place, place += 1) {
    const [[x1, y1], [x2, y2]] = [line[place], line[before]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

/** The places of the shown points within a line. @param {{ x: number, y: number }[]} points @param {boolean[]} shown @param {Pair[]} line */
export function placesWithin(points, shown, line) {
  if (line.length < LEAST_CORNERS) return [];
  const [xs, ys] = [line.map(([x]) => x), line.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  /** @type {number[]} */
  const found = [];
  for (let place = 0; place < points.length; place += 1) {
    const { x, y } = points[place];
    if (!shown[place] || x < left || x > right || y < top || y > bottom) continue;
    if (isWithin([x, y], line)) found.push(place);
  }
  return found;
}

/** Draws the line. @param {CanvasRenderingContext2D} context @param {Pair[]} line on the screen */
export function paintLasso(context, line) {
  if (line.length < 2) return;
  context.beginPath();
  for (const [place, at] of line.entries()) {
    if (place === 0) context.moveTo(...at);
    else context.lineTo(...at);
  }
  context.closePath();
  context.fillStyle = "rgba(242, 204, 96, 0.12)";
  context.fill();
  context.setLineDash([5, 4]);
  context.lineWidth = 1.5;
  context.strokeStyle = "#f2cc60";
  context.stroke();
  context.setLineDash([]);
}
