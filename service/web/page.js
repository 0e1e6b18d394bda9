// The page: its views, one of them shown, all of their state in the URL.

import { getJson, messageOf, onKeyWanted } from "./core/api.js";
import { can, loadCapabilities } from "./core/capabilities.js";
import { categories, loadCategories } from "./core/categories.js";
import { showBasket } from "./core/basket/dialog.js";
import { basket } from "./core/basket/store.js";
import { all, byId } from "./core/dom.js";
import { askForKey } from "./core/key_dialog.js";
import { showHelp, useKeys } from "./core/keyboard.js";
import { plural } from "./core/lesion_facts.js";
import { address, go, onRoute, readRoute } from "./core/route.js";
import { showSettings, useLook } from "./core/settings.js";
import { errorState, loadingState } from "./core/states.js";
import { loadVocabulary } from "./core/vocabulary.js";
import { CategoriesView } from "./categories/view.js";
import { MapView } from "./map/view.js";
import { MiningView } from "./mining/view.js";
import { PatientView } from "./patient/view.js";
import { linkedTarget } from "./search/archive/asking.js";
import { acceptDrops } from "./search/dropped_files.js";
import { SearchView } from "./search/view.js";

/** @typedef {import("./core/route.js").Route} Route */

/** @type {Record<string, { title: string, make: () => SearchView | PatientView | CategoriesView | MapView | MiningView }>} */
const VIEWS = {
  search: { title: "Search", make: () => new SearchView() },
  patient: { title: "Patient", make: () => new PatientView() },
  categories: { title: "Categories", make: () => new CategoriesView() },
  map: { title: "Map", make: () => new MapView() },
  mined: { title: "Mined marks", make: () => new MiningView() },
};

const views = new Map();
const links = all(document, "nav a").map((link) => /** @type {HTMLAnchorElement} */ (link));
/** @type {Record<string, Record<string, string>>} */
const lastParams = {};

/** @param {Route} options */
function showRoute({ view: name, params }) {
  if (!views.has(name)) {
    const view = VIEWS[name].make();
    views.set(name, view);
    byId("views").append(view.element);
  }
  for (const [other, view] of views) view.element.hidden = other !== name;
  // A view's own link leads back to where the reader left it.
  lastParams[name] = params;
  for (const link of links) {
    const view = link.dataset.view ?? "";
    link.href = address(view, view === name ? {} : lastParams[view]);
    if (view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[name].title} · Lesion Search`;
  useKeys(VIEWS[name].title, views.get(name).keys());
  views.get(name).show(params);
}

async function showFacts() {
  const facts = byId("index-facts");
  try {
    const { lesions } = await getJson("readyz");
    facts.textContent = `${plural(lesions, "lesion")} indexed`;
  } catch (error) {
    facts.textContent = messageOf(error);
  }
}

/** How many lesions are in the basket. */
function showCollected() {
  const count = byId("basket-count");
  count.textContent = String(basket.items.length);
  count.hidden = basket.items.length === 0;
}

/** Makes the page once its words are there; until then it says why there is nothing to see. */
async function start() {
  const home = byId("views");
  try {
    await loadVocabulary();
    await loadCapabilities(() => home.replaceChildren(loadingState("The service opens its index")));
    await loadCategories();
  } catch (error) {
    home.replaceChildren(errorState(error, start));
    return;
  }
  home.replaceChildren();
  for (const link of links) {
    if (link.dataset.view === "mined") link.hidden = can().mine.length === 0;
    if (link.dataset.view === "categories") link.hidden = categories().length === 0;
  }
  onRoute(showRoute);
  acceptDrops((files) => {
    if (readRoute().view !== "search") go("search");
    views.get("search").take(files);
  });
  showFacts();
  openLink();
}

/** A link of a viewer or a PACS names a study (`?study=UID&series=UID`): it is opened once, and leaves the address. */
function openLink() {
  const target = linkedTarget(location.search);
  if (target === null) return;
  history.replaceState(null, "", location.pathname);
  go("search");
  views.get("search").takeLink(target);
}

useLook();
onKeyWanted(askForKey);
byId("keys").addEventListener("click", showHelp);
byId("look").addEventListener("click", showSettings);
byId("skip").addEventListener("click", () => all(document, "main").find((one) => !one.hidden)?.focus());
byId("basket").addEventListener("click", showBasket);
basket.addEventListener("change", showCollected);
showCollected();
start();
