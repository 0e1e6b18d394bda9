// Asks for an API key when the service wants one; the key stays in this tab's session.

import { make } from "./dom.js";

/** Resolves to the key, or null if the reader gives none; `refused` if the last one was wrong. @param {boolean} refused */
export function askForKey(refused) {
  const input = make("input", { type: "password", required: true, autocomplete: "off", name: "key" });
  const words = refused
    ? "The service refused this key. Enter another, or ask who runs the service."
    : "This service asks for an API key. It is kept in this tab until you close it.";
  const form = make(
    "form",
    { method: "dialog" },
    make("h2", { textContent: "API key" }),
    make("p", { textContent: words }),
    make("label", { className: "field" }, make("span", { textContent: "Key" }), input),
    make(
      "div",
      { className: "actions" },
      make("button", { value: "", formNoValidate: true, textContent: "Cancel", className: "plain" }),
      make("button", { value: "use", textContent: "Use this key", className: "primary" }),
    ),
  );
  const dialog = make("dialog", { className: "key-dialog", "aria-label": "API key" }, form);
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "use" ? input.value.trim() : null);
    });
  });
}
