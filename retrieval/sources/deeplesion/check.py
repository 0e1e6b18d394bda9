"""check_archive: what is in an archive in DeepLesion's layout, and what is wrong with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from retrieval.lesion import LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive_report import ArchiveReport
from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.deeplesion.row import TableRow
from retrieval.sources.row_problem import ProblemReason, RowError, RowProblem


def check_archive(
    root: Path | str, *, read_images: bool = True, progress: ReportProgress | None = None
) -> ArchiveReport:
    """Checks every row of an archive, and every slice of its sub-volumes that is on disk.

    A bad row never stops the rest. A neighbour slice that is not on disk is no problem (many
    archives hold key slices only) but counted: ``slices_expected`` against ``slices_found``. A
    neighbour that is damaged is one, reported at the first row whose sub-volume holds it.

    Args:
        root: the archive's folder, or a table alone, of which only the rows are checked.
        read_images: decode each slice; otherwise files are only looked for.
        progress: called as slices are checked.

    Raises:
        ArchiveError: there is no table, or it is not in DeepLesion's layout.
    """
    root = Path(root)
    archive = DeepLesionArchive.open(root)
    has_images = not root.is_file() or archive.layout.folder.is_dir()
    slices = _SliceCheck(archive, decode=read_images and has_images, look=has_images)
    in_table = [p for p in archive.problems if p.file_name not in _OPTIONAL_TABLES]
    beside = [p for p in archive.problems if p.file_name in _OPTIONAL_TABLES]
    of_images = slices.run(progress)
    key_files = {row.line: row.file_name for row in archive.rows}
    bad_lines = {p.line for p in of_images if p.file_name == key_files[p.line]}
    lesions = archive.lesions
    splits: dict[str, set[str]] = {}
    for lesion in lesions:
        splits.setdefault(lesion.patient_id, set()).add(lesion.split.value)
    return ArchiveReport(
        archive=str(root),
        rows=len(archive.rows) + len(in_table),
        sound_rows=len(archive.rows) - len(bad_lines),
        patients=len(splits),
        studies=len({lesion.study_id for lesion in lesions}),
        series=len({lesion.series_id for lesion in lesions}),
        lesions_per_split=_count((lesion.split.value for lesion in lesions), Split),
        patients_per_split=_count((name for names in splits.values() for name in names), Split),
        lesions_per_type=_count((lesion.lesion_type.value for lesion in lesions), LesionType),
        lesions_per_patient=dict(sorted(Counter(x.patient_id for x in lesions).items())),
        key_slices=len({row.file_name for row in archive.rows}),
        slices_expected=len(slices.first_row),
        slices_found=len(slices.found),
        missing_values=_missing_values(archive.rows),
        patients_in_several_splits=sorted(p for p, names in splits.items() if len(names) > 1),
        lesions_on_tracks=len(archive.track_ids),
        tracks=len(set(archive.track_ids.values())),
        attribute_names=sorted({name for v in archive.attributes.values() for name in v}),
        images_read=slices.decode,
        problems=(*sorted((*in_table, *of_images), key=lambda p: p.line), *beside),
        notes=tuple(archive.notes),
    )


_OPTIONAL_TABLES = (coding.TRACKS_NAME, coding.ATTRIBUTES_NAME)


class _SliceCheck:
    """Looks for, and decodes, each slice that the sound rows name."""

    def __init__(self, archive: DeepLesionArchive, *, decode: bool, look: bool) -> None:
        self.decode = decode
        self._look = look
        self._archive = archive
        self._flat: set[str] | None = None
        self.first_row: dict[tuple[str, int], TableRow] = {}
        self._key_rows: dict[tuple[str, int], list[TableRow]] = {}
        for row in archive.rows:
            series_id = row.lesion.series_id
            first, last = row.slice_range
            for slice_index in range(first, last + 1):
                self.first_row.setdefault((series_id, slice_index), row)
            key = (series_id, row.lesion.key_slice_index)
            self._key_rows.setdefault(key, []).append(row)
        self.found = self._on_disk() if look else []

    def run(self, progress: ReportProgress | None) -> list[RowProblem]:
        problems = [
            RowProblem(
                row.line,
                row.file_name,
                ProblemReason.MISSING_FILE,
                self._missing(key),
            )
            for key in self._key_rows.keys() - set(self.found)
            if self._look
            for row in self._key_rows[key]
        ]
        if not self.decode:
            return problems
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            errors = pool.map(self._error, self.found)
            for done, (key, error) in enumerate(zip(self.found, errors, strict=True), start=1):
                if error is not None:
                    problems.extend(self._problems(key, error))
                if progress is not None:
                    progress(done, len(self.found))
        return problems

    def _on_disk(self) -> list[tuple[str, int]]:
        # One listing a folder: asking for a million files one by one takes minutes.
        found: list[tuple[str, int]] = []
        by_series: dict[str, list[int]] = {}
        for series_id, slice_index in self.first_row:
            by_series.setdefault(series_id, []).append(slice_index)
        for series_id, indices in by_series.items():
            names = self._names(series_id)
            place = self._archive.layout.path
            there = (i for i in sorted(indices) if place(series_id, i).name in names)
            found.extend(zip(repeat(series_id), there, strict=False))
        return found

    def _names(self, series_id: str) -> set[str]:
        layout = self._archive.layout
        if not layout.is_flat:
            return layout.slices_there(series_id)
        if self._flat is None:
            self._flat = layout.slices_there(series_id)
        return self._flat

    def _missing(self, key: tuple[str, int]) -> str:
        hint = self._archive.layout.hint
        return f"{self._archive.image_path(*key)} does not exist{hint and f': {hint}'}"

    def _error(self, key: tuple[str, int]) -> RowError | None:
        row = (self._key_rows.get(key) or [self.first_row[key]])[0]
        try:
            read_deeplesion_png(self._archive.image_path(*key), image_size=row.image_size)
        except RowError as error:
            return error
        return None

    def _problems(self, key: tuple[str, int], error: RowError) -> Iterable[RowProblem]:
        if key in self._key_rows:
            for row in self._key_rows[key]:
                yield RowProblem(row.line, row.file_name, error.reason, str(error))
            return
        name = coding.table_file_name(*key)
        yield RowProblem(self.first_row[key].line, name, error.reason, f"neighbour slice: {error}")


def _count(names: Iterable[str], kinds: Iterable[str]) -> dict[str, int]:
    counted = Counter(names)
    return {str(kind): counted[str(kind)] for kind in kinds}


def _missing_values(rows: Sequence[TableRow]) -> dict[str, int]:
    return {
        "location": sum(row.lesion.location is None for row in rows),
        "lesion_type": sum(row.lesion.lesion_type is LesionType.UNKNOWN for row in rows),
        "split": sum(row.lesion.split is Split.UNKNOWN for row in rows),
        "patient_gender": sum(not row.gender for row in rows),
        "patient_age": sum(row.age is None for row in rows),
    }
