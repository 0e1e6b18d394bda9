"""The sample's lesions of several studies asked by id and by upload: which persistent links stay.

    LESION_SEARCH_REAL_DATA=DATA python benchmarks/follow_ups.py [--out RESULT.json]

Every lesion of a patient with several studies in DATA/deeplesion_sample is asked for by its id,
then by uploading its slice with its box, patient and study: as PNG, DICOM and NIfTI, with and
without the slices beside it, first with its own study in the index, then with its own study taken
out, as in a truly new study. A link is persistent if the answer by id says so. Prints one row a way
of asking; the sample is evaluation only: no number of the matcher was chosen on it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.image import Slab
from retrieval.lesion import Lesion
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from retrieval.tracking.states import FollowUpState
from retrieval.tracking.track_types import FollowUp
from service.engine.lesion_location import PositionLocator
from service.engine.query import ImageChoice, LesionQuery
from service.engine.search_engine import SearchEngine, binding_of
from service.jobs.indexing import IndexingOptions, index_archive

NEIGHBOURS_MM = 10.0
STATES = {
    FollowUpState.PERSISTENT: "kept",
    FollowUpState.UNCERTAIN: "uncertain",
    FollowUpState.MERGED: "other",
    FollowUpState.SPLIT: "other",
}

Upload = tuple[Path, ImageChoice]
"""A file or folder, and which slice of it is meant."""

Links = dict[tuple[str, str], FollowUp]
"""The answer by lesion and other study."""


def png_beside_others(archive: DeepLesionArchive, lesion: Lesion, _: Path) -> Upload:
    """The slice where it lies, its neighbours beside it."""
    return archive.root / archive.source(lesion).image, ImageChoice()


def png_alone(archive: DeepLesionArchive, lesion: Lesion, folder: Path) -> Upload:
    """A copy of the slice, somewhere else and under another name."""
    source = archive.source(lesion)
    target = folder / "slice.png"
    shutil.copyfile(archive.root / source.image, target)
    return target, ImageChoice(spacing_mm=(*source.spacing_mm_px, source.slice_interval_mm))


def _slab(archive: DeepLesionArchive, lesion: Lesion, half_depth_mm: float) -> Slab:
    return archive.slab(lesion, half_depth_mm=half_depth_mm)


def dicom(half_depth_mm: float) -> Callable[[DeepLesionArchive, Lesion, Path], Upload]:
    """A DICOM file, or a folder of them, one a slice; numbers of slices grow towards the feet."""

    def written(archive: DeepLesionArchive, lesion: Lesion, folder: Path) -> Upload:
        slab = _slab(archive, lesion, half_depth_mm)
        series, study, frame = generate_uid(), generate_uid(), generate_uid()
        for number, plane in enumerate(slab.hu):
            dataset = _dicom_slice(plane, slab, number)
            dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
            dataset.FrameOfReferenceUID = frame
            dataset.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
        count = len(slab.hu)
        if count == 1:
            return folder / "000.dcm", ImageChoice()
        return folder, ImageChoice(key_slice_index=count - 1 - slab.key_slice)

    return written


def _dicom_slice(plane: np.ndarray, slab: Slab, number: int) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PatientID = "CT", "sample"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = number + 1
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, -number * slab.slice_interval_mm]
    dataset.PixelSpacing = [slab.spacing_mm_px[1], slab.spacing_mm_px[0]]
    dataset.SliceThickness = slab.slice_interval_mm
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
    dataset.PixelData = plane.round().astype("<i2").tobytes()
    return dataset


def nifti(half_depth_mm: float) -> Callable[[DeepLesionArchive, Lesion, Path], Upload]:
    """A NIfTI volume, its axes x to the right, y to the front and slices to the feet."""

    def written(archive: DeepLesionArchive, lesion: Lesion, folder: Path) -> Upload:
        slab = _slab(archive, lesion, half_depth_mm)
        x_mm, y_mm = slab.spacing_mm_px
        volume = slab.hu.transpose(2, 1, 0).round().astype(np.int16)
        affine = np.diag([-x_mm, -y_mm, -slab.slice_interval_mm, 1.0])
        nibabel.Nifti1Image(volume, affine).to_filename(folder / "volume.nii.gz")
        return folder / "volume.nii.gz", ImageChoice(key_slice_index=slab.key_slice)

    return written


WAYS: Mapping[str, Callable[[DeepLesionArchive, Lesion, Path], Upload]] = {
    "PNG, neighbours": png_beside_others,
    "PNG alone": png_alone,
    "DICOM, neighbours": dicom(NEIGHBOURS_MM),
    "DICOM alone": dicom(0.0),
    "NIfTI, neighbours": nifti(NEIGHBOURS_MM),
    "NIfTI alone": nifti(0.0),
}


def uploaded(
    engine: SearchEngine, archive: DeepLesionArchive, lesion: Lesion, way: str
) -> tuple[FollowUp, ...]:
    """The follow-ups of the lesion's slice and box, patient and study told."""
    with tempfile.TemporaryDirectory() as folder:
        path, choice = WAYS[way](archive, lesion, Path(folder))
        slab = open_query_image(
            path,
            key_slice_index=choice.key_slice_index,
            spacing_mm=choice.spacing_mm,
            half_depth_mm=engine.half_depth_mm(detecting=False),
        )
    query = LesionQuery(
        box=lesion.box, patient_id=lesion.patient_id, study_id=lesion.study_id, image=choice
    )
    return engine.search(query, slab).follow_ups


