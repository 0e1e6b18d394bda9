"""A phantom patient whose studies lie in a PACS, and where its lesions are marked."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import date

import numpy as np

from retrieval.lesion import LesionType, Recist
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.synthesis.phantom.patient import make_patient
from service.engine.query import LesionQuery
from service.pacs.search import PacsQuery
from service.pacs.series import PacsReference
from tests.service.dicom_samples import SeriesLabels, ct_series

PATIENT = "MRN-4711"
DAYS = {2: date(2021, 3, 4), 4: date(2021, 9, 4)}
PHANTOM = PhantomConfig(patients=4, seed=1, image_size_px=192)
PHANTOM_NUMBER = 4
"""This phantom patient has two studies with the same four lesions."""


@dataclass(frozen=True)
class Mark:
    """One lesion of the phantom where it lies in the PACS."""

    labels: SeriesLabels
    position: int
    recist: Recist
    track: str
    lesion_type: LesionType
    long_mm: float

    @property
    def reference(self) -> PacsReference:
        sop_uid = self.labels.instance_uid(self.position)
        return PacsReference(self.labels.series_uid, self.labels.study_uid, sop_uid)

    @property
    def query(self) -> PacsQuery:
        return PacsQuery(self.reference, LesionQuery(recist=self.recist))


SOME = 3
"""Of its lesions, these many: enough to be mistaken for one another."""


def some(marks):
    return list(marks.items())[:SOME]


def stacked(patient, study):
    """Slice numbers and (slices, rows, columns) HU of a study, runs one after another."""
    runs = [run for run in patient.images if run.study == study]
    numbers = [run.first_slice + k for run in runs for k in range(len(run.hu))]
    return numbers, np.concatenate([run.hu for run in runs]).astype(np.float32)


def dumped(path):
    """What dcmtk reads of a report."""
    done = subprocess.run(["dsrdump", "+Pl", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def make_phantom_patient():
    """The phantom patient, the same each time."""
    return make_patient(PHANTOM, PHANTOM_NUMBER)


def one_run_each(pacs, phantom, patient, name: str) -> dict[int, Mark]:
    """A patient with one run of slices about one lesion a study: series without gaps, stored."""
    mark = phantom[4]["000004_t01"]
    labels = SeriesLabels(name, f"{name}a", DAYS[2], first_z_mm=-200.0)
    later = SeriesLabels(name, f"{name}b", DAYS[4], first_z_mm=-100.0)
    found = {}
    for study, where in ((2, labels), (4, later)):
        row = next(
            m.row for m in patient.lesions if m.track_id == mark.track and m.row.study == study
        )
        run = next(
            run
            for run in patient.images
            if run.study == study
            and run.first_slice <= row.key_slice < run.first_slice + len(run.hu)
        )
        images = ct_series(
            run.hu.astype(np.float32),
            where,
            spacing_mm_px=row.spacing_mm_px,
            interval_mm=row.slice_interval_mm,
        )
        pacs.store(images)
        position = row.key_slice - run.first_slice
        found[study] = Mark(where, position, row.recist, mark.track, row.lesion_type, mark.long_mm)
    return found
