// What leaves the page: files that the browser saves, and the link of the present view.

/** Saves text under a name. @param {string} name @param {string} text @param {string} type */
export function saveText(name, text, type) {
  save(name, new Blob([text], { type: `${type};charset=utf-8` }));
}

/** Saves a document as indented JSON. @param {string} name @param {unknown} document */
export function saveJson(name, document) {
  saveText(name, `${JSON.stringify(document, null, 1)}\n`, "application/json");
}

/** Saves a drawing as a PNG. @param {string} name @param {HTMLCanvasElement} canvas */
export async function savePicture(name, canvas) {
  /** @type {Blob | null} */
  const picture = await new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  if (picture === null) throw new Error("This browser gives no PNG of a drawing.");
  save(name, picture);
}

/** The link of the present view in the clipboard; answers what to tell the reader. */
export async function copyLink() {
  const told = location.hash.includes("upload=")
    ? "Link copied. It opens the image only in this tab: an upload is kept for a short time."
    : "Link copied.";
  try {
    await navigator.clipboard.writeText(location.href);
    return told;
  } catch {
    return `Copy the address of this page: ${location.href}`;
  }
}

/** A name without what file systems refuse. @param {...string} parts */
export function fileName(...parts) {
  return parts.join("_").replace(/[^\w.-]+/g, "-");
}

/** Saves a file of the service under the name it gives, else another. @param {Response} answer @param {string} otherwise */
export async function saveAnswer(answer, otherwise) {
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  save(named === null ? otherwise : named[1], await answer.blob());
}

/** @param {string} name @param {Blob} content */
function save(name, content) {
  const link = document.createElement("a");
  link.download = name;
  link.href = URL.createObjectURL(content);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
