"""How long reading takes beside pydicom and its decoder alone: one slice, and a series of 300.

    python benchmarks/reading.py --out benchmarks/results/reading.json

The slices show a noisy disc, 512 x 512, written as plain DICOM and as RLE. Times are those of the
processor, the best of several runs: other work on the machine only ever adds. Each reader has a
process of its own, so that neither works in memory that the other has warmed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from retrieval.sources.dicom.series import read_dicom

SIDE_PX = 512
SLICES = 300
RUNS = 5


def main() -> None:
    """Measures and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    results = {}
    with tempfile.TemporaryDirectory() as root:
        for name, packed in (("plain", False), ("RLE", True)):
            folder = Path(root) / name
            _write(folder, packed=packed)
            files = sorted(folder.iterdir())
            results[f"one slice, {name}"] = _compared(files[:1], files[0], runs=20)
            results[f"{SLICES} slices, {name}"] = _compared(files, folder, runs=RUNS)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
    out.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    for name, measured in results.items():
        print(name, measured)


def _compared(files: list[Path], path: Path, *, runs: int) -> dict[str, float]:
    """Milliseconds of the product, of pydicom with its decoder, and the first by the second."""
    ours = _in_a_process(_read_ours, path, runs)
    alone = _in_a_process(_read_alone, files, runs)
    return {
        "read_ms": round(ours, 2),
        "pydicom_ms": round(alone, 2),
        "ratio": round(ours / alone, 3),
    }


def _read_ours(path: Path) -> None:
    read_dicom(path, assume_hu=True)


def _read_alone(files: list[Path]) -> None:
    [pydicom.dcmread(file).pixel_array for file in files]


def _in_a_process(read: Callable[[Any], None], what: object, runs: int) -> float:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_best, (partial(read, what), runs))


def _best(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append((time.process_time() - start) * 1000)
    return min(times)


def _write(folder: Path, *, packed: bool) -> None:
    folder.mkdir()
    series = generate_uid()
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    body = np.where(np.hypot(x, y * 1.3) < 0.8, 40.0, -1000.0)
    rng = np.random.default_rng(0)
    for number in range(SLICES):
        hu = np.rint(body + rng.normal(0, 10, body.shape)).astype("<i2")
        image = _image(hu, series, number)
        if packed:
            image.compress(RLELossless, generate_instance_uid=False)
        pydicom.dcmwrite(folder / f"{number:04d}.dcm", image, enforce_file_format=True)


def _image(hu: np.ndarray, series: str, number: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.SeriesInstanceUID, image.Modality, image.InstanceNumber = series, "CT", number + 1
    image.ImagePositionPatient = [-180, -180, 1.25 * number]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = [0.7, 0.7], 1.25
    image.Rows, image.Columns = hu.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = hu.tobytes()
    return image


if __name__ == "__main__":
    main()
