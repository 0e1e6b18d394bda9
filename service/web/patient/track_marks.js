// The tracks of a patient read for drawing: where each lesion stands, which links are drawn.

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
    this.responses = new Map(document.response.studies.map((study) => [study.study_id, study]));
  }

  /** The link of two lesions, null if the matcher made none. */
  link(first, second) {
    return this.document.links.find(({ earlier, later }) => {
      return (earlier === first && later === second) || (earlier === second && later === first);
    }) ?? null;
  }

  /** The column of a lesion's study. @param {LesionOut} lesion */
  columnOf(lesion) {
    return this.columns.get(lesion.study_id) ?? 0;
  }

  /** The lesions of a track by column, the largest first. */
  byColumn(track) {
    const cells = new Map();
    for (const lesion of track.lesions) {
      const column = this.columns.get(lesion.study_id);
      cells.set(column, [...(cells.get(column) ?? []), lesion]);
    }
    for (const lesions of cells.values()) lesions.sort((a, b) => (b.long_mm ?? 0) - (a.long_mm ?? 0));
    return new Map([...cells].sort(([a], [b]) => a - b));
  }

  /** Links to draw: between neighbours of a track, and between tracks where one was in doubt or joined. */
  drawnLinks() {
    const neighbours = new Set();
    for (const track of this.document.tracks) {
      const cells = [...this.byColumn(track).values()];
      for (let place = 1; place < cells.length; place += 1) {
        neighbours.add(`${cells[place - 1][0].lesion_id} ${cells[place][0].lesion_id}`);
      }
    }
    return this.document.links.filter(({ earlier, later, state }) => {
      if (neighbours.has(`${earlier} ${later}`)) return true;
      const [from, to] = [this.places.get(earlier), this.places.get(later)];
      return from.row !== to.row && ["uncertain", "merged", "split"].includes(state) && to.column - from.column === 1;
    });
  }

  /** The word over a lesion: new, split, merged, uncertain, confirmed, or "" for an ordinary one. */
  stateOf(track, lesion, previous) {
    if (previous === null) {
      if (track.split_from !== null) return "split";
      return track.new_in === lesion.study_id ? "new" : "";
    }
    const arriving = this.document.links.filter(({ later }) => later === lesion.lesion_id);
    if (arriving.some(({ state }) => state === "merged")) return "merged";
    const link = this.link(previous.lesion_id, lesion.lesion_id);
    if (link === null || link.state === "uncertain") return "uncertain";
    return link.state === "confirmed" ? "confirmed" : "";
  }
}

/** Days between two dates, null where one is missing. */
export function daysBetween(before, after) {
  if (!before || !after) return null;
  return Math.round((Date.parse(after) - Date.parse(before)) / 86_400_000);
}
