"""Images of the hospital that are no axial CT: scouts, coronal slices, MR."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from tests.service.jobs.mining.drawn import uid_of
from tests.service.jobs.mining.hospital import KEY


def strays(wards: Any) -> Iterator[Dataset]:
    for make in (scout, coronal, mr):
        for datasets in wards.datasets:
            for place in (0, 1):
                yield make(datasets[KEY], place)


def _renamed(header: Dataset, kind: str, place: int) -> Dataset:
    made = copy.deepcopy(header)
    made.SeriesInstanceUID = uid_of(kind, header.StudyInstanceUID)
    made.SOPInstanceUID = uid_of(kind, header.StudyInstanceUID, place)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.SeriesNumber = 90
    return made


def scout(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "scout", place)
    made.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return made


def coronal(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "coronal", place)
    made.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return made


def mr(header: Dataset, place: int) -> Dataset:
    made = _renamed(header, "mr", place)
    made.Modality = "MR"
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    return made