class StudyTakenOut:
    """Takes the lesions of a lesion's own study out of the index, and puts them back."""

    def __init__(self, index: LesionIndex, lesion: Lesion) -> None:
        self._index = index
        self._records: list[LesionRecord] = [
            record
            for record in index.patient(lesion.patient_id)
            if record.lesion.study_id == lesion.study_id
        ]

    def __enter__(self) -> None:
        self._index.remove([record.lesion.lesion_id for record in self._records])

    def __exit__(self, *_: object) -> None:
        self._index.add(self._records)


def several_studies(archive: DeepLesionArchive) -> Iterator[Lesion]:
    """The lesions of patients with lesions in more than one study."""
    studies = {(lesion.patient_id, lesion.study_id) for lesion in archive.lesions}
    count = Counter(patient_id for patient_id, _ in studies)
    yield from (lesion for lesion in archive.lesions if count[lesion.patient_id] > 1)


def compared(by_id: Links, asked: Links) -> dict[str, Any]:
    """What became of the persistent links by id, and what is persistent that they are not."""
    sure = {key for key, found in by_id.items() if found.state is FollowUpState.PERSISTENT}
    counts: Counter[str] = Counter()
    lost = []
    for key in sorted(sure):
        found, known = asked[key], by_id[key]
        word = STATES.get(found.state, "lost")
        if word == "kept" and found.lesion != known.lesion:
            word = "another lesion"
        counts[word] += 1
        if word != "kept":
            lost.append({"lesion": key[0], "study": key[1], **_facts(found)})
    gained = [
        {"lesion": key[0], "study": key[1], **_facts(found)}
        for key, found in asked.items()
        if found.state is FollowUpState.PERSISTENT and key not in sure
    ]
    return {"persistent by id": len(sure), **counts, "not kept": lost, "gained": gained}


def _facts(found: FollowUp) -> dict[str, Any]:
    return {"state": found.state.value, "score": round(found.score, 3)}


def measure(data: Path) -> dict[str, Any]:
    """Every way of asking, beside the answers by id."""
    archive = DeepLesionArchive.open(data / "deeplesion_sample")
    encoder = LesionEncoder.load()
    with (
        tempfile.TemporaryDirectory() as folder,
        LesionIndex.create(Path(folder) / "index", binding_of(encoder)) as index,
    ):
        index_archive(archive, index, encoder, options=IndexingOptions())
        engine = SearchEngine(encoder, index, locator=PositionLocator())
        lesions = list(several_studies(archive))
        by_id: Links = {}
        for lesion in lesions:
            for found in engine.search(LesionQuery(lesion_id=lesion.lesion_id)).follow_ups:
                by_id[lesion.lesion_id, found.study_id] = found
        ways = {}
        for own in ("own study in the index", "own study taken out"):
            for way in WAYS:
                asked = _asked(engine, archive, lesions, way, out=own.endswith("out"))
                ways[f"{way}; {own}"] = compared(by_id, asked)
    answers = {f"{lesion} in {study}": _facts(found) for (lesion, study), found in by_id.items()}
    return {"lesions": len(lesions), "by id": answers, "ways": ways}


def _asked(
    engine: SearchEngine,
    archive: DeepLesionArchive,
    lesions: list[Lesion],
    way: str,
    *,
    out: bool,
) -> Links:
    asked: Links = {}
    for lesion in lesions:
        if out:
            with StudyTakenOut(engine.index, lesion):
                found = uploaded(engine, archive, lesion, way)
        else:
            found = uploaded(engine, archive, lesion, way)
        asked.update({(lesion.lesion_id, one.study_id): one for one in found})
    return asked


def table(document: Mapping[str, Any]) -> str:
    """The ways of asking as a Markdown table."""
    words = ("persistent by id", "kept", "uncertain", "another lesion", "other", "lost")
    lines = [f"| way of asking | {' | '.join(words)} | gained |", "| --- " * (len(words) + 2) + "|"]
    for way, found in document["ways"].items():
        numbers = " | ".join(str(found.get(word, 0)) for word in words)
        lines.append(f"| {way} | {numbers} | {len(found['gained'])} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints, and writes the result where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Also write the whole result as JSON.")
    options = parser.parse_args()
    document = measure(Path(os.environ["LESION_SEARCH_REAL_DATA"]))
    print(json.dumps(document["by id"], indent=1))
    print(table(document))
    if options.out is not None:
        options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
