// The tracks of a patient read for drawing: where each lesion stands, which links are drawn.

/** @typedef {CellOut & { column: number, lesions: LesionOut[] }} Cell */

/** The document of /v1/patients/{id}/tracks with places: a column a study, a row a track. */
export class TrackMarks {
  /** @param {TracksOut} document */
  constructor(document) {
    this.document = document;
    /** @type {Map<string, LesionOut>} */
    this.lesions = new Map();
    this.columns = new Map(document.studies.map(({ study_id: id }, column) => [id, column]));
    this.places = new Map();
    for (const [row, track] of document.tracks.entries()) {
      for (const lesion of track.lesions) {
        this.places.set(lesion.lesion_id, { row, column: this.columns.get(lesion.study_id) });
        this.lesions.set(lesion.lesion_id, lesion);
      }
    }
    this.targets = new Map(document.response.targets.map((target) => [target.track_id, target]));
    this.growth = new Map(document.response.growth.map((growth) => [growth.track_id, growth]));
    this.volumes = new Map(document.response.volumes.tracks.map((track) => [track.track_id, track]));
    this.responses = new Map(document.response.studies.map((study) => [study.study_id, study]));
  }

  /** Whether any track has a measured volume. */
  get hasVolumes() {
    return this.volumes.size > 0;
  }

  /** Whether any lesion was measured. */
  get isMeasured() {
    return [...this.lesions.values()].some(({ measured }) => measured !== null);
  }

  /** The link of two lesions, null if the matcher made none. @param {string} first @param {string} second */
  link(first, second) {
    return this.document.links.find(({ earlier, later }) => {
      return (earlier === first && later === second) || (earlier === second && later === first);
    }) ?? null;
  }

  /** The track that a lesion is of, null for none. @param {string} lesionId @returns {TrackOut | null} */
  trackOf(lesionId) {
    return this.document.tracks.find(({ lesions }) => lesions.some(({ lesion_id: id }) => id === lesionId)) ?? null;
  }

  /** The column of a lesion's study. @param {LesionOut} lesion */
  columnOf(lesion) {
    return this.columns.get(lesion.study_id) ?? 0;
  }

  /** The cells of a track with their lesions and columns; the service has decided word and tone. */
  cells(/** @type {TrackOut} */ track) {
    const row = this.document.timeline.rows.find(({ track_id: id }) => id === track.track_id);
    return (row?.cells ?? []).map((cell, column) => ({
      ...cell, column, lesions: cell.lesion_ids.flatMap((id) => this.lesions.get(id) ?? []),
    }));
  }

  /** Lines to draw, each with the tone that gives it its colour. @returns {LineOut[]} */
  drawnLines() {
    const { rows, joins } = this.document.timeline;
    const near = joins.filter(({ earlier, later }) => this.places.get(later).column - this.places.get(earlier).column === 1);
    return [...rows.flatMap(({ lines }) => lines), ...near];
  }
}

/** Days between two dates, null where one is missing. @param {string | null} before @param {string | null} after */
export function daysBetween(before, after) {
  if (!before || !after) return null;
  return Math.round((Date.parse(after) - Date.parse(before)) / 86_400_000);
}
