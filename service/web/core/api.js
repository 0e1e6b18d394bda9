// Everything asked of the service. Errors are one class with a sentence that says what to do.

const KEY_NAME = "lesion-search-key";
/** @type {(refused: boolean) => Promise<string | null>} */
let askForKey = async () => null;
/** @type {Promise<string | null> | null} */
let asking = null;

/** An answer that is no success, with the service's own words (RFC 9457 `detail`). */
export class ServiceError extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Names the dialog that asks for a key; it resolves to the key, or null if none is given.
 * @param {(refused: boolean) => Promise<string | null>} dialog
 */
export function onKeyWanted(dialog) {
  askForKey = dialog;
}

/** Whether a key was given: pictures then have to be fetched by hand. */
export function hasKey() {
  return presentKey() !== null;
}

/** The JSON behind a path of the service. @param {string} path */
export async function getJson(path, /** @type {{ signal?: AbortSignal }} */ { signal } = {}) {
  return (await request(path, { signal })).json();
}

/** Sends JSON, answers JSON. @param {string} path @param {unknown} body */
export async function postJson(path, body, /** @type {{ signal?: AbortSignal }} */ { signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body), signal })).json();
}

/** Puts JSON in the place of what is there, answers JSON. @param {string} path @param {unknown} body */
export async function putJson(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "PUT", headers, body: JSON.stringify(body) })).json();
}

/** Ends or takes away what is behind a path; answers JSON. @param {string} path */
export async function deleteJson(path) {
  return (await request(path, { method: "DELETE" })).json();
}

/** Sends fields as a form; those that are null or empty are left out. @param {string} path @param {Record<string, any>} fields */
export async function postForm(path, fields, /** @type {{ signal?: AbortSignal }} */ { signal } = {}) {
  return (await request(path, { method: "POST", body: formOf(fields), signal })).json();
}

/** A file of the service, as its answer. @param {string} path @param {Record<string, any> | null} [fields] of a form that is sent */
export function getFile(path, fields = null) {
  return request(path, fields === null ? {} : { method: "POST", body: formOf(fields) });
}

/** One slice as Hounsfield units: little-endian 16-bit, rows x columns. @param {string} path */
export async function getSlice(path) {
  const answer = await request(path);
  const bytes = await answer.arrayBuffer();
  const rows = Number(answer.headers.get("X-Rows"));
  const columns = Number(answer.headers.get("X-Columns"));
  if (bytes.byteLength !== 2 * rows * columns) {
    throw new ServiceError("A slice arrived incomplete: load it again.", 0);
  }
  return new Int16Array(bytes);
}

/**
 * Sends files; `onProgress` hears how much has left, as a share in [0, 1], `signal` aborts.
 * @param {string} path @param {File[]} files @param {Record<string, any>} fields @param {{ onProgress: (share: number) => void, signal: AbortSignal }} options
 */
export async function sendFiles(path, files, fields, { onProgress, signal }) {
  const form = formOf(fields);
  for (const file of files) form.append(files.length > 1 ? "files" : "file", file, file.webkitRelativePath || file.name);
  for (;;) {
    const used = presentKey();
    const answer = await sendOnce(path, form, { onProgress, signal });
    if (answer.status === 401 && (await renewKey(used))) continue;
    const document = parse(answer.responseText);
    if (answer.status >= 200 && answer.status < 300) return document;
    throw refusal(answer.status, document);
  }
}

/**
 * Puts a picture of the service into an img; with a key it has to be fetched by hand.
 * @param {HTMLImageElement} image @param {string} path
 */
export async function showPicture(image, path) {
  image.addEventListener("error", () => tellMissing(image), { once: true });
  if (!hasKey()) {
    image.src = path;
    return;
  }
  try {
    const address = URL.createObjectURL(await (await request(path)).blob());
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
  } catch {
    tellMissing(image);
  }
}

/** A picture of the service, to be drawn. @param {string} path */
export async function getPicture(path) {
  return createImageBitmap(await (await request(path)).blob());
}

/** A picture that is gone says so instead of staying black. @param {HTMLImageElement} image */
function tellMissing(image) {
  const words = document.createElement("span");
  words.className = "no-image";
  words.textContent = "image not found";
  words.title = image.alt;
  image.replaceWith(words);
}

/** The path of one lesion's resource. @param {string} lesionId */
export function lesionPath(lesionId, rest = "") {
  return `v1/lesions/${encodeURIComponent(lesionId)}${rest}`;
}

/** @param {string} path @param {RequestInit} [options] */
async function request(path, options = {}) {
  for (;;) {
    const used = presentKey();
    const answer = await fetchOnce(path, options);
    if (answer.ok) return answer;
    const words = await answer.text();
    if (answer.status === 401 && (await renewKey(used))) continue;
    throw refusal(answer.status, parse(words));
  }
}

/** @param {string} path @param {RequestInit} options */
async function fetchOnce(path, options) {
  try {
    return await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
}

/** @param {string} path @param {FormData} form @param {{ onProgress: (share: number) => void, signal: AbortSignal }} options */
function sendOnce(path, form, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", path);
    for (const [name, value] of Object.entries(authorization())) sending.setRequestHeader(name, value);
    sending.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    sending.addEventListener("load", () => resolve(sending));
    sending.addEventListener("abort", () => reject(new DOMException("The upload was given up.", "AbortError")));
    signal.addEventListener("abort", () => sending.abort(), { once: true });
    sending.addEventListener("error", () => reject(unreachable()));
    if (signal.aborted) reject(new DOMException("The upload was given up.", "AbortError"));
    else sending.send(form);
  });
}

// Several requests may be refused at once: one dialog serves them all, and a request that was sent
// before its key came is only sent again.
/** @param {string | null} used */
async function renewKey(used) {
  if (presentKey() !== used) return true;
  asking ??= askForKey(hasKey()).finally(() => { asking = null; });
  const key = await asking;
  if (key === null) return false;
  sessionStorage.setItem(KEY_NAME, key);
  return true;
}

function presentKey() {
  return sessionStorage.getItem(KEY_NAME);
}

/** @returns {Record<string, string>} */
function authorization() {
  const key = presentKey();
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/** @param {Record<string, any>} fields */
function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined && value !== "") form.append(name, value);
  }
  return form;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** @param {number} status @param {any} document */
function refusal(status, document) {
  /** @type {Record<number, string>} */
  const words = {
    401: "The service wants an API key: reload the page to enter one.",
    429: "Too many requests in a short time: wait a moment and try again.",
  };
  const detail = document.detail ?? words[status] ?? `The service answered with status ${status}.`;
  return new ServiceError(sentence(detail), status);
}

function unreachable() {
  return new ServiceError(
    "The service cannot be reached. Check that it still runs (lesion-search serve) and try again.", 0,
  );
}

/** What to tell of whatever went wrong. @param {unknown} error */
export function messageOf(error) {
  const words = error instanceof Error ? error.message : String(error);
  return words.replace(HINT_FOR_PROGRAMS, ".");
}

/** Where a program would ask next: a reader of the page has lists for that. */
const HINT_FOR_PROGRAMS = /: GET \/v1\/\S+ lists .*$/;

/** Words of the service as a sentence. @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
