"""Writes an archive in DeepLesion's own layout: ``DL_info.csv`` and 16-bit PNGs."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from retrieval.lesion import Box, LesionType, Recist, Split
from retrieval.sources.archive import lesion_id_of
from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.pending import PendingPatient
from retrieval.sources.deeplesion.row import check_box
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.errors import ArchiveError

PNG_COMPRESSION = 1
"""zlib level. A real 512 x 512 slice: level 1 17 ms and 213 KiB, level 6 61 ms and 202 KiB."""

FLUSH_SECONDS = 2.0
"""Finished patients reach the tables at least this often while patients keep coming."""


@dataclass(frozen=True)
class ArchiveRow:
    """One lesion for the table; coordinates 0-based, in pixels of the key slice.

    Attributes:
        location: normalised body position (x, y, z) in [0, 1], None if unknown.
        spacing_mm_px: millimetres per pixel along (x, y).
        slice_range: first and last slice number of the sub-volume on disk.
        image_size: (rows, columns).
        window: (low, high) HU of the DICOM window.
        age: years, None if unknown.
        noisy: the annotation is doubtful (``Possibly_noisy``).
    """

    patient: int
    study: int
    series: int
    key_slice: int
    recist: Recist
    box: Box
    location: tuple[float, float, float] | None
    lesion_type: LesionType
    split: Split
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    slice_range: tuple[int, int]
    image_size: tuple[int, int]
    window: tuple[float, float] = (-175.0, 275.0)
    gender: str = ""
    age: float | None = None
    noisy: bool = False

    @property
    def series_id(self) -> str:
        """``000001_01_01``."""
        return coding.series_id_of(self.patient, self.study, self.series)

    @property
    def lesion_id(self) -> str:
        """The id under which the reader will know this lesion."""
        return lesion_id_of(self.series_id, self.key_slice, self.box)

    def table_cells(self) -> list[str]:
        """The row's 18 cells exactly as the released table writes them."""
        p, q, s, t = self.recist.points
        points = [*p, *q, *s, *t]
        unknown = (float("nan"),) * 3
        return [
            coding.table_file_name(self.series_id, self.key_slice),
            *(str(number) for number in (self.patient, self.study, self.series, self.key_slice)),
            coding.join_numbers(coding.to_table_coordinate(value) for value in points),
            coding.join_numbers(coding.to_table_coordinate(edge) for edge in self.box.to_list()),
            coding.join_numbers(round(length, 6) for length in (math.dist(p, q), math.dist(s, t))),
            coding.join_numbers(self.location or unknown),
            str(self.lesion_type.code),
            str(int(self.noisy)),
            coding.join_numbers(self.slice_range),
            coding.join_numbers((*self.spacing_mm_px, self.slice_interval_mm)),
            coding.join_numbers(self.image_size),
            coding.join_numbers(self.window),
            self.gender,
            "" if self.age is None else repr(float(self.age)),
            str(self.split.code),
        ]


