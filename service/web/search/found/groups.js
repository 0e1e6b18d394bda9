// Hits by patient: the best of each, the others behind "2 more", so that one patient does not fill the list.

/** @typedef {{ patient: string, head: HitOut, rest: HitOut[] }} HitGroup */

/** Groups in the order of their best hits. @param {HitOut[]} hits @returns {HitGroup[]} */
export function groupsOf(hits) {
  /** @type {Map<string, HitGroup>} */
  const groups = new Map();
  for (const hit of hits) {
    const { patient_id: patient } = hit.lesion;
    const group = groups.get(patient);
    if (group === undefined) groups.set(patient, { patient, head: hit, rest: [] });
    else group.rest.push(hit);
  }
  return [...groups.values()];
}

/** The hits that are seen: heads, and the rest of the opened patients. @param {HitGroup[]} groups @param {Set<string>} opened */
export function shownHits(groups, opened) {
  return groups.flatMap(({ patient, head, rest }) => (opened.has(patient) ? [head, ...rest] : [head]));
}
