"""A DeepLesion archive as a hospital's PACS would have held it: DICOM series and drawn marks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.deeplesion.row import TableRow
from retrieval.sources.deeplesion.table import read_lesion_table
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.jobs.mining.drawn import Drawn

FEET_MM = -1000.0


def by_series(rows: Sequence[TableRow]) -> dict[str, list[TableRow]]:
    """The rows of each series."""
    found: dict[str, list[TableRow]] = defaultdict(list)
    for row in rows:
        found[row.lesion.series_id].append(row)
    return dict(found)


def labels_of(row: TableRow) -> SeriesLabels:
    """Names of a row's series in the PACS; studies a month apart in their order."""
    lesion = row.lesion
    study = int(lesion.study_id.split("_")[1])
    day = date(2015 + study // 12, study % 12 + 1, 15)
    series = lesion.series_id.split("_")[2]
    return SeriesLabels(f"MRN{lesion.patient_id}", lesion.study_id, day, str(int(series)))


def series_with_pixels(archive: DeepLesionArchive) -> Iterator[tuple[list[Dataset], list[Drawn]]]:
    """Each series' slices on disk as DICOM, and its lesions drawn on them."""
    for series_id, rows in by_series(archive.rows).items():
        first = rows[0]
        folder = archive.image_path(series_id, first.lesion.key_slice_index).parent
        numbers = sorted((int(path.stem) for path in folder.glob("*.png")), reverse=True)
        hu = np.stack(
            [
                read_deeplesion_png(folder / f"{number:03d}.png", image_size=first.image_size)
                for number in numbers
            ]
        )
        labels = labels_of(first)
        datasets = ct_series(
            hu,
            labels,
            spacing_mm_px=first.spacing_mm_px,
            interval_mm=first.slice_interval_mm,
        )
        for dataset, number in zip(datasets, numbers, strict=True):
            # Numbers grow from the head to the feet.
            dataset.ImagePositionPatient[2] = FEET_MM - number * first.slice_interval_mm
        of_number = dict(zip(numbers, datasets, strict=True))
        yield (
            datasets,
            [
                drawn_of(row, of_number[row.lesion.key_slice_index], place)
                for place, row in enumerate(rows, start=1)
            ],
        )


def drawn_of(row: TableRow, header: Dataset, place: int) -> Drawn:
    """A row's mark on the header of its key slice."""
    return Drawn(header, row.recist, f"Lesion {place}", "", row.lesion.lesion_type)


def key_slices_without_pixels(table: Path) -> Iterator[tuple[list[Dataset], list[Drawn]]]:
    """Each series of a table: the headers of its key slices, and its lesions drawn on them."""
    for rows in by_series(read_lesion_table(table).rows).values():
        headers: dict[int, Dataset] = {}
        for row in rows:
            number = row.lesion.key_slice_index
            if number not in headers:
                headers[number] = _header(row)
        drawn = [
            drawn_of(row, headers[row.lesion.key_slice_index], place)
            for place, row in enumerate(rows, start=1)
        ]
        yield list(headers.values()), drawn


def _header(row: TableRow) -> Dataset:
    """A key slice's header; its few pixels are dropped and its size is the table's."""
    x_mm, y_mm = row.spacing_mm_px
    (image,) = ct_series(
        np.zeros((1, 1, 1)),
        labels_of(row),
        spacing_mm_px=(x_mm, y_mm),
        interval_mm=row.slice_interval_mm,
    )
    del image.PixelData
    number = row.lesion.key_slice_index
    image.Rows, image.Columns = row.image_size
    image.SOPInstanceUID = labels_of(row).instance_uid(number)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.InstanceNumber = number
    image.ImagePositionPatient[2] = FEET_MM - number * row.slice_interval_mm
    return image