class DeepLesionWriter:
    """Writes patients one after another; can be stopped and opened again on the same folder.

    All rows and slices of a patient come in one run. A patient is finished when the next one
    begins or when the writer is closed; only finished patients ever stand in the tables, and
    ``patients_done`` names them, so that a generator that was killed goes on with the rest.

    Beside the official table it writes ``tracks.csv`` where tracks were given (one row for each
    study in which the track is ``baseline`` (the patient's first study), ``new``, ``persistent``
    or ``vanished``; the last has no lesion) and ``attributes.csv`` where attributes were given.
    """

    def __init__(self, root: Path | str, *, marks_complete: bool = True) -> None:
        """Opens an archive's folder, or makes it.

        Args:
            root: the folder.
            marks_complete: every lesion of every study is marked, so that a track without a mark
                in a later study is gone from it, and one without a mark in the first is new.
        """
        self.root = Path(root)
        self._marks_complete = marks_complete
        # CT is its owner's alone: nobody else looks into a folder that is made here.
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(mode=0o700, exist_ok=True)
        self._rows = _read_rows(self.root / coding.TABLE_NAME, coding.COLUMNS)
        self._done = {int(cells[1]) for cells in self._rows}
        self._tracks = self._read_tracks()
        self._track_owners = {row[1]: int(row[0]) for row in self._tracks}
        self._attributes = self._read_attributes()
        self._pending: PendingPatient | None = None
        self._unwritten = False
        self._last_flush = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._pending = None
        self.close()

    def patients_done(self) -> frozenset[int]:
        """The numbers of the patients whose rows are complete, also from earlier runs."""
        return frozenset(self._done)

    def reopen(self, patient: int) -> None:
        """Takes a finished patient's rows out of the tables, so that it can be written anew.

        They leave the files when the patient is finished again, and not before.
        """
        if patient not in self._done:
            return
        self._finish_patient()
        name = coding.patient_id_of(patient)
        self._done.discard(patient)
        self._rows = [cells for cells in self._rows if int(cells[1]) != patient]
        self._tracks = [cells for cells in self._tracks if cells[0] != name]
        self._track_owners = {
            track: owner for track, owner in self._track_owners.items() if owner != patient
        }
        self._attributes = {
            lesion_id: named
            for lesion_id, named in self._attributes.items()
            if not lesion_id.startswith(f"{name}_")
        }
        self._unwritten = True

    def write_slices(self, images: SeriesImages) -> None:
        """Writes each slice as ``Images_png/PPPPPP_SS_EE/NNN.png``; raises ArchiveError."""
        hu = np.asarray(images.hu)
        if hu.ndim != 3 or not np.isfinite(hu).all():
            raise ArchiveError(
                f"slices of shape {hu.shape}: finite HU as (slices, rows, columns) are needed"
            )
        self._patient(images.patient).studies.add(images.study)
        series_id = coding.series_id_of(images.patient, images.study, images.series)
        folder = self.root / coding.IMAGE_FOLDER / series_id
        folder.mkdir(parents=True, exist_ok=True)
        for position, plane in enumerate(coding.to_pixels(hu)):
            name = coding.slice_file_name(images.first_slice + position)
            _, encoded = cv2.imencode(".png", plane, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
            (folder / name).write_bytes(encoded.tobytes())

    def add_row(
        self,
        row: ArchiveRow,
        track_id: str | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> str:
        """Adds one lesion and returns its id.

        Raises:
            ArchiveError: the box lies outside the image, another lesion of the key slice has its
                box centre on the same pixel, the patient was finished before, or the track
                belongs to another patient.
        """
        check_box(row.box, *row.image_size)
        if track_id is not None:
            self._check_track(track_id, row.patient)
        patient = self._patient(row.patient)
        lesion_id = row.lesion_id
        if lesion_id in patient.lesion_ids:
            raise ArchiveError(f"lesion {lesion_id} is there already: box centres must differ")
        patient.lesion_ids.append(lesion_id)
        patient.studies.add(row.study)
        patient.rows.append(row.table_cells())
        if track_id is not None:
            patient.tracks.setdefault(track_id, []).append((row.study, lesion_id))
        if attributes:
            known = {name: float(v) for name, v in attributes.items() if not math.isnan(v)}
            patient.attributes[lesion_id] = known
        return lesion_id

    def link(self, track_id: str, study: int, lesion_id: str) -> None:
        """Puts a lesion of the patient in progress into a track; raises ArchiveError."""
        patient = self._pending
        if patient is None or lesion_id not in patient.lesion_ids:
            raise ArchiveError(f"lesion {lesion_id} is none of the patient in progress")
        self._check_track(track_id, patient.number)
        patient.tracks.setdefault(track_id, []).append((study, lesion_id))

    def give_up_patient(self) -> None:
        """Forgets the rows of the patient in progress."""
        self._pending = None

    def close(self) -> None:
        """Finishes the last patient and writes the tables; safe to call twice."""
        self._finish_patient()
        if self._unwritten or not (self.root / coding.TABLE_NAME).exists():
            self._flush()

    def _check_track(self, track_id: str, patient: int) -> None:
        owner = self._track_owners.setdefault(track_id, patient)
        if owner != patient:
            raise ArchiveError(
                f"track {track_id} of patient {patient} belongs to patient {owner}: "
                "track ids are unique in the whole archive"
            )

    def _patient(self, number: int) -> PendingPatient:
        if self._pending is not None and self._pending.number == number:
            return self._pending
        if number in self._done:
            raise ArchiveError(f"patient {number} is finished in {self.root}: skip patients_done()")
        self._finish_patient()
        if self._unwritten and time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self._flush()
        self._pending = PendingPatient(number)
        return self._pending

    def _finish_patient(self) -> None:
        patient, self._pending = self._pending, None
        if patient is None or not patient.rows:
            return
        self._rows.extend(patient.rows)
        self._tracks.extend(patient.track_rows(marks_complete=self._marks_complete))
        self._attributes.update(patient.attributes)
        self._done.add(patient.number)
        self._unwritten = True

    def _flush(self) -> None:
        # DL_info.csv goes last: a patient stands there only once everything else of it is safe.
        if self._tracks:
            _write_table(self.root / coding.TRACKS_NAME, coding.TRACK_COLUMNS, self._tracks)
        if self._attributes:
            names = list(dict.fromkeys(name for v in self._attributes.values() for name in v))
            _write_table(
                self.root / coding.ATTRIBUTES_NAME,
                ("lesion_id", *names),
                (
                    [lesion_id, *(repr(v[name]) if name in v else "" for name in names)]
                    for lesion_id, v in self._attributes.items()
                ),
            )
        _write_table(self.root / coding.TABLE_NAME, coding.COLUMNS, self._rows)
        self._unwritten = False
        self._last_flush = time.monotonic()

    def _read_tracks(self) -> list[list[str]]:
        rows = _read_rows(self.root / coding.TRACKS_NAME, coding.TRACK_COLUMNS)
        return [row for row in rows if int(row[0]) in self._done]

    def _read_attributes(self) -> dict[str, dict[str, float]]:
        path = self.root / coding.ATTRIBUTES_NAME
        if not path.exists():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            names = next(csv.reader(file))[1:]
        return {
            cells[0]: {name: float(v) for name, v in zip(names, cells[1:], strict=True) if v}
            for cells in _read_rows(path, ("lesion_id", *names))
            if int(cells[0].split("_")[0]) in self._done
        }


def _read_rows(path: Path, columns: Sequence[str]) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or tuple(lines[0]) != tuple(columns):
        raise ArchiveError(f"{path} has other columns than this writer: choose an empty folder")
    return lines[1:]


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """All rows or none: whoever reads the table meets the old one or the new one."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
