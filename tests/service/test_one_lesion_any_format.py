"""The sample's real lesions written in other formats and orientations: one lesion, one answer."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from starlette.testclient import TestClient

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.sources.axes import grid_of_steps
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.indexing import index_archive

K = 10
CLI_EVERY = 11
"""The command line loads its models each time: every so manyth lesion is asked through it."""

ORIENTATIONS = {
    "usual": ((1, 0, 0), (0, 1, 0)),
    "prone": ((-1, 0, 0), (0, -1, 0)),
    "mirrored": ((-1, 0, 0), (0, 1, 0)),
    "rows for columns": ((0, 1, 0), (1, 0, 0)),
}
"""Direction of the columns and of the rows in patient coordinates."""


@pytest.fixture(scope="module")
def sample(real_data) -> DeepLesionArchive:
    return DeepLesionArchive.open(real_data / "deeplesion_sample")


@pytest.fixture(scope="module")
def searched(sample, tmp_path_factory) -> SearchEngine:
    encoder = LesionEncoder.load()
    index = LesionIndex.create(tmp_path_factory.mktemp("sample") / "index", binding_of(encoder))
    index_archive(sample, index, encoder)
    return SearchEngine(encoder, index)


@pytest.fixture(scope="module")
def client(searched):
    settings = Settings(index=searched.index.path, max_body_mb=200, max_volume_mb=400)
    with TestClient(create_app(settings, engine=searched)) as opened:
        yield opened


def png_path(sample, lesion) -> Path:
    return sample.root / sample.source(lesion).image


def as_dicom(folder: Path, slab: Slab, orientation: str) -> GridMap:
    """Writes the slab's slices as one DICOM series; returns the map to its columns and rows."""
    across, down = (np.array(one, float) for one in ORIENTATIONS[orientation])
    normal = np.cross(across, down)
    lengths = np.array([*slab.spacing_mm_px, slab.slice_interval_mm])
    steps = (
        np.stack([across, down, normal])
        * np.abs(np.stack([across, down, normal]) @ lengths)[:, None]
    )
    shape = np.array(slab.hu.shape[::-1])
    file_size = tuple(int(n) for n in np.abs(np.stack([across, down, normal])) @ shape)
    grid = grid_of_steps("ct", steps, file_size)
    # What the reader undoes: the display's voxels at their places in the file.
    stored = slab.hu[:: grid.step[2], :: grid.step[1], :: grid.step[0]]
    if grid.rows_first:
        stored = stored.transpose(0, 2, 1)
    origin = (
        np.array([0 if s > 0 else n - 1 for s, n in zip(grid.step, shape, strict=True)]) * lengths
    )
    folder.mkdir()
    series = generate_uid()
    for number, plane in enumerate(stored):
        image = _image(plane, series, number)
        image.ImageOrientationPatient = [*across, *down]
        image.ImagePositionPatient = [round(float(v), 6) for v in origin + steps[2] * number]
        image.PixelSpacing = [float(np.linalg.norm(steps[1])), float(np.linalg.norm(steps[0]))]
        image.SliceThickness = slab.slice_interval_mm
        pydicom.dcmwrite(folder / f"IM{number:04d}", image, enforce_file_format=True)
    return grid


def _image(plane: NDArray[np.float32], series: str, number: int) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.SeriesInstanceUID, image.Modality, image.InstanceNumber = series, "CT", number + 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Rows, image.Columns = plane.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
    image.PixelData = np.ascontiguousarray(plane, "<i2").tobytes()
    return image


def as_nifti(path: Path, slab: Slab) -> GridMap:
    """As dcm2niix writes it: i to the patient's left, j to the front, k to the head."""
    x_mm, y_mm = slab.spacing_mm_px
    affine = np.diag([-x_mm, y_mm, slab.slice_interval_mm, 1])
    volume = nib.Nifti1Image(slab.hu[:, ::-1].transpose(2, 1, 0).astype(np.int16), affine)
    volume.header.set_xyzt_units("mm")
    nib.save(volume, path)
    return GridMap(step=(1, -1, 1), origin=(0, slab.rows - 1, 0))


def as_nrrd(path: Path, slab: Slab) -> GridMap:
    """As 3D Slicer writes it: i to the left, j to the back, k to the head."""
    directions = np.diag([*slab.spacing_mm_px, slab.slice_interval_mm])
    header = {
        "space": "left-posterior-superior",
        "space directions": directions,
        "units": ["mm"] * 3,
    }
    nrrd.write(str(path), slab.hu.transpose(2, 1, 0).astype(np.int16), header)
    return GridMap()


