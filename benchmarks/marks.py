"""Marks of readers: official rows judged, and ten thousand read and judged without pixels.

    python benchmarks/marks.py --rows DL_info_val_test_9816.csv --out benchmarks/results/marks.json

Every official row is a mark of one finding, once as a RECIST mark and once as two lines, on an
image of its own spacing: how many are kept, and how far boxes and diameters are from the table.
Reports of 100 marks each are then written to bytes, read and judged one after the other; memory is
that of the process before and after.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom.sr as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, generate_uid

from retrieval.sources.marks.mark import Carrier, ImageReference, Mark, MarkKind
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.planes import ImagePlane, PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import JudgedMark

AXIAL = np.array([1.0, 0, 0, 0, 1, 0])
REPORT_MARKS = 100


def numbers(text: str) -> list[float]:
    """The numbers of a cell."""
    return [float(one) for one in text.split(",")]


def official(rows: list[dict[str, str]]) -> tuple[list[Mark], list[Mark], PlaneIndex]:
    """Each row as one RECIST mark and as two lines of one graphic group."""
    planes, recist, lines = PlaneIndex(), [], []
    for n, row in enumerate(rows):
        points = np.array(numbers(row["Measurement_coordinates"])).reshape(4, 2) - 1
        x_mm, y_mm, _ = numbers(row["Spacing_mm_px_"])
        size = int(numbers(row["Image_size"])[0])
        image = ImageReference("study", row["File_name"][:12], row["File_name"])
        planes.add(ImagePlane(image, "CT", size, size, (x_mm, y_mm), np.zeros(3), AXIAL))
        recist.append(Mark(f"r{n}", Carrier.SR, MarkKind.RECIST, image, points=points))
        for half in (0, 1):
            pair = points[2 * half : 2 * half + 2]
            lines.append(
                Mark(f"l{n}{half}", Carrier.GSPS, MarkKind.LINE, image, points=pair, group=f"g{n}")
            )
    return recist, lines, planes


def compared(rows: list[dict[str, str]], judged: list[JudgedMark]) -> dict[str, Any]:
    """Verdicts, and the largest errors against the table."""
    box_px = diameter_mm = 0.0
    for row, one in zip(rows, judged, strict=True):
        if one.box is None or one.long_mm is None or one.short_mm is None:
            continue
        truth = np.array(numbers(row["Bounding_boxes"])) - 1
        box_px = max(box_px, float(np.abs(np.array(one.box.to_list()) - truth).max()))
        spacing = numbers(row["Spacing_mm_px_"])[0]
        long, short = sorted(mm * spacing for mm in numbers(row["Lesion_diameters_Pixel_"]))[::-1]
        diameter_mm = max(diameter_mm, abs(one.long_mm - long), abs(one.short_mm - short))
    return {
        "verdicts": dict(Counter(one.verdict.value for one in judged)),
        "doubtful": sum(one.is_doubtful for one in judged),
        "largest_box_error_px": round(box_px, 5),
        "largest_diameter_error_mm": round(diameter_mm, 5),
    }


def header(study: int) -> Dataset:
    """An axial CT slice without pixels."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    for keyword, name in (
        ("SOPInstanceUID", "image"),
        ("StudyInstanceUID", "study"),
        ("SeriesInstanceUID", "series"),
    ):
        setattr(made, keyword, generate_uid(entropy_srcs=[name, str(study)]))
    made.PatientID, made.Modality = f"P{study}", "CT"
    made.Rows = made.Columns = 512
    made.PixelSpacing = [0.75, 0.75]
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 0], AXIAL.tolist()
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
        setattr(made, keyword, "")
    for keyword in ("AccessionNumber", "StudyDate", "StudyTime"):
        setattr(made, keyword, "")
    return made


def report(image: Dataset) -> bytes:
    """A TID 1500 report of RECIST marks on one image."""
    source = hd.SourceImageForRegion.from_source_image(image)
    groups = []
    for n in range(REPORT_MARKS):
        x, y = 30 + 45 * (n % 10), 30 + 45 * (n // 10)
        ends = (np.array([[x - 9, y], [x + 9, y]]), np.array([[x, y - 6], [x, y + 6]]))
        measurements = [
            hd.Measurement(
                name,
                float(np.linalg.norm(line[1] - line[0]) * 0.75),
                codes.UCUM.Millimeter,
                referenced_coordinates=[
                    hd.CoordinatesForMeasurement("POLYLINE", line + 0.5, source)
                ],
            )
            for name, line in zip((codes.SCT.LongAxis, codes.SCT.ShortAxis), ends, strict=True)
        ]
        groups.append(
            hd.MeasurementsAndQualitativeEvaluations(
                hd.TrackingIdentifier(generate_uid(), f"T{n}"), measurements=measurements
            )
        )
    observer = hd.ObserverContext(
        codes.DCM.Person, hd.PersonObserverIdentifyingAttributes("Reader^A")
    )
    content = hd.MeasurementReport(
        hd.ObservationContext(observer),
        codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    made = hd.ComprehensiveSR(
        [image],
        content,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="benchmark",
    )
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def judged_reports(count: int) -> Iterator[dict[str, Any]]:
    """Processor seconds and memory after each report: ten files, read in turn."""
    images = [header(n) for n in range(10)]
    files = [report(image) for image in images]
    planes = PlaneIndex.of(images)
    start = time.process_time()
    for n in range(count):
        content = files[n % len(files)]
        marks = [one for one in read_marks(content) if isinstance(one, Mark)]
        kept = sum(one.verdict.is_kept for one in judge_marks(marks, planes))
        yield {
            "kept": kept,
            "seconds": time.process_time() - start,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--marks", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with given.rows.open() as file:
        rows = list(csv.DictReader(file))
    told: dict[str, Any] = {"official_rows": len(rows)}
    recist, lines, planes = official(rows)
    for name, marks in (("recist_marks", recist), ("lines_of_one_group", lines)):
        start = time.process_time()
        judged = list(judge_marks(marks, planes))
        seconds = time.process_time() - start
        told[name] = {**compared(rows, judged), "seconds": round(seconds, 2)}
    loose = [mark.with_changes(group="") for mark in lines]
    told["lines_alone"] = {
        "verdicts": dict(Counter(one.verdict.value for one in judge_marks(loose, planes)))
    }
    steps = list(judged_reports(given.marks // REPORT_MARKS))
    told["reports"] = {
        "marks": REPORT_MARKS * len(steps),
        "kept": sum(step["kept"] for step in steps),
        "seconds": round(steps[-1]["seconds"], 1),
        "peak_mb_after_a_tenth": round(steps[len(steps) // 10]["peak_mb"]),
        "peak_mb_at_the_end": round(steps[-1]["peak_mb"]),
    }
    document = json.dumps(told, indent=1)
    print(document)
    if given.out is not None:
        given.out.write_text(document + "\n")


if __name__ == "__main__":
    main()
