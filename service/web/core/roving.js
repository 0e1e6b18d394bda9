// One stop of the Tab key for a list: within it the arrows lead (WAI-ARIA, roving tabindex).

/** @type {Record<string, (place: number, count: number) => number>} */
const STEPS = {
  Home: () => 0,
  End: (_, count) => count - 1,
};
/** @type {Record<string, number>} */
const FORWARD = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 };

/**
 * Makes the items of a container one Tab stop; what is pressed, or was focused last, is that stop. `none` is for
 * items that the view's own keys lead through.
 * @param {HTMLElement} container @param {string} selector of its items @param {{ keys?: "vertical" | "horizontal" | "both" | "none" }} [how]
 */
export function rove(container, selector, { keys = "both" } = {}) {
  const items = () => /** @type {HTMLElement[]} */ ([...container.querySelectorAll(selector)])
    .filter((one) => one.closest("[hidden]") === null && !(one instanceof HTMLButtonElement && one.disabled));
  /** @type {HTMLElement | null} */
  let stop = null;
  const settle = () => {
    const all = items();
    if (stop === null || !all.includes(stop)) {
      stop = all.find((one) => one.matches("[aria-selected=true], [aria-pressed=true]")) ?? all[0] ?? null;
    }
    for (const one of all) {
      const wanted = one === stop ? 0 : -1;
      if (one.tabIndex !== wanted) one.tabIndex = wanted;
    }
  };
  container.addEventListener("focusin", ({ target }) => {
    const item = target instanceof Element ? target.closest(selector) : null;
    if (item instanceof HTMLElement) stop = item;
    settle();
  });
  container.addEventListener("keydown", (event) => {
    const all = items();
    const place = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (keys === "none" || place === -1 || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = event.key in STEPS ? STEPS[event.key](place, all.length) : place + stepOf(event.key, keys);
    if (next === place && !(event.key in STEPS)) return;
    event.preventDefault();
    event.stopPropagation();
    all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
  });
  new MutationObserver(settle).observe(container, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden", "disabled", "aria-selected", "aria-pressed"] });
  settle();
}

/** @param {string} key @param {"vertical" | "horizontal" | "both" | "none"} keys */
function stepOf(key, keys) {
  const isAcross = key === "ArrowLeft" || key === "ArrowRight";
  if (keys === "none" || keys === (isAcross ? "vertical" : "horizontal")) return 0;
  return FORWARD[key] ?? 0;
}
