// The URL's hash is the state of the page, `#/search?lesion=...&type=liver`: a view can be shared.

/**
 * @typedef {Record<string, string>} Params what a view keeps in the URL
 * @typedef {{ view: string, params: Params }} Route
 */

const VIEWS = ["search", "patient", "categories", "map", "mined"];
/** @type {((route: Route) => void)[]} */
const listeners = [];

/** The view of the URL and its parameters as an object of strings. */
export function readRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const view = VIEWS.includes(path) ? path : "search";
  return { view, params: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a view, for links. @param {string} view */
export function address(view, params = {}) {
  const present = Object.entries(params).filter(([, value]) => isSet(value));
  const query = new URLSearchParams(present).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

/** Goes to a view; the browser's back button leads here again, unless this state is replaced. @param {string} view */
export function go(view, params = {}, { replace = false } = {}) {
  const target = address(view, params);
  if (target !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", target);
  announce();
}

/** Changes some parameters of the present view; null takes one away. @param {Record<string, any>} patch */
export function change(patch, { replace = false } = {}) {
  const { view, params } = readRoute();
  const target = address(view, { ...params, ...patch });
  if (target !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", target);
  announce();
}

/** Keeps a detail, as the window, in the URL without showing the view again. @param {Record<string, any>} patch */
export function keep(patch) {
  const { view, params } = readRoute();
  history.replaceState(null, "", address(view, { ...params, ...patch }));
}

/** Calls the listener now and whenever the URL's state changes. @param {(route: Route) => void} listener */
export function onRoute(listener) {
  listeners.push(listener);
  listener(readRoute());
}

addEventListener("popstate", announce);

function announce() {
  const route = readRoute();
  for (const listener of listeners) listener(route);
}

/** @param {unknown} value */
function isSet(value) {
  return value !== null && value !== undefined && value !== "";
}
