// The service's words, colours and windows (GET /v1/vocabulary): loaded once, before any view is made.

import { getJson } from "./api.js";

/** @type {VocabularyOut | null} */
let known = null;

/** Loads the vocabulary; rejects where the service does not answer. */
export async function loadVocabulary() {
  useVocabulary(await getJson("v1/vocabulary"));
}

/** Sets the vocabulary. @param {VocabularyOut} words */
export function useVocabulary(words) {
  known = words;
}

/** The whole of it; no view is made before it is there. */
export function vocabulary() {
  if (known === null) throw new Error("The vocabulary is not loaded yet.");
  return known;
}

/** Lesion types in DeepLesion's order. */
export function lesionTypes() {
  return Object.keys(vocabulary().lesion_types);
}

/** The colour of a type, the same in all views. @param {string} type */
export function typeColour(type) {
  const types = vocabulary().lesion_types;
  return (types[type] ?? types.unknown).colour;
}

/** The words for what became of a lesion. @param {string} state */
export function stateWords(state) {
  return vocabulary().follow_up_states[state] ?? { label: state, meaning: "", tone: "unknown" };
}

/** The words for how two lesions are linked. @param {string} state */
export function linkWords(state) {
  return vocabulary().link_states[state] ?? { label: state, meaning: "", tone: "unknown" };
}

/** A colour for words and thin lines: on a light page a darker one of its hue. @param {string} colour */
export function ink(colour) {
  return `color-mix(in oklab, ${colour} var(--ink), black)`;
}

/** The colour of a tone. @param {string} tone */
export function toneColour(tone) {
  return vocabulary().tones[tone]?.colour ?? vocabulary().tones.unknown.colour;
}
