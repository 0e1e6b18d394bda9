// The service's vocabulary for the tests: the example that stands in the OpenAPI document.

import { readFileSync } from "node:fs";

import { useVocabulary } from "../../../service/web/core/vocabulary.js";

/** Sets the vocabulary as the service answers it. */
export function useWords() {
  const document = JSON.parse(readFileSync(new URL("../http/openapi.json", import.meta.url), "utf8"));
  useVocabulary(document.components.schemas.VocabularyOut.examples[0]);
}
