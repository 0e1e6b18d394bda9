// Whose image the query is: what its files say, what the reader says, and where the two differ.

/** @type {Record<string, string>} */
const SOURCES = { dicom: "the DICOM header", file_name: "the file name" };

/** Patient and study of an upload's facts, as fields of the URL; null for what its files do not say. @param {UploadOut | null} facts */
export function fieldsOf(facts) {
  return { patient: facts?.identity?.patient_id ?? null, study: facts?.identity?.study_id ?? null };
}

/** Where an identity was read, in words. @param {IdentityOut} identity */
export function sourceOf(identity) {
  return SOURCES[identity.source] ?? identity.source;
}

/** What stands in the corner of an upload, a line each: what its files say; else what the reader says, as the reader's word. @param {UploadOut & { name: string }} facts @param {string | undefined} stated the patient of the query */
export function whoseLines({ identity, name }, stated) {
  if (!identity?.patient_id && stated) return [`patient ${stated} (reader's word)`, identity?.study_date ?? "", identity?.series_name ?? name].filter(Boolean);
  if (!identity) return [name];
  const { patient_id: patient, study_date: date, study_id: study, series_name: series } = identity;
  const known = [patient ? `patient ${patient}` : "patient not known", date ?? (study && study.length < 20 ? `study ${study}` : ""), series ?? ""];
  return known.filter(Boolean);
}

/** What an upload's files say of its patient, and what the index has of them, in a sentence. @param {IdentityOut | null} identity @param {string | undefined} stated the patient of the query */
export function sayingOf(identity, stated) {
  if (!identity?.patient_id && stated) return `The files do not say whose image it is: patient ${stated} is your word for it. Priors and follow-ups rest on that.`;
  if (!identity?.patient_id) return "With the patient, priors and follow-ups are looked for and the patient is left out of the hits.";
  const said = sourceOf(identity);
  const count = identity.indexed_lesions;
  const indexed = count === 0 ? "none of their lesions is" : count === 1 ? "1 of their lesions is" : `${count} of their lesions are`;
  return `${said.charAt(0).toUpperCase()}${said.slice(1)} says patient ${identity.patient_id}; ${indexed} indexed.`;
}

/**
 * A sentence where the URL names another patient or study than the image's own files; else null.
 * @param {UploadOut | null} facts @param {Record<string, string>} fields
 */
export function conflictOf(facts, { patient, study }) {
  const identity = facts?.identity ?? null;
  if (identity === null) return null;
  if (patient && identity.patient_id && patient !== identity.patient_id) {
    return `Another patient: ${sourceOf(identity)} says ${identity.patient_id}, the query says ${patient}.`;
  }
  if (study && identity.study_id && study !== identity.study_id) {
    return `Another study: ${sourceOf(identity)} says ${identity.study_id}, the query says ${study}.`;
  }
  return null;
}

/**
 * The patient to search as. The service refuses a patient whom its index does not have: where only
 * the file names such a one, nobody's lesions have to be left out.
 * @param {UploadOut | null} facts @param {string | undefined} patient
 */
export function searchedPatient(facts, patient) {
  const identity = facts?.identity ?? null;
  const isStranger = identity !== null && patient === identity.patient_id && identity.indexed_lesions === 0;
  return isStranger ? null : patient ?? null;
}

/**
 * What to say above hits of which it is not sure that they are of other patients; null if it is.
 * @param {Record<string, string>} params @param {UploadOut | null} facts @param {SearchOut} result
 */
export function doubtOf(params, facts, result) {
  const isImage = facts !== null || Boolean(params.upload);
  if (!isImage || ("words" in result && result.box === null)) return null;
  if (result.recognised !== null || params.lesion || searchedPatient(facts, params.patient)) return null;
  if (params.patient) return `The index has no lesion of patient ${params.patient} under this id: there is nothing to follow.`;
  return "It is not known whose image this is: the same patient may be among these. Name the patient to have priors and follow-ups.";
}
