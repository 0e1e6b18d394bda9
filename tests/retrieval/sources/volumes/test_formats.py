"""NIfTI, NRRD and MetaImage: every order of axes, every way of storing, against SimpleITK."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.image import CTError
from retrieval.sources.query_image import ImageKind, kind_of, open_query_image
from retrieval.sources.volumes.reading import claimed_shape, read_mask, read_volume, volume_slab
from retrieval.sources.volumes.stored import VolumeError
from tests.retrieval.sources.volumes.bodies import SPACING_MM, body, orders, stored_image, written

FORMATS = [
    (".nii", False),
    (".nii.gz", True),
    (".hdr", False),
    (".nrrd", False),
    (".nrrd", True),
    (".nhdr", False),
    (".nhdr", True),
    (".mha", False),
    (".mha", True),
    (".mhd", False),
    (".mhd", True),
]
IDS = [f"{ending}{' packed' if packed else ''}" for ending, packed in FORMATS]


def assert_as_simpleitk_reads(path: Path) -> None:
    """Values, steps and origin in the file's own order."""
    volume = read_volume(path)
    reference = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(volume.values, SimpleITK.GetArrayFromImage(reference))
    directions = np.asarray(reference.GetDirection()).reshape(3, 3)
    steps = (directions * np.asarray(reference.GetSpacing())).T
    np.testing.assert_allclose(volume.steps_mm, steps, atol=1e-4)
    np.testing.assert_allclose(volume.origin_mm, reference.GetOrigin(), atol=1e-3)
    assert claimed_shape(path)[:3] == reference.GetSize()


@pytest.mark.parametrize(("ending", "packed"), FORMATS, ids=IDS)
def test_all_48_orders_give_one_picture(tmp_path: Path, ending: str, packed: bool) -> None:
    expected = body(size=(5, 20, 24))
    for number, (axes, signs) in enumerate(orders()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = written(stored_image(expected, axes, signs), folder / f"ct{ending}", packed=packed)
        assert_as_simpleitk_reads(path)
        slab = open_query_image(path)
        np.testing.assert_array_equal(slab.hu, expected)
        assert (*slab.spacing_mm_px, slab.slice_interval_mm) == pytest.approx(SPACING_MM)


@settings(max_examples=30, deadline=None)
@given(
    order=st.sampled_from(list(orders())),
    place=st.tuples(*(st.integers(0, n - 1) for n in (24, 20, 5))),
    ending=st.sampled_from([".nii.gz", ".nrrd", ".mha"]),
)
def test_a_voxel_of_the_file_is_found_in_the_picture(
    tmp_path_factory, order, place, ending
) -> None:
    """A mark set in the file's own voxel i, j, k stands where the slab's grid says."""
    image = stored_image(body(size=(5, 20, 24)), *order)
    i, j, k = (index % size for index, size in zip(place, image.GetSize(), strict=True))
    image[i, j, k] = 3000
    path = written(image, tmp_path_factory.mktemp("mark") / f"ct{ending}")
    slab = volume_slab(path)
    depth, row, column = np.unravel_index(int(slab.hu.argmax()), slab.hu.shape)
    index = dict(zip(slab.grid.axes, (column, row, depth), strict=True))
    steps = dict(
        zip(slab.grid.axes, zip(slab.grid.origin, slab.grid.step, strict=True), strict=True)
    )
    assert [steps[a][0] + steps[a][1] * int(index[a]) for a in range(3)] == [i, j, k]


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "u4", "i8", "f4", "f8", ">i2", ">f4"])
def test_every_type_of_number(tmp_path: Path, dtype: str) -> None:
    values = body().transpose(2, 1, 0)
    stored = (values.astype(np.int64) + (0 if np.dtype(dtype).kind != "u" else 1024)).astype(dtype)
    affine = np.diag([-0.8, -0.9, 3.0, 1.0])
    image = nib.Nifti1Image(stored, affine, dtype=stored.dtype)
    if np.dtype(dtype).kind == "u":
        image.header.set_slope_inter(1, -1024)
    nib.save(image, tmp_path / "ct.nii")
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.8, 0.9, 3.0]),
        "space origin": [0, 0, 0],
    }
    nrrd.write(str(tmp_path / "ct.nrrd"), stored, header)
    for name in ("ct.nii", "ct.nrrd"):
        if name == "ct.nii" and np.dtype(dtype).kind == "u":
            np.testing.assert_array_equal(volume_slab(tmp_path / name).hu, body())
        else:
            assert_as_simpleitk_reads(tmp_path / name)


def test_scaled_values_are_those_of_simpleitk(tmp_path: Path) -> None:
    image = nib.Nifti1Image(body().transpose(2, 1, 0) * 2, np.diag([-0.8, -0.9, 3.0, 1.0]))
    image.header["scl_slope"], image.header["scl_inter"] = 0.5, 0.25
    nib.save(image, tmp_path / "ct.nii.gz")
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "ct.nii.gz")))
    np.testing.assert_allclose(read_volume(tmp_path / "ct.nii.gz").values, expected, atol=1e-4)


