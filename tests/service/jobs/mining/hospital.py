"""A small hospital: CT series with one bright lesion each, and marks on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from retrieval.lesion import Recist
from retrieval.sources.marks.mark import Carrier, ImageReference, Mark, MarkKind
from retrieval.sources.marks.planes import ImagePlane
from retrieval.sources.marks.verdicts import JudgedMark, LengthSource, Verdict
from retrieval.sources.mining.folder import FolderSource
from retrieval.sources.mining.tools import MiningOptions
from retrieval.sources.mining.verdict_line import Naming
from service.deid.pseudonyms import PseudonymKey
from service.jobs.mining.run import MiningReport, MiningSetup, mine_marks
from tests.service.dicom_samples import SeriesLabels, ct_series, write_files

SIZE, SLICES, KEY = 96, 40, 20
SPACING_MM, INTERVAL_MM = (0.8, 0.8), 2.5
LESION_HU = 300.0
POINTS = np.array([[40.0, 50.0], [60.0, 50.0], [50.0, 45.0], [50.0, 56.0]])
"""Long axis 16 mm along x, short axis 8.8 mm."""

KEY_BYTES = bytes(range(32))


def body_hu(seed: int = 0) -> np.ndarray:
    """(slices, rows, columns) a body of 40 HU in air; bright inside the mark on the key slice."""
    hu = np.full((SLICES, SIZE, SIZE), -1000.0)
    hu[:, 15:85, 10:90] = 40
    hu += np.random.default_rng(seed).normal(0, 5, hu.shape)
    hu[KEY, 46:56, 41:60] = LESION_HU
    return hu


@dataclass
class Study:
    """One study with one series; ``key`` counts its slices from the feet."""

    patient: str
    number: int
    day: date | None
    turned: bool = False
    key: int = KEY

    @property
    def labels(self) -> SeriesLabels:
        return SeriesLabels(self.patient, str(self.number), self.day)

    @property
    def image(self) -> ImageReference:
        return self.image_at(self.key)

    def image_at(self, position: int) -> ImageReference:
        labels = self.labels
        uid = labels.instance_uid(position)
        return ImageReference(labels.study_uid, labels.series_uid, uid)

    def datasets(self) -> list[Dataset]:
        hu = body_hu(self.number)
        datasets = ct_series(hu, self.labels, spacing_mm_px=SPACING_MM, interval_mm=INTERVAL_MM)
        if self.turned:
            for one in datasets:
                # The same body seen from the feet: columns run to the patient's right.
                one.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
                one.ImagePositionPatient[0] = -one.ImagePositionPatient[0]
        return datasets

    def mark(self, name: str, **changes: object) -> Mark:
        given = {
            "mark_id": f"sr-{self.number}-{name}",
            "carrier": Carrier.SR,
            "kind": MarkKind.RECIST,
            "image": self.image,
            "points": POINTS,
            "patient_id": self.patient,
            "source_uid": f"1.2.826.{self.number}",
        }
        return Mark(**{**given, **changes})


def judge_plainly(marks: Sequence[Mark], planes: object, options: object) -> Iterator[JudgedMark]:
    """Every RECIST mark on an image that is there is a lesion: what these tests are not about."""
    for mark in marks:
        plane = planes.plane(mark.image)
        if plane is None:
            yield JudgedMark(mark, Verdict.NO_IMAGE, parts=(mark.mark_id,))
            continue
        recist = Recist(tuple((float(x), float(y)) for x, y in mark.points))
        yield kept_mark(mark, plane, recist, length_source=LengthSource.POINTS)


def kept_mark(mark: Mark, plane: ImagePlane, recist: Recist, **more: Any) -> JudgedMark:
    """A mark that is a lesion, its lengths those of its four ends."""
    long_mm, short_mm = recist.diameters_mm(plane.spacing_mm_px)
    return JudgedMark(
        mark,
        Verdict.KEPT,
        plane=plane,
        recist=recist,
        extent=recist.box(0),
        long_mm=long_mm,
        short_mm=short_mm,
        parts=(mark.mark_id,),
        **more,
    )


class HandedSource(FolderSource):
    """Images of a folder, marks as they are handed over; ``breaks_at`` ends it as a kill would."""

    def __init__(self, folder: Path, marks: Sequence[Mark]) -> None:
        super().__init__([folder])
        self.marks = list(marks)
        self.breaks_at: int | None = None
        self.read_count = 0

    def collect(self, index, journal, progress=None):
        super().collect(index, journal, progress)
        stamp = ",".join(mark.mark_id for mark in self.marks)
        if not journal.has_read("handed", stamp):
            with index.batch():
                journal.add_carrier("handed", stamp, self.marks)

    def read(self, header):
        self.read_count += 1
        if self.read_count == self.breaks_at:
            raise KeyboardInterrupt
        return super().read(header)


@dataclass
class Hospital:
    """Studies on disk, and where their marks are mined to."""

    root: Path
    studies: list[Study] = field(default_factory=list)

    def add(self, *studies: Study) -> None:
        for study in studies:
            folder = self.root / "images" / f"{study.patient}-{study.number}"
            write_files(study.datasets(), folder)
            self.studies.append(study)

    def source(self, marks: Sequence[Mark]) -> HandedSource:
        return HandedSource(self.root / "images", marks)

    @property
    def out(self) -> Path:
        return self.root / "archive"

    def mine(
        self, source: HandedSource, out: Path | None = None, options: MiningOptions | None = None
    ) -> MiningReport:
        out = out or self.out
        setup = MiningSetup(
            Naming(PseudonymKey(KEY_BYTES)), judge_plainly, options or MiningOptions()
        )
        return mine_marks(source, out, out.with_name(f"{out.name}.mining"), setup)


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a folder: when it was written and what it holds."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
