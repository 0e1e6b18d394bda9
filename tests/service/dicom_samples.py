"""CT as DICOM series for the tests of PACS and de-identification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@dataclass(frozen=True)
class SeriesLabels:
    """Whose series it is; the UIDs follow from the names."""

    patient_id: str
    study: str
    day: date | None
    series: str = "1"
    description: str = "axial 2.5"
    first_z_mm: float = -300.0
    study_name: str = ""
    accession: str = "ACC-1"

    @property
    def study_uid(self) -> str:
        return generate_uid(entropy_srcs=["study", self.patient_id, self.study])

    @property
    def series_uid(self) -> str:
        return generate_uid(entropy_srcs=["series", self.patient_id, self.study, self.series])

    def instance_uid(self, position: int) -> str:
        return generate_uid(entropy_srcs=[self.series_uid, str(position)])


def ct_series(
    hu: NDArray[np.floating],
    labels: SeriesLabels,
    *,
    spacing_mm_px: tuple[float, float],
    interval_mm: float,
) -> list[Dataset]:
    """(slices, rows, columns) HU as CT images, feet to head, with a patient's name in them."""
    return [
        _image(plane, labels, position, (*spacing_mm_px, interval_mm))
        for position, plane in enumerate(hu)
    ]


def _image(
    plane: NDArray[np.floating],
    labels: SeriesLabels,
    position: int,
    spacing_mm: tuple[float, float, float],
) -> Dataset:
    x_mm, y_mm, z_mm = spacing_mm
    image = Dataset()
    image.preamble = b"\0" * 128
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = labels.instance_uid(position)
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = labels.study_uid, labels.series_uid
    image.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", labels.study_uid])
    image.PatientID, image.PatientName = labels.patient_id, "Doe^Jane"
    image.PatientBirthDate, image.PatientSex = "19500102", "F"
    image.StudyDate = "" if labels.day is None else labels.day.strftime("%Y%m%d")
    image.StudyTime, image.AccessionNumber, image.StudyID = "101112", labels.accession, "S1"
    image.StudyDescription = labels.study_name
    image.ReferringPhysicianName = "House^Gregory"
    image.Modality, image.Manufacturer = "CT", "Phantom"
    image.SeriesDescription = labels.description
    image.SeriesNumber, image.InstanceNumber = int(labels.series), position + 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Rows, image.Columns = plane.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.PixelSpacing = [y_mm, x_mm]
    image.SliceThickness = z_mm
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [-100, -120, labels.first_z_mm + z_mm * position]
    image.PixelData = np.clip(plane + 1024, 0, 4095).round().astype("<u2").tobytes()
    return image


def write_files(datasets: Sequence[Dataset], folder: Path) -> Path:
    """One file a dataset, named after the patient as real exports are."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        pydicom.dcmwrite(folder / f"DOE_JANE_{number}.dcm", dataset, enforce_file_format=True)
    return folder