def other_forms(slab: Slab, folder: Path) -> dict[str, tuple[Path, GridMap]]:
    """Every other form of the slab: where it lies, and the map to its own grid."""
    forms = {
        f"dicom {name}": (folder / name, as_dicom(folder / name, slab, name))
        for name in ORIENTATIONS
    }
    forms["nifti"] = (folder / "ct.nii.gz", as_nifti(folder / "ct.nii.gz", slab))
    forms["nrrd"] = (folder / "ct.nrrd", as_nrrd(folder / "ct.nrrd", slab))
    return forms


def fields_of(lesion, slab: Slab, grid: GridMap) -> dict[str, str]:
    """The lesion's mark in the grid of a form."""
    box = grid.to_file_box(lesion.box)
    return {
        "box": ",".join(str(edge) for edge in box.to_list()),
        "key_slice_index": str(grid.to_file_slice(slab.key_slice)),
        "patient_id": lesion.patient_id,
        "study_id": lesion.study_id,
    }


def assert_same_answer(document, expected, grid: GridMap, where: str) -> None:
    assert [hit["lesion"]["lesion_id"] for hit in document["hits"]] == [
        hit["lesion"]["lesion_id"] for hit in expected["hits"]
    ], where
    np.testing.assert_allclose(
        [hit["similarity"] for hit in document["hits"]],
        [hit["similarity"] for hit in expected["hits"]],
        atol=1e-3,
        err_msg=where,
    )
    names = ("state", "lesion")
    assert [[one[name] for name in names] for one in document["follow_ups"]] == [
        [one[name] for name in names] for one in expected["follow_ups"]
    ], where
    assert document["grid"] == "file"
    assert document["recognised"] == expected["recognised"], where


def sent(path: Path) -> bytes:
    if path.is_file():
        return path.read_bytes()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(path.iterdir()):
            archive.write(file, file.name)
    return packed.getvalue()


def test_23_lesions_through_http(client, sample, searched, tmp_path):
    assert len(sample.lesions) == 23
    for lesion in sample.lesions:
        slab = open_query_image(png_path(sample, lesion))
        expected = by_http(client, png_folder(sample, lesion, slab), lesion, slab, slab.grid)
        folder = tmp_path / lesion.lesion_id
        folder.mkdir()
        for name, (path, grid) in other_forms(slab, folder).items():
            document = by_http(client, {"file": (path.name, sent(path))}, lesion, slab, grid)
            assert_same_answer(document, expected, grid, f"{lesion.lesion_id} as {name}")
            expected_box = grid.to_file_box(lesion.box).to_list()
            np.testing.assert_allclose(document["box"], expected_box, atol=1e-6)


def png_folder(sample, lesion, slab: Slab) -> list:
    folder = png_path(sample, lesion).parent
    return [
        ("files", (f"{number:03d}.png", (folder / f"{number:03d}.png").read_bytes()))
        for number in slab.slice_numbers
    ]


def by_http(client, files, lesion, slab: Slab, grid: GridMap) -> dict:
    fields = fields_of(lesion, slab, grid)
    if isinstance(files, list):
        # Several PNGs are numbered from 1 in their order.
        fields["key_slice_index"] = str(lesion.key_slice_index - slab.slice_numbers[0] + 1)
        fields["spacing"] = ",".join(map(str, (*slab.spacing_mm_px, slab.slice_interval_mm)))
    answer = client.post("/v1/search", files=files, data={**fields, "k": str(K)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_so_manyth_lesion_through_the_command_line(
    sample, searched, tmp_path, run: Callable[..., tuple[int, str, str]]
):
    index = searched.index.path
    for lesion in sample.lesions[::CLI_EVERY]:
        slab = open_query_image(png_path(sample, lesion))
        expected = by_command(run, index, png_path(sample, lesion), lesion, slab, slab.grid)
        folder = tmp_path / lesion.lesion_id
        folder.mkdir()
        for name, (path, grid) in other_forms(slab, folder).items():
            document = by_command(run, index, path, lesion, slab, grid)
            assert_same_answer(document, expected, grid, f"{lesion.lesion_id} as {name}")


def by_command(run, index: Path, path: Path, lesion, slab: Slab, grid: GridMap) -> dict:
    fields = fields_of(lesion, slab, grid)
    status, out, err = run(
        *("query", path, "--index", index, "--json", "-k", K),
        *("--box", fields["box"], "--key-slice", fields["key_slice_index"]),
        *("--patient", lesion.patient_id, "--study", lesion.study_id),
    )
    assert status == 0, err
    return json.loads(out)
