"""ArchiveReport: what is in an archive, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.sources.row_problem import RowProblem


@dataclass(frozen=True)
class ArchiveReport:
    """What ``check_archive`` found.

    Attributes:
        archive: the folder or table that was checked.
        rows: lesion rows in the table, sound or not.
        sound_rows: rows without any problem, their key slice included where images were read.
        patients: among the rows that parse; likewise all counts below.
        lesions_per_split: split name to lesions, every split named.
        patients_per_split: split name to patients.
        lesions_per_type: type name to lesions, every type named.
        lesions_per_patient: patient id to lesions.
        key_slices: distinct key slices.
        slices_expected: distinct slices of all sub-volumes, as the table's ranges say.
        slices_found: how many of those stand on disk.
        missing_values: field to the number of rows that leave it unknown.
        patients_in_several_splits: ids; a sound archive has none.
        lesions_on_tracks: lesions named in its table of tracks.
        tracks: lesion tracks.
        attribute_names: named numbers that any lesion has.
        images_read: whether each slice on disk was decoded.
        problems: every bad row in the order of the table, then those of the other files.
        notes: what is unusual about the archive and is read all the same.
    """

    archive: str
    rows: int
    sound_rows: int
    patients: int
    studies: int
    series: int
    lesions_per_split: Mapping[str, int]
    patients_per_split: Mapping[str, int]
    lesions_per_type: Mapping[str, int]
    lesions_per_patient: Mapping[str, int]
    key_slices: int
    slices_expected: int
    slices_found: int
    missing_values: Mapping[str, int]
    patients_in_several_splits: Sequence[str]
    lesions_on_tracks: int
    tracks: int
    attribute_names: Sequence[str]
    images_read: bool
    problems: Sequence[RowProblem]
    notes: Sequence[str] = ()

    @property
    def is_sound(self) -> bool:
        """No bad row, and no patient in two splits."""
        return not self.problems and not self.patients_in_several_splits

    @property
    def problems_per_reason(self) -> dict[str, int]:
        """Reason to the number of problems, only those that occur."""
        return dict(sorted(Counter(problem.reason.value for problem in self.problems).items()))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, under the names of the attributes and properties."""
        fields: dict[str, Any] = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in vars(self).items()
        }
        fields["is_sound"] = self.is_sound
        fields["patients_in_several_splits"] = list(self.patients_in_several_splits)
        fields["attribute_names"] = list(self.attribute_names)
        fields["notes"] = list(self.notes)
        fields["problems_per_reason"] = self.problems_per_reason
        fields["problems"] = [problem.to_json() for problem in self.problems]
        return fields
