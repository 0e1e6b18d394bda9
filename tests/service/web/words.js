// The service's vocabulary for the tests: the example that stands in the OpenAPI document.

import { readFileSync } from "node:fs";

import { useCapabilities } from "../../../service/web/core/capabilities.js";
import { useVocabulary } from "../../../service/web/core/vocabulary.js";

/** Sets what the service can do, as its example says or otherwise. */
export function useAbilities(changes = {}) {
  const document = JSON.parse(readFileSync(new URL("../http/openapi.json", import.meta.url), "utf8"));
  useCapabilities({ ...document.components.schemas.CapabilitiesOut.examples[0], ...changes });
}

/** Sets the vocabulary as the service answers it. */
export function useWords() {
  const document = JSON.parse(readFileSync(new URL("../http/openapi.json", import.meta.url), "utf8"));
  useVocabulary(document.components.schemas.VocabularyOut.examples[0]);
}
