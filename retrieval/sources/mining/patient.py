"""PatientMiner: all marks of one patient -> slices and rows of the archive, and a verdict each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from retrieval.lesion import Box, LesionSearchError, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.coding import LOCATION_ERRORS
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.verdicts import JudgedMark, Refusal, Verdict
from retrieval.sources.mining.duplicates import DistinctMarks, without_duplicates
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.links import linked_tracks
from retrieval.sources.mining.numbers import SeriesKey, SeriesPlace, key_of, numbered, split_of
from retrieval.sources.mining.planes import IndexedPlanes, SourceUnavailableError
from retrieval.sources.mining.proposing import proposed
from retrieval.sources.mining.rows import KeptMark, row_of, shows_air_alone
from retrieval.sources.mining.stacks import SliceStack, stacks_of
from retrieval.sources.mining.sub_volume import SubVolume, read_sub_volume, without_pixels
from retrieval.sources.mining.tools import PROPOSAL_SCORE, MiningOptions, MiningTools
from retrieval.sources.mining.verdict_line import (
    MarkSketch,
    MinedLesion,
    MinedPoint,
    Naming,
    line_of,
    refusal_line,
    sketch_of,
)


@dataclass
class _Outcome:
    """What is told of a mark in the end."""

    judged: JudgedMark
    lesion: MinedLesion | None = None


@dataclass(frozen=True)
class MinedPatient:
    """What came of a patient's marks.

    Attributes:
        lines: of ``mined.jsonl``.
        sketches: of the marks, by the source's own identifiers.
        kept: how many lesions reached the archive.
    """

    lines: list[str]
    sketches: list[MarkSketch]
    kept: int


class PatientMiner:
    """Mines patient after patient into one archive."""

    def __init__(self, tools: MiningTools, options: MiningOptions) -> None:
        self._tools = tools
        self._options = options
        self._planes = IndexedPlanes(tools.index, tools.source)

    def mine(self, patient: str, *, progress: ReportProgress | None = None) -> MinedPatient:
        """The patient's lines of ``mined.jsonl``, and how many lesions reached the archive.

        Its slices are written, its rows are handed to the writer, which finishes the patient.
        """
        found = self._tools.journal.marks_of(patient)
        marks = [one for one in found if isinstance(one, Mark)]
        refusals = [one for one in found if isinstance(one, Refusal)]
        told = self._tools.judge(marks, self._planes, self._options.judging)
        judged = [self._proposed(one) for one in told]
        distinct = without_duplicates(judged)
        outcomes = [_Outcome(one) for one in distinct.judged]
        kept = list(self._placed(outcomes))
        if kept:
            page = self._page(patient, kept)
            self._write(page, kept, progress)
            self._link(page, kept, distinct)
        return MinedPatient(
            [*self._lines(patient, outcomes, refusals)],
            [sketch_of(one.judged, one.lesion) for one in outcomes],
            sum(one.lesion is not None for one in outcomes),
        )

    def _proposed(self, judged: JudgedMark) -> JudgedMark:
        """Words that draw nothing with the detector's box, others as they are."""
        load = self._tools.proposer
        if judged.verdict is not Verdict.PROPOSAL_NEEDED or judged.plane is None:
            return judged
        header = self._planes.header(judged.plane.image)
        if load is None or not self._options.pixels or header is None:
            return judged
        stacks = self._stacks(header.image.series_uid) if header.is_slice else []
        if isinstance(stacks, str):
            return replace(judged, verdict=Verdict.UNREADABLE, words=stacks)
        stack = next((one for one in stacks if header.key in one.positions), None)
        if stack is None:
            words = "its image is none of the slices of its series"
            return replace(judged, verdict=Verdict.NOT_AXIAL_CT, words=words)
        proposer = load()
        if proposer is None:
            return judged
        return proposed(judged, (header, stack), proposer, self._tools.source.read)

    def _lines(
        self, patient: str, outcomes: Sequence[_Outcome], refusals: Iterable[Refusal]
    ) -> Iterator[str]:
        naming = self._tools.naming
        for one in outcomes:
            plane = one.judged.plane
            header = None if plane is None else self._planes.header(plane.image)
            point = None if header is None else self._point(patient, one.judged, header)
            yield line_of(one.judged, naming, header, one.lesion, point)
        for refusal in refusals:
            yield refusal_line(refusal, naming)

    def _point(self, patient: str, judged: JudgedMark, header: ImageHeader) -> MinedPoint | None:
        """Where an arrow or point is kept, as the archive counts; None for other marks."""
        if judged.verdict is not Verdict.KEPT_AS_POINT or judged.point is None:
            return None
        stacks = self._stacks(header.image.series_uid) if header.is_slice else []
        held = () if isinstance(stacks, str) else stacks
        stack = next((one for one in held if header.key in one.positions), None)
        if stack is None:
            return None
        journal, key = self._tools.journal, key_of(stack)
        series = None
        for place in journal.series_of(patient):
            if (place.study_uid, place.series_uid, place.part) == key:
                series = (journal.number_of(patient), place.study_number, place.series_number)
        position = stack.positions[header.key]
        box = without_pixels(stack, range(position, position + 1)).grid.to_display_box(
            Box.around(judged.point, 1.0)
        )
        return MinedPoint(series, stack.number_of(position), box.center)

    def _placed(self, outcomes: Sequence[_Outcome]) -> Iterator[tuple[_Outcome, KeptMark]]:
        """The kept marks on their slices; those whose series make no volume are refused."""
        stacks: dict[str, list[SliceStack] | str] = {}
        for outcome in outcomes:
            judged = outcome.judged
            if not judged.verdict.is_lesion or judged.plane is None:
                continue
            header = self._planes.header(judged.plane.image)
            if header is None or not header.is_slice:
                words = "its image lies nowhere in the patient: no position or orientation"
                outcome.judged = replace(judged, verdict=Verdict.NOT_AXIAL_CT, words=words)
                continue
            uid = header.image.series_uid
            if uid not in stacks:
                stacks[uid] = self._stacks(uid)
            found = stacks[uid]
            if isinstance(found, str):
                outcome.judged = replace(judged, verdict=Verdict.UNREADABLE, words=found)
                continue
            stack = next((one for one in found if header.key in one.positions), None)
            mark = None if stack is None else KeptMark.of(judged, header, stack)
            if mark is None:
                words = "its image is none of the slices of its series"
                outcome.judged = replace(judged, verdict=Verdict.NOT_AXIAL_CT, words=words)
            else:
                yield outcome, mark

    def _stacks(self, series_uid: str) -> list[SliceStack] | str:
        try:
            return stacks_of(self._tools.index.of_series(series_uid))
        except LesionSearchError as wrong:
            return str(wrong)

    def _page(self, patient: str, kept: list[tuple[_Outcome, KeptMark]]) -> _PatientPage:
        journal = self._tools.journal
        number = journal.number_of(patient)
        places = numbered((mark.stack for _, mark in kept), journal.series_of(patient))
        journal.set_series(patient, places.values())
        return _PatientPage(patient, number, places)

    def _link(
        self, page: _PatientPage, kept: list[tuple[_Outcome, KeptMark]], distinct: DistinctMarks
    ) -> None:
        """The tracks of the lesions that reached the archive, by their places in the body too."""
        there = [(one, one.lesion, mark) for one, mark in kept if one.lesion is not None]
        studies = {place.study_uid: place.study_number for place in page.places.values()}
        heights = {
            one.judged.mark.mark_id: lesion.location[2]
            for one, lesion, _ in there
            if lesion.location is not None
        }
        judged = [one.judged for one, _, _ in there]
        links = linked_tracks(judged, distinct.copies, studies, heights)
        for outcome, lesion, mark in there:
            mark_id = outcome.judged.mark.mark_id
            track = links.tracks.get(mark_id)
            track_id = f"{page.number:06d}_{track}" if track else ""
            if track_id:
                study = page.places[key_of(mark.stack)].study_number
                self._tools.writer.link(track_id, study, lesion.lesion_id)
            notes = (*filter(None, [links.dropped.get(mark_id)]), *lesion.notes)
            outcome.lesion = replace(lesion, track_id=track_id, notes=notes)

    def _write(
        self,
        page: _PatientPage,
        kept: list[tuple[_Outcome, KeptMark]],
        progress: ReportProgress | None,
    ) -> None:
        self._tools.writer.reopen(page.number)
        by_series: dict[SeriesKey, list[tuple[_Outcome, KeptMark]]] = {}
        for one in kept:
            by_series.setdefault(key_of(one[1].stack), []).append(one)
        for done, key in enumerate(sorted(by_series), start=1):
            self._write_series(page, key, by_series[key])
            if progress is not None:
                progress(done, len(by_series))

    def _write_series(
        self, page: _PatientPage, key: SeriesKey, kept: list[tuple[_Outcome, KeptMark]]
    ) -> None:
        stack = kept[0][1].stack
        for run, keys in stack.sub_volumes(mark.position for _, mark in kept):
            waiting = [one for one in kept if one[1].position in keys]
            while waiting:
                # Uneven slices end a volume: what lies beyond is read about its own key slice.
                first = waiting[0][1].position
                try:
                    volume = self._volume(stack, run, first)
                except SourceUnavailableError:
                    raise
                except LesionSearchError as wrong:
                    gone = [one for one in waiting if one[1].position == first]
                    for outcome, _ in gone:
                        outcome.judged = replace(
                            outcome.judged, verdict=Verdict.UNREADABLE, words=str(wrong)
                        )
                    waiting = [one for one in waiting if one[1].position != first]
                    continue
                inside = [one for one in waiting if one[1].position in volume.positions]
                waiting = [one for one in waiting if one[1].position not in volume.positions]
                self._write_volume(page, page.places[key], volume, inside)

    def _volume(self, stack: SliceStack, run: range, key: int) -> SubVolume:
        if not self._options.pixels:
            return without_pixels(stack, run)
        return read_sub_volume(stack, run, key, self._tools.source.read)

    def _write_volume(
        self,
        page: _PatientPage,
        place: SeriesPlace,
        volume: SubVolume,
        kept: list[tuple[_Outcome, KeptMark]],
    ) -> None:
        rows = 0
        for outcome, mark in kept:
            if shows_air_alone(mark, volume):
                words = "nothing but air lies in it: its axes may be swapped"
                outcome.judged = replace(outcome.judged, verdict=Verdict.NOT_A_LESION, words=words)
                continue
            try:
                outcome.lesion = self._add(page, place, volume, mark)
                rows += 1
            except LesionSearchError as wrong:
                outcome.judged = replace(
                    outcome.judged, verdict=Verdict.OFF_IMAGE, words=str(wrong)
                )
        if rows and volume.slab is not None:
            numbers = (page.number, place.study_number, place.series_number)
            first, _ = volume.slice_range
            self._tools.writer.write_slices(
                SeriesImages.of_slab(numbers, volume.slab.hu, first_slice=first)
            )

    def _add(
        self, page: _PatientPage, place: SeriesPlace, volume: SubVolume, mark: KeptMark
    ) -> MinedLesion:
        row = row_of(mark, volume, page.number, place, page.split(self._tools.naming))
        slab = volume.key_slab(mark.position)
        found = (
            None
            if slab is None or self._tools.locate is None
            else self._tools.locate(slab, row.box)
        )
        location, error = (None, None) if found is None else found
        row = replace(row, location=location)
        named = {} if error is None else dict(zip(LOCATION_ERRORS, error, strict=True))
        if mark.judged.proposal_score is not None:
            named[PROPOSAL_SCORE] = round(mark.judged.proposal_score, 4)
        lesion_id = self._tools.writer.add_row(row, None, named)
        notes = []
        if mark.is_made:
            notes.append("its diameters are those of a box: nobody measured it")
        return MinedLesion(
            lesion_id,
            row.key_slice,
            row.box.to_list(),
            location,
            error,
            notes=(*notes, *(() if slab is None else slab.notes)),
        )


@dataclass(frozen=True)
class _PatientPage:
    """A patient's numbers."""

    patient: str
    number: int
    places: dict[SeriesKey, SeriesPlace]

    def split(self, naming: Naming) -> Split:
        return split_of(naming.names.patient(self.patient))
