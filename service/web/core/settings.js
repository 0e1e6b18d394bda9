// How a reader wants to see the page: theme and size of the text; kept in this browser, nothing of a patient.

import { button, make } from "./dom.js";

const NAME = "lesion-search-look";
const THEMES = { dark: "Dark", light: "Light", system: "As the system" };
/** Root sizes in px: at the second no text is smaller than 14 px. */
const SIZES = { 16: "Standard", 20: "Large", 24: "Larger" };

/** @typedef {{ theme: string, size: string }} Look */

/** @returns {Look} */
function look() {
  const kept = JSON.parse(localStorage.getItem(NAME) ?? "{}");
  return { theme: kept.theme in THEMES ? kept.theme : "dark", size: kept.size in SIZES ? kept.size : "16" };
}

/** Puts the chosen look on the page. */
export function useLook() {
  const { theme, size } = look();
  const isLight = theme === "light" || (theme === "system" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = isLight ? "light" : "dark";
  document.documentElement.style.setProperty("font-size", `${size}px`);
}

/** Opens the choice. */
export function showSettings() {
  if (document.querySelector("dialog[open]")) return;
  const close = make("button", { textContent: "Close", className: "plain", value: "" });
  const form = make(
    "form", { method: "dialog" },
    make("h2", { textContent: "Look" }),
    choice("Theme", "theme", THEMES),
    choice("Text", "size", SIZES),
    make("div", { className: "actions" }, close),
  );
  const dialog = make("dialog", { className: "settings", "aria-label": "Look" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
}

/** Buttons of which one holds. @param {string} words @param {"theme" | "size"} field @param {Record<string, string>} options */
function choice(words, field, options) {
  const group = make("div", { className: "group segmented", role: "group", "aria-label": words });
  const draw = () => {
    for (const one of group.children) one.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (one).dataset.value === look()[field]));
  };
  for (const [value, label] of Object.entries(options)) {
    group.append(button(label, {
      className: "preset", dataset: { value },
      run: () => {
        localStorage.setItem(NAME, JSON.stringify({ ...look(), [field]: value }));
        useLook();
        draw();
      },
    }));
  }
  draw();
  return make("div", { className: "field" }, make("span", { textContent: words }), group);
}

matchMedia("(prefers-color-scheme: light)").addEventListener("change", useLook);