@pytest.mark.parametrize("space", ["RAS", "LAS", "left-posterior-superior"])
def test_every_space_of_nrrd(tmp_path: Path, space: str) -> None:
    header = {
        "space": space,
        "space directions": np.diag([1.0, 2.0, 3.0]),
        "space origin": [4, 5, 6],
    }
    nrrd.write(str(tmp_path / "ct.nrrd"), body(), header)
    assert_as_simpleitk_reads(tmp_path / "ct.nrrd")


@pytest.mark.parametrize(("ending", "packed"), FORMATS, ids=IDS)
def test_the_name_of_a_file_decides_nothing(tmp_path: Path, ending: str, packed: bool) -> None:
    path = written(stored_image(body()), tmp_path / f"ct{ending}", packed=packed)
    kind = kind_of(path)
    assert kind.is_volume
    renamed = path.rename(tmp_path / "ct.dat")
    if ending in {".hdr", ".nhdr", ".mhd"}:
        # The data file keeps its name; the header's own does not matter.
        assert kind_of(renamed) is kind
    np.testing.assert_array_equal(open_query_image(renamed).hu, body())


@pytest.mark.parametrize("ending", [".hdr", ".nhdr", ".mhd"])
def test_a_data_file_leads_to_its_header(tmp_path: Path, ending: str) -> None:
    path = written(stored_image(body()), tmp_path / f"ct{ending}")
    data = next(file for file in tmp_path.iterdir() if file != path)
    assert kind_of(data) is ImageKind.UNKNOWN
    np.testing.assert_array_equal(open_query_image(data).hu, body())
    np.testing.assert_array_equal(open_query_image(tmp_path).hu, body())


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_gzip_of_the_whole_file_is_read(tmp_path: Path, ending: str) -> None:
    path = written(stored_image(body()), tmp_path / f"ct{ending}")
    packed = tmp_path / "no suffix"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(open_query_image(packed).hu, body())


@pytest.mark.parametrize(("ending", "packed"), FORMATS, ids=IDS)
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_a_file_cut_short_is_refused(
    tmp_path: Path, ending: str, packed: bool, kept: float
) -> None:
    path = written(stored_image(body()), tmp_path / f"ct{ending}", packed=packed)
    largest = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CTError):
        open_query_image(path)


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
@pytest.mark.parametrize("named", ["../secret.raw", "/etc/passwd", "a/b.raw", "..", "C:\\x.raw"])
def test_a_header_never_leads_out_of_its_folder(tmp_path: Path, ending: str, named: str) -> None:
    folder = tmp_path / "case"
    folder.mkdir()
    path = written(stored_image(body()), folder / f"ct{ending}")
    data = next(file for file in folder.iterdir() if file != path)
    shutil.copy(data, tmp_path / "secret.raw")
    path.write_text(path.read_text().replace(data.name, named))
    with pytest.raises(VolumeError, match="beside"):
        volume_slab(path)


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    path = written(stored_image(body()), tmp_path / "ct.mhd")
    (tmp_path / "ct.raw").unlink()
    with pytest.raises(VolumeError, match=r"ct\.mhd names the data file 'ct\.raw', which is not"):
        open_query_image(path)
    pair = written(stored_image(body()), tmp_path / "pair.hdr")
    (tmp_path / "pair.img").rename(tmp_path.parent / "pair.img")
    path.unlink()
    with pytest.raises(VolumeError, match="header of a NIfTI pair"):
        open_query_image(pair)


def edited(tmp_path: Path, ending: str, old: str, new: str) -> Path:
    """A sound file whose header says something else."""
    path = written(stored_image(body()), tmp_path / f"ct{ending}")
    head = path.read_bytes()
    assert old.encode() in head
    path.write_bytes(head.replace(old.encode(), new.encode(), 1))
    return path


@pytest.mark.parametrize(
    ("ending", "old", "new", "words"),
    [
        (".mha", "TransformMatrix", "Xransformatrix", "left and right would be a guess"),
        (".mha", "MET_SHORT", "MET_SHORT_ARRAY", "MET_SHORT_ARRAY"),
        (".mha", "NDims = 3", "NDims = 3\nElementNumberOfChannels = 3", "3 values a voxel"),
        (".mha", "DimSize = 48 40 9", "DimSize = 48 40 3 3", "one 3D volume"),
        (".mha", "DimSize = 48 40 9", "DimSize = 48 40 900000", "cut short"),
        (".mha", "LOCAL", "LIST", "several data files"),
        (".mha", "ElementSpacing = 0.8", "ElementSpacing = nan", "ElementSpacing"),
        (".mha", "NDims = 3", "NDims = 3\nModality = MET_MOD_MR", "'MR'"),
        (".nrrd", "left-posterior-superior", "scanner-xyz", "left and right would be a guess"),
        (".nrrd", "encoding: raw", "encoding: ascii", "ascii"),
        (".nrrd", "type: short", "type: block", "block"),
        (".nrrd", "sizes: 48 40 9", "sizes: 48 40 900000", "cut short"),
        (".nrrd", "sizes: 48 40 9", "sizes: 48 40", "sizes"),
    ],
)
def test_what_a_header_must_not_say(tmp_path: Path, ending, old, new, words) -> None:
    with pytest.raises(CTError, match=words):
        volume_slab(edited(tmp_path, ending, old, new))


