"""Names of images to DeepLesion's numbers of patient, study and series, the same at every run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.table import read_lesion_table
from retrieval.sources.importers.masks.found import FoundImage
from retrieval.sources.importers.source import ImporterError

FILE_NAME = "imported_images.csv"
_COLUMNS = ("image", "patient_name", "patient", "study", "series")


@dataclass(frozen=True, order=True)
class SeriesNumber:
    """Where an image stands in the archive; ``patient_name`` is a folder's or file's name."""

    patient: int
    study: int
    series: int
    patient_name: str


class Numbering:
    """The numbers that an archive has given out, kept beside its table."""

    def __init__(
        self, file: Path, known: Mapping[Path, SeriesNumber], done: frozenset[int]
    ) -> None:
        self._file = file
        self._known = dict(known)
        self.patients_done = done

    @classmethod
    def open(cls, archive: Path) -> Numbering:
        """Of an archive that may not be there yet; raises ImporterError for one of another kind."""
        file, table = archive / FILE_NAME, archive / coding.TABLE_NAME
        if not file.is_file():
            if table.exists():
                raise ImporterError(
                    f"{archive} is an archive that `import masks` did not make: give a new folder"
                )
            return cls(file, {}, frozenset())
        with file.open(newline="", encoding="utf-8") as opened:
            lines = list(csv.DictReader(opened))
        try:
            known = {
                Path(line["image"]): SeriesNumber(
                    int(line["patient"]),
                    int(line["study"]),
                    int(line["series"]),
                    line["patient_name"],
                )
                for line in lines
            }
        except (KeyError, ValueError, TypeError) as wrong:
            raise ImporterError(f"{file} is damaged ({wrong}): give a new folder") from None
        rows = read_lesion_table(table).rows if table.is_file() else ()
        return cls(file, known, frozenset(int(row.lesion.patient_id) for row in rows))

    def numbered(self, images: Sequence[FoundImage]) -> dict[Path, SeriesNumber]:
        """Each image's number: the one it had, or the next one.

        A patient is DICOM's, or the first folder below the one given, or the file alone. A study
        is DICOM's, or one image.
        """
        patients = {number.patient_name: number.patient for number in self._known.values()}
        names = _patient_names(images)
        studies: dict[tuple[str, str], int] = {}
        for image in images:
            if image.name in self._known:
                continue
            name = names[image.name]
            patient = patients.setdefault(name, max(patients.values(), default=0) + 1)
            mine = [number for number in self._known.values() if number.patient == patient]
            key = (name, image.study_uid or str(image.name))
            study = studies.setdefault(key, max((n.study for n in mine), default=0) + 1)
            series = 1 + max((n.series for n in mine if n.study == study), default=0)
            self._known[image.name] = SeriesNumber(patient, study, series, name)
        return {image.name: self._known[image.name] for image in images}

    def save(self) -> None:
        """Writes the numbers; before the table, so that no row stands there without its name."""
        unfinished = self._file.with_name(self._file.name + ".part")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(_COLUMNS)
            for image, number in self._known.items():
                table.writerow(
                    [
                        image.as_posix(),
                        number.patient_name,
                        number.patient,
                        number.study,
                        number.series,
                    ]
                )
        unfinished.replace(self._file)


def _patient_names(images: Sequence[FoundImage]) -> dict[Path, str]:
    """A name for each image's patient; DICOM's own id joins images but is not the name."""
    names: dict[Path, str] = {}
    of_id: dict[str, str] = {}
    for image in images:
        own = image.name.parts[0] if image.name.parts else image.name.name
        names[image.name] = of_id.setdefault(image.patient, own) if image.patient else own
    return names
