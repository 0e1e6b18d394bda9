// Files that fall on the page, alone or in folders, and what to call them.

/**
 * Lets files be dropped anywhere on the page; elsewhere the browser would leave the page for them.
 * @param {(files: File[]) => void} onFiles
 */
export function acceptDrops(onFiles) {
  const root = document.documentElement;
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    root.classList.add("dropping");
  });
  root.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) root.classList.remove("dropping");
  });
  root.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    root.classList.remove("dropping");
    if (event.dataTransfer !== null) filesOf(event.dataTransfer).then(onFiles);
  });
}

/** The files of a drop, those within folders too; hidden ones (.DS_Store) are left out. @param {DataTransfer} transfer */
async function filesOf(transfer) {
  // Entries are gone once the event is over: they are taken before anything is waited for.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.filter((entry) => entry !== null).map((entry) => filesIn(entry)));
  return found.flat().filter(({ name }) => !name.startsWith("."));
}

/** @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function filesIn(entry) {
  if (entry.isFile) {
    return [await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const inside = [];
  for (;;) {
    // A reader gives at most a hundred entries at a time, and none when it is through.
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    inside.push(...some);
  }
  const found = await Promise.all(inside.map((one) => filesIn(one)));
  return found.flat();
}

/** By name, slice 9 before slice 10. @param {File[]} files */
export function inOrder(files) {
  return [...files].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** The files' own names: all of it for one, the first and the last of many. @param {File[]} files */
export function namesOf(files) {
  if (files.length === 1) return files[0].name;
  return `${files[0].name} … ${files[files.length - 1].name} (${files.length} files)`;
}
