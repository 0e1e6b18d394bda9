"""Makes small DICOM CT series for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SERIES_UID = generate_uid(entropy_srcs=["one series"])


class DicomMaker:
    """One axial slice at a time, and files whose names say nothing of the order."""

    def image(self, depth_mm: float, stored: NDArray[Any], **changes: Any) -> Dataset:
        """A CT slice; a change of None deletes the element."""
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID = SERIES_UID
        dataset.Modality = "CT"
        dataset.PatientName = "Nobody^Known"
        dataset.PatientID = "secret-17"
        dataset.Rows, dataset.Columns = stored.shape[:2]
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        dataset.PixelSpacing = [0.8, 0.7]
        dataset.SliceThickness = 5
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [-100, -120, depth_mm]
        dataset.PixelData = stored.tobytes()
        for keyword, value in changes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return dataset

    def series(self, stored: NDArray[Any], interval_mm: float = 2.5) -> list[Dataset]:
        """A whole series from (slices, rows, columns) stored values, feet to head."""
        return [self.image(-300 + interval_mm * k, plane) for k, plane in enumerate(stored)]

    def write(self, folder: Path, datasets: list[Dataset]) -> Path:
        """Writes the files in another order than the slices'."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, dataset in enumerate(datasets):
            name = f"{(number * 7) % 97:02d}-{number}.dcm"
            pydicom.dcmwrite(folder / name, dataset, enforce_file_format=True)
        return folder


@pytest.fixture
def dicom() -> DicomMaker:
    """See DicomMaker."""
    return DicomMaker()


@pytest.fixture
def stored() -> NDArray[np.uint16]:
    """(5, 12, 10) stored values of ordinary tissue, HU + 1024."""
    return np.random.default_rng(7).integers(0, 2000, (5, 12, 10)).astype(np.uint16)
