// Builds elements without markup in strings: text stays text, whatever an id or a file is called.

const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, string>} */
const ICONS = {
  close: "M4 4l8 8M12 4l-8 8",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.5 10.5L14 14",
  window: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 2v12M8 5l4-1.5M8 8h6M8 11l4 1.5",
  pan: "M8 1.5v13M1.5 8h13M6 3.5l2-2 2 2M6 12.5l2 2 2-2M3.5 6l-2 2 2 2M12.5 6l2 2-2 2",
  box: "M3 3h10v10H3z",
  recist: "M2.5 12L13.5 4M6 4.5l4.5 6.5",
  point: "M8 1.5v4M8 10.5v4M1.5 8h4M10.5 8h4M8 8h.01",
  length: "M2 12L12 2l2 2L4 14zM5 9l1.5 1.5M7.5 6.5L9 8M10 4l1.5 1.5",
  ellipse: "M8 3c3.6 0 6 2.2 6 5s-2.4 5-6 5-6-2.2-6-5 2.4-5 6-5",
  outline: "M5.500 3c2.500-1.500 4 1 5.500 1.500s2.500 2 2 4-1 4.500-3.500 4.500-2-1.500-4-2-3-2-2.500-4 .5-2.800 2.500-4M8 7.500h.01",
  inverse: "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 2v12M8 4.5h3.5M8 7h5M8 9.5h5M8 12h3",
  scout: "M2 2h5v12H2zM9 2h5v12H9M2 7h5M9 9h5",
  export: "M8 2v8M5 5l3-3 3 3M3 8v6h10V8",
  lasso: "M8 2.5c3.5 0 6 1.7 6 4s-2.5 4-6 4-6-1.7-6-4 2.500-4 6-4M5 10c-1 1-1 2 0 2.500s1 1.500-1 2",
  basket: "M2 6h12l-1.5 8h-9zM5 6l2-4M11 6L9 2",
  detect: "M2 5V2h3M11 2h3v3M14 11v3h-3M5 14H2v-3M6 6h4v4H6z",
  fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  focus: "M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7M8 1v3M8 12v3M1 8h3M12 8h3",
  upload: "M8 11V2M4.5 5.5L8 2l3.5 3.5M2 11v3h12v-3",
  person: "M8 2a3 3 0 1 0 0 6a3 3 0 1 0 0-6M2.5 14c.5-3 2.7-4.5 5.5-4.5s5 1.5 5.5 4.5",
  undo: "M6 3L2.5 6.5 6 10M2.5 6.5H10a3.5 3.5 0 0 1 0 7H7",
  check: "M2.5 8.5l3.5 3.5 7.5-8",
  panel: "M2 3h12v10H2zM6 3v10",
  alert: "M8 2L14.5 13.5h-13zM8 6.5v3.5M8 11.8h.01",
  map: "M3 4h.01M7 6h.01M5 9h.01M11 4h.01M12 9h.01M9 11h.01M4 13h.01M13 13h.01",
};

/**
 * An element; `on` holds listeners, `style` CSS values, dashed names and `role` are attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/**
 * An SVG element; every property is an attribute, but for `on`.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {SVGElement}
 */
export function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") listen(node, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, String(one));
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter(isPresent));
  return node;
}

/** A drawn sign of 16 pixels that says nothing to a screen reader. @param {string} name */
export function icon(name, size = 16) {
  const attributes = { viewBox: "0 0 16 16", width: size, height: size, class: "icon" };
  return makeSvg("svg", { ...attributes, "aria-hidden": "true" }, makeSvg("path", { d: ICONS[name] }));
}

/**
 * A button with a sign, a word, or both; `title` tells its key, the rest are properties of `make`.
 * @param {string} words
 * @param {{ sign?: string | null, run?: ((event: Event) => any) | null, [name: string]: any }} [properties]
 */
export function button(words, { sign = null, run = null, ...properties } = {}) {
  const parts = [sign === null ? null : icon(sign), words === "" ? null : make("span", { textContent: words })];
  return make("button", { type: "button", on: run === null ? {} : { click: run }, ...properties }, ...parts);
}

/** What draws on a canvas. @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [settings] */
export function contextOf(canvas, settings) {
  const context = canvas.getContext("2d", settings);
  if (context === null) throw new Error("This browser gives no 2D canvas.");
  return context;
}

/**
 * Listens to an event that carries a detail.
 * @param {EventTarget} target @param {string} kind @param {(detail: any) => void} listener
 */
export function listenTo(target, kind, listener) {
  target.addEventListener(kind, (event) => listener(/** @type {CustomEvent} */ (event).detail));
}

/** All elements within another that fit a selector. @param {ParentNode} root @param {string} selector @returns {HTMLElement[]} */
export function all(root, selector) {
  return [...root.querySelectorAll(selector)].map((one) => /** @type {HTMLElement} */ (one));
}

/** An element that the page is known to have. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}.`);
  return found;
}

/** A form field under its name. @param {string} label @param {Node} input */
export function field(label, input) {
  return make("label", { className: "field" }, make("span", { textContent: label }), input);
}

/** @param {any} node @param {Record<string, any>} properties @param {any[]} children */
function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "on") listen(node, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "list") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter(isPresent));
  return node;
}

/** @param {Element} node @param {Record<string, any>} listeners */
function listen(node, listeners) {
  for (const [kind, listener] of Object.entries(listeners)) node.addEventListener(kind, listener);
}

/** @param {Node | string | null | undefined | false} child @returns {child is Node | string} */
function isPresent(child) {
  return child !== null && child !== undefined && child !== false;
}
