// The case basket: lesions that a reader collects with notes, for as long as the tab lives.

const NAME = "lesion-search-basket";

/** @typedef {{ lesion: LesionOut, note: string, similarity: number | null, from: string }} BasketItem `from` is the query's lesion or file */

/** Events: `change`. */
class Basket extends EventTarget {
  /** @returns {BasketItem[]} */
  get items() {
    return JSON.parse(sessionStorage.getItem(NAME) ?? "[]");
  }

  /** @param {string} lesionId */
  has(lesionId) {
    return this.items.some(({ lesion }) => lesion.lesion_id === lesionId);
  }

  /** Puts a lesion in, or takes it out again; answers whether it is in now. @param {Omit<BasketItem, "note">} item */
  toggle(item) {
    const isIn = this.has(item.lesion.lesion_id);
    if (isIn) this.remove(item.lesion.lesion_id);
    else this.#keep([...this.items, { ...item, note: "" }]);
    return !isIn;
  }

  /** @param {string} lesionId */
  remove(lesionId) {
    this.#keep(this.items.filter(({ lesion }) => lesion.lesion_id !== lesionId));
  }

  /** @param {string} lesionId @param {string} note */
  write(lesionId, note) {
    this.#keep(this.items.map((item) => (item.lesion.lesion_id === lesionId ? { ...item, note } : item)));
  }

  clear() {
    this.#keep([]);
  }

  /** @param {BasketItem[]} items */
  #keep(items) {
    sessionStorage.setItem(NAME, JSON.stringify(items));
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** The one basket of the tab. */
export const basket = new Basket();
