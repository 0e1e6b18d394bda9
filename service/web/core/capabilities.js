// What this service can do (GET /v1/capabilities): the page offers nothing else. Loaded before any view is made.

import { ServiceError, getJson } from "./api.js";

const POLL_MS = 700;
/** @type {CapabilitiesOut | null} */
let known = null;

/** Loads them; while the service still opens its index `onWait` is told so and they are asked for again. @param {() => void} onWait */
export async function loadCapabilities(onWait) {
  for (;;) {
    try {
      useCapabilities(await getJson("v1/capabilities"));
      return;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== 503) throw error;
      onWait();
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }
}

/** Sets them. @param {CapabilitiesOut} capabilities */
export function useCapabilities(capabilities) {
  known = capabilities;
}

/** All of them; no view is made before they are there. */
export function can() {
  if (known === null) throw new Error("What the service can do is not known yet.");
  return known;
}
