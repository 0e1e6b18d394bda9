// The search page. The URL holds the lesion searched for, so a view can be shared.

const element = (id) => document.getElementById(id);
const PAGE_SIZE = 50;
let nextAfter = null;

async function fetchJson(path, options) {
  const response = await fetch(path, options);
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(document.detail ?? `the service answered ${response.status}`);
  return document;
}

function millimetres(lesion) {
  if (lesion.long_mm === null) return "size unknown";
  const short = lesion.short_mm === null ? "" : ` × ${lesion.short_mm.toFixed(1)}`;
  return `${lesion.long_mm.toFixed(1)}${short} mm`;
}

function card(lesion, heading, details) {
  const article = element("card").content.cloneNode(true).firstElementChild;
  const image = article.querySelector("img");
  image.src = `v1/lesions/${encodeURIComponent(lesion.lesion_id)}/image.png`;
  image.alt = `${lesion.lesion_type} lesion of patient ${lesion.patient_id}`;
  article.querySelector("h3").textContent = heading;
  article.querySelector(".details").textContent = details.join("\n");
  article.querySelector("button").addEventListener("click", () => open(lesion.lesion_id));
  return article;
}

function hitCard(hit) {
  const lesion = hit.lesion;
  return card(lesion, `${hit.rank}   ${hit.similarity.toFixed(3)}`, [
    `${lesion.lesion_type} · ${millimetres(lesion)}`,
    `patient ${lesion.patient_id}`,
  ]);
}

function followUpCard(followUp) {
  const heading = `${followUp.study_id}   ${followUp.state}`;
  const article = followUp.lesion === null ? emptyCard(heading) : partnerCard(followUp, heading);
  const isSure = ["persistent", "merged", "split"].includes(followUp.state);
  article.classList.toggle("doubtful", !isSure);
  return article;
}

function partnerCard(followUp, heading) {
  const percent = followUp.change_pct;
  const change = percent === null ? "" : ` · ${percent > 0 ? "+" : ""}${percent.toFixed(0)} %`;
  return card(followUp.lesion, heading, [
    `${millimetres(followUp.lesion)}${change}`,
    `similarity ${followUp.similarity.toFixed(3)} · score ${followUp.score.toFixed(2)}`,
  ]);
}

function emptyCard(heading) {
  const article = element("card").content.cloneNode(true).firstElementChild;
  article.querySelector("button").remove();
  article.querySelector("h3").textContent = heading;
  article.querySelector(".details").textContent = "no partner marked in this study";
  return article;
}

function showMessage(text, isError = false) {
  const message = element("message");
  message.textContent = text;
  message.classList.toggle("error", isError);
  message.hidden = text === "";
}

function showResult(result, queryCard) {
  showMessage(result.hits.length === 0 ? "No similar lesion of another patient in this index." : "");
  element("query").hidden = queryCard === null;
  element("query-card").replaceChildren(...(queryCard === null ? [] : [queryCard]));
  element("similar").hidden = result.hits.length === 0;
  element("hits").replaceChildren(...result.hits.map(hitCard));
  element("same-patient").hidden = result.follow_ups.length === 0;
  element("follow-ups").replaceChildren(...result.follow_ups.map(followUpCard));
  const time = result.timing_ms;
  element("timing").textContent =
    `${time.total.toFixed(0)} ms: read ${time.read.toFixed(0)}, patch ${time.patch.toFixed(0)}, ` +
    `encode ${time.encode.toFixed(0)}, search ${time.search.toFixed(1)}`;
}

async function search(lesionId) {
  showMessage("Searching…");
  for (const row of document.querySelectorAll("#lesions button")) {
    row.setAttribute("aria-current", String(row.dataset.lesion === lesionId));
  }
  try {
    const path = `v1/lesions/${encodeURIComponent(lesionId)}`;
    const [lesion, result] = await Promise.all([fetchJson(path), fetchJson(`${path}/similar?k=12`)]);
    const details = [
      `${lesion.lesion_type} · ${millimetres(lesion)}`,
      `patient ${lesion.patient_id}`,
    ];
    showResult(result, card(lesion, lesion.study_id, details));
  } catch (error) {
    showMessage(error.message, true);
  }
}

function open(lesionId) {
  const url = new URL(location.href);
  url.searchParams.set("lesion", lesionId);
  history.pushState(null, "", url);
  search(lesionId);
  scrollTo({ top: 0, behavior: "smooth" });
}

function lesionRow(lesion) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = document.createElement("span");
  const size = document.createElement("small");
  name.textContent = `${lesion.patient_id} · ${lesion.lesion_type}`;
  size.textContent = millimetres(lesion);
  button.type = "button";
  button.title = lesion.lesion_id;
  button.dataset.lesion = lesion.lesion_id;
  button.append(name, size);
  button.addEventListener("click", () => open(lesion.lesion_id));
  item.append(button);
  return item;
}

async function listLesions(restart) {
  const query = new URLSearchParams({ limit: PAGE_SIZE });
  const where = element("pick-form").elements.where.value.trim();
  if (where) query.set("where", where);
  if (!restart && nextAfter) query.set("after", nextAfter);
  try {
    const page = await fetchJson(`v1/lesions?${query}`);
    const rows = page.lesions.map(lesionRow);
    if (restart) element("lesions").replaceChildren(...rows);
    else element("lesions").append(...rows);
    nextAfter = page.next_after;
    element("more").hidden = nextAfter === null;
    if (restart && rows.length === 0) showMessage("No indexed lesion fits this filter.");
  } catch (error) {
    showMessage(error.message, true);
  }
}

async function searchUpload(event) {
  event.preventDefault();
  const fields = new FormData(event.target);
  const files = fields.getAll("file");
  fields.delete("file");
  for (const file of files) fields.append(files.length > 1 ? "files" : "file", file);
  for (const [name, value] of [...fields]) if (value === "") fields.delete(name);
  showMessage("Searching…");
  try {
    showResult(await fetchJson("v1/search", { method: "POST", body: fields }), null);
  } catch (error) {
    showMessage(error.message, true);
  }
}

function showFromUrl() {
  const lesionId = new URL(location.href).searchParams.get("lesion");
  if (lesionId) search(lesionId);
}

element("pick-form").addEventListener("submit", (event) => {
  event.preventDefault();
  listLesions(true);
});
element("more").addEventListener("click", () => listLesions(false));
element("upload-form").addEventListener("submit", searchUpload);
addEventListener("popstate", showFromUrl);

fetchJson("readyz")
  .then((health) => { element("index-facts").textContent = `${health.lesions} lesions`; })
  .catch((error) => showMessage(error.message, true));
listLesions(true);
showFromUrl();
