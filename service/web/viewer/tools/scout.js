// Sagittal and coronal pictures of a stack with the lines of what is shown: seen at a glance, clicked to go there.

import { contextOf, make } from "../../core/dom.js";
import { greyTable, paintGrey } from "../windows.js";
import { CoarseVolume } from "./volume.js";

const LINE = "#7ee7e7";
/** @type {Record<string, [string, string]>} */
const LETTERS = { sagittal: ["A", "P"], coronal: ["R", "L"] };
const LEAST_SLICES = 3;

/** @typedef {{ x: number, y: number }} Place column and row of the image */

/** Two pictures in a strip; `onGo` hears a slice and a place to cut at. */
export class Scout {
  /** @type {import("../image_stack.js").ImageStack | null} */
  #stack = null;
  /** @type {CoarseVolume | null} */
  #volume = null;
  #cut = { x: 0, y: 0 };
  #slice = 0;
  /** @type {import("../windows.js").HuWindow} */
  #window = [0, 1];
  #isPending = false;
  #onGo;
  /** @type {Record<string, HTMLCanvasElement>} */
  #canvases = { sagittal: plane("sagittal"), coronal: plane("coronal") };
  #words = make("p", { className: "faint scout-words" });

  /** @param {(slice: number, cut: Place) => void} onGo */
  constructor(onGo) {
    this.#onGo = onGo;
    this.element = make(
      "div",
      { className: "scout", hidden: true, role: "group", "aria-label": "Scout" },
      ...Object.entries(this.#canvases).map(([name, canvas]) => make(
        "figure", {},
        canvas,
        make("figcaption", {}, make("span", { textContent: LETTERS[name][0] }), make("span", { textContent: name }), make("span", { textContent: LETTERS[name][1] })),
      )),
      this.#words,
    );
    for (const [name, canvas] of Object.entries(this.#canvases)) {
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); this.#go(name, event); });
      canvas.addEventListener("pointermove", (event) => { if (event.buttons !== 0) this.#go(name, event); });
    }
  }

  /** Whether it is shown. */
  get isShown() {
    return !this.element.hidden;
  }

  /** Where the two pictures are cut; null while it is not shown. */
  get cut() {
    return this.isShown && this.#volume !== null ? this.#cut : null;
  }

  /** Shows it, or hides it and lets its block go. @param {boolean} isShown */
  toggle(isShown) {
    this.element.hidden = !isShown;
    if (isShown) this.#open();
    else this.#close();
  }

  /** Another stack, null for none; `middle` is where it is cut first. @param {import("../image_stack.js").ImageStack | null} stack @param {Place} middle */
  use(stack, middle) {
    this.#close();
    this.#stack = stack;
    this.#cut = middle;
    if (this.isShown) this.#open();
  }

  /** The slice and the window of the axial picture. @param {number} slice @param {import("../windows.js").HuWindow} window */
  follow(slice, window) {
    if (slice === this.#slice && window === this.#window) return;
    this.#slice = slice;
    this.#window = window;
    this.#paint();
  }

  #open() {
    const stack = this.#stack;
    const isDeep = stack !== null && stack.slices >= LEAST_SLICES;
    this.#words.hidden = isDeep || stack === null;
    this.#words.textContent = isDeep || stack === null ? "" : `No scout: ${stack.slices === 1 ? "one image" : "two images"} only.`;
    for (const canvas of Object.values(this.#canvases)) canvas.parentElement?.toggleAttribute("hidden", !isDeep);
    if (!isDeep || stack === null || this.#volume !== null) return;
    this.#volume = new CoarseVolume(stack);
    this.#volume.gather(this.#slice, () => this.#paint());
    this.#paint();
  }

  #close() {
    this.#volume?.drop();
    this.#volume = null;
  }

  #paint() {
    if (this.#isPending || this.#volume === null || !this.isShown) return;
    this.#isPending = true;
    requestAnimationFrame(() => {
      this.#isPending = false;
      this.#paintNow();
    });
  }

  #paintNow() {
    const [stack, volume] = [this.#stack, this.#volume];
    if (stack === null || volume === null) return;
    const table = greyTable(this.#window);
    const row = stack.placeOf(this.#slice) - 0.5;
    const { x, y } = this.#cut;
    /** @type {Record<string, number>} */
    const across = { sagittal: (y + 0.5) / stack.rows, coronal: (x + 0.5) / stack.columns };
    for (const [name, cut] of Object.entries({ sagittal: volume.sagittal(x), coronal: volume.coronal(y) })) {
      paintPlane(this.#canvases[name], cut, table, { row, across: across[name] * cut.width });
    }
  }

  /** @param {string} name @param {PointerEvent} event */
  #go(name, event) {
    const stack = this.#stack;
    if (stack === null || this.#volume === null) return;
    const canvas = this.#canvases[name];
    const share = [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight].map((one) => Math.min(Math.max(one, 0), 1));
    const along = name === "sagittal" ? { y: Math.round(share[0] * (stack.rows - 1)) } : { x: Math.round(share[0] * (stack.columns - 1)) };
    this.#cut = { ...this.#cut, ...along };
    this.#onGo(stack.clamp(stack.at(Math.floor(share[1] * stack.slices) + 1)), this.#cut);
    this.#paint();
  }
}

/** Where a scout is cut first: through the lesion, else the middle. @param {import("../image_stack.js").ImageStack} stack @param {import("../proposals.js").Box | null} box */
export function middleOf({ columns, rows }, box) {
  const [x1, y1, x2, y2] = box ?? [0, 0, columns - 1, rows - 1];
  return { x: Math.round((x1 + x2) / 2), y: Math.round((y1 + y2) / 2) };
}

/** @param {HTMLCanvasElement} canvas @param {import("./volume.js").Cut} cut @param {Uint32Array} table @param {{ row: number, across: number }} lines */
function paintPlane(canvas, { values, width, height, mm }, table, { row, across }) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  // Millimetres are as long down as across: the picture's shape is the body's.
  canvas.style.setProperty("--ratio", String((width * mm[0]) / (height * mm[1])));
  const context = contextOf(canvas);
  const picture = context.createImageData(width, height);
  paintGrey(values, table, picture);
  context.putImageData(picture, 0, 0);
  context.fillStyle = LINE;
  context.globalAlpha = 0.85;
  const [shownWidth, shownHeight] = [canvas.clientWidth || width, canvas.clientHeight || height];
  context.fillRect(0, row - height / shownHeight / 2, width, Math.max(height / shownHeight, 0.5));
  context.fillRect(across - width / shownWidth / 2, 0, Math.max(width / shownWidth, 0.5), height);
  context.globalAlpha = 1;
}

/** @param {string} name */
function plane(name) {
  return make("canvas", { role: "img", "aria-label": `${name} scout: the lines show the image, a click goes there`, className: name });
}
