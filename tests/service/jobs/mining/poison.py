"""Two hundred marks as a PACS holds them: sixty lesions, and everything that is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from retrieval.lesion import Recist
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.bad_marks import COUNTS, RECIPES
from tests.service.jobs.mining.carriers import write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, SLICES, Study
from tests.service.jobs.mining.strays import strays

PATIENTS = 5
GOOD_PER_CARRIER = 12
GOOD = ("sr", "gsps", "seg", "rtstruct", "aim")
HOSTILE = ("'; DROP TABLE marks; --", "../../etc/passwd", "=HYPERLINK(1)", "\u202eevil", "x" * 60)


@dataclass
class Expected:
    """What must become of the marks.

    Attributes:
        lesions: (SOP instance UID, middle of the box) of every lesion.
        refused: file name -> the verdicts that are right for what is in it.
    """

    lesions: list[tuple[str, tuple[float, float]]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class _Wards:
    """The images, and an image of its own for each mark."""

    def __init__(self) -> None:
        self.studies = [
            Study(f"MRN-{number}", number, date(2020, 1, number)) for number in range(1, 6)
        ]
        self.datasets = [study.datasets() for study in self.studies]
        self._next = 0

    def slot(self) -> Drawn:
        """A place on a slice that no other mark has."""
        place = self._next
        self._next += 1
        patient, rest = place % PATIENTS, place // PATIENTS
        position, corner = rest % SLICES, rest // SLICES
        datasets = self.datasets[patient]
        points = POINTS + ((0, 0), (-25, 22), (12, -25))[corner]
        return Drawn(datasets[position], recist_of(points), f"Lesion {place}")


def recist_of(points: np.ndarray) -> Recist:
    """A mark of four ends."""
    return Recist(tuple((float(x), float(y)) for x, y in points))


def poisoned_hospital(root: Path) -> Expected:
    """Writes images and marks below ``root/source``; returns what must come of them."""
    wards = _Wards()
    for number, datasets in enumerate(wards.datasets):
        write_files(datasets, root / "source" / "ct" / str(number))
    marks = root / "source" / "marks"
    expected = Expected()
    for carrier in GOOD:
        for place in range(GOOD_PER_CARRIER):
            drawn = wards.slot()
            name = HOSTILE[place % len(HOSTILE)] if place >= GOOD_PER_CARRIER // 2 else drawn.name
            drawn = Drawn(drawn.header, drawn.recist, name, drawn.tracking_uid)
            write_marks(carrier, [drawn], marks, f"good{place:02d}")
            box = drawn.recist.box()
            expected.lesions.append((str(drawn.header.SOPInstanceUID), box.center))
    for kind, (recipe, verdicts) in RECIPES.items():
        for place in range(COUNTS.get(kind, 7)):
            written = recipe(wards, place)
            for number, one in enumerate(written):
                name = f"{kind}{place:02d}-{number}"
                path = marks / (f"{name}.json" if isinstance(one, bytes) else f"{name}.dcm")
                _store(one, path)
                expected.refused[path.name] = verdicts
    images = root / "source" / "strays"
    images.mkdir(parents=True)
    for number, stray in enumerate(strays(wards)):
        stray.save_as(images / f"stray{number}.dcm", enforce_file_format=True)
    return expected


def _store(one: Dataset | bytes, path: Path) -> None:
    if isinstance(one, bytes):
        path.write_bytes(one)
    else:
        one.save_as(path, enforce_file_format=True)


def rounded(middle: tuple[float, float]) -> tuple[float, float]:
    return round(middle[0], 2), round(middle[1], 2)