def test_a_small_file_that_inflates_without_end_costs_what_it_claims(tmp_path: Path) -> None:
    path = written(stored_image(body()), tmp_path / "ct.nrrd", packed=True)
    head, _, _ = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n\n" + gzip.compress(bytes(1 << 26)))
    volume = read_volume(path)
    assert volume.values.shape == (9, 40, 48)


def test_labels_of_3d_slicer_have_their_names(tmp_path: Path) -> None:
    header = {
        "space": "left-posterior-superior",
        "space directions": np.eye(3),
        "space origin": [0, 0, 0],
        "Segment0_Name": "Tumour",
        "Segment0_LabelValue": "2",
    }
    nrrd.write(str(tmp_path / "m.seg.nrrd"), np.zeros((3, 4, 5), np.uint8), header)
    assert read_volume(tmp_path / "m.seg.nrrd").label_names == {2: "Tumour"}


def test_layers_of_3d_slicer_are_masks_of_their_own(tmp_path: Path) -> None:
    """Segments that overlap stand in layers along the first axis, as 3D Slicer writes them."""
    layers = np.zeros((2, 3, 4, 5), np.uint8)
    layers[0, 1:, 1:3, 2:4] = 1
    layers[1, 2, 2, 3] = 1
    layers[1, 0, 0, 0] = 2
    header = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": [[np.nan] * 3, [0.8, 0, 0], [0, 0.9, 0], [0, 0, 3]],
        "space origin": [1, 2, 3],
        "Segment0_Name": "organ",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "lesion",
        "Segment1_LabelValue": "1",
        "Segment1_Layer": "1",
    }
    nrrd.write(str(tmp_path / "m.seg.nrrd"), layers, header)
    organ, lesion = read_mask(tmp_path / "m.seg.nrrd")
    np.testing.assert_array_equal(organ.values, layers[0].transpose(2, 1, 0))
    np.testing.assert_array_equal(lesion.values, layers[1].transpose(2, 1, 0))
    assert (organ.label_names, lesion.label_names) == ({1: "organ"}, {1: "lesion"})
    assert organ.spacing_mm == (0.8, 0.9, 3.0)
    np.testing.assert_array_equal(organ.origin_mm, [1, 2, 3])
    with pytest.raises(VolumeError, match="one 3D volume is read"):
        read_volume(tmp_path / "m.seg.nrrd")


def test_nan_outside_the_field_of_view_is_air_and_said(tmp_path: Path) -> None:
    values = body().astype(np.float32)
    values[:, :, :4] = np.nan
    path = written(stored_image(values), tmp_path / "ct.nii")
    slab = volume_slab(path)
    np.testing.assert_array_equal(slab.hu[:, :, :4], -1024)
    np.testing.assert_array_equal(slab.hu[:, :, 4:], values[:, :, 4:])
    (note,) = slab.notes
    assert "outside the field of view: read as air" in note
    values[2, 20, 20] = np.nan
    with pytest.raises(VolumeError, match="holds 1 values within the picture"):
        volume_slab(written(stored_image(values), tmp_path / "hole.nii"))
    values[2, 20, 20] = np.inf
    with pytest.raises(VolumeError, match="holds 1 values within the picture"):
        volume_slab(written(stored_image(values), tmp_path / "endless.nii"))


SEEDS = [(".nii", False), (".nii.gz", True), (".nrrd", True), (".nhdr", False), (".mha", False)]


def mutated(content: bytes, changes: list[tuple[int, bytes, bool]]) -> bytes:
    """Some bytes of a header replaced, or others put in."""
    for place, piece, replaces in changes:
        start = place % max(min(len(content), 600), 1)
        content = content[:start] + piece + content[start + (len(piece) if replaces else 0) :]
    return content


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(
            st.integers(0, 600),
            st.one_of(
                st.binary(min_size=1, max_size=4),
                st.sampled_from([b"9" * 14, b"-1", b"nan", b"1e400", b"\n\n", b"(", b"none"]),
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_a_spoilt_header_is_read_or_refused_in_one_line(tmp_path_factory, seed, changes) -> None:
    ending, packed = seed
    folder = tmp_path_factory.mktemp("spoilt")
    path = written(stored_image(body(size=(3, 12, 14))), folder / f"ct{ending}", packed=packed)
    path.write_bytes(mutated(path.read_bytes(), changes))
    try:
        open_query_image(path)
    except CTError as refused:
        words = str(refused)
    else:
        return
    assert len(words.splitlines()) == 1
