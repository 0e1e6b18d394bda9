"""CT with masks of one's own -> an archive: pairs, components, geometry, verdicts, resumption."""

from __future__ import annotations

from pathlib import Path

import cv2
import nrrd
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from retrieval.lesion import LesionError, LesionType
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.check import check_archive
from retrieval.sources.importers.masks.components import lesions_of
from retrieval.sources.importers.masks.importing import MaskOptions, MasksReport, import_masks
from retrieval.sources.importers.masks.types import LabelTypes
from retrieval.sources.importers.source import ImporterError
from tests.retrieval.sources.volumes.bodies import SPACING_MM, body, orders, stored_image, written

SIZE = (9, 60, 64)


def ball(center: tuple[int, int, int], radius: float) -> np.ndarray:
    """(slices, rows, columns), True within ``radius`` pixels of a point (z, y, x); flat in z."""
    z, y, x = np.indices(SIZE)
    return np.hypot(y - center[1], x - center[2]) <= radius - 1.5 * abs(z - center[0])


LESIONS = [((2, 20, 20), 6), ((6, 40, 44), 8), ((5, 15, 50), 4)]


def mask_of(*numbers: int) -> np.ndarray:
    """A label volume on the display grid: lesion n has the label n + 1."""
    mask = np.zeros(SIZE, np.int16)
    for number in numbers:
        mask[ball(*LESIONS[number])] = number + 1
    return mask


def case(
    folder: Path, name: str, mask: np.ndarray, ending: str = ".nii.gz", mask_name: str = "{}_mask"
) -> None:
    """An image and its mask in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written(stored_image(body(size=SIZE)), folder / f"{name}{ending}")
    written(stored_image(mask), folder / f"{mask_name.format(name)}{ending}")


def imported(images: Path, masks: Path, out: Path, **options: object) -> MasksReport:
    return import_masks(images, masks, out, MaskOptions(**options))  # type: ignore[arg-type]


def test_a_lesion_a_component_on_its_largest_slice(tmp_path: Path) -> None:
    case(tmp_path / "in", "case1", mask_of(0, 1, 2))
    types = LabelTypes.parse("1=liver,2=lung")
    report = imported(tmp_path / "in", tmp_path / "in", tmp_path / "out", types=types)
    assert (report.lesions, report.patients, report.left_out) == (3, 1, ())
    archive = DeepLesionArchive.open(tmp_path / "out")
    assert check_archive(tmp_path / "out").is_sound
    for row, (number, ((z, y, x), radius)) in zip(archive.rows, enumerate(LESIONS), strict=True):
        lesion = row.lesion
        kinds = (LesionType.LIVER, LesionType.LUNG, LesionType.UNKNOWN)
        assert lesion.lesion_type is kinds[number]
        # DeepLesion counts from 1 at the head.
        assert lesion.key_slice_index == SIZE[0] - z
        assert lesion.box.center == pytest.approx((x, y), abs=0.51)
        area_px, (x_mm, y_mm) = radius, row.spacing_mm_px
        assert lesion.long_mm == pytest.approx((2 * area_px + 1) * y_mm, rel=0.08)
        assert lesion.short_mm == pytest.approx((2 * area_px + 1) * x_mm, rel=0.12)
        slab = archive.slab(lesion, half_depth_mm=0)
        np.testing.assert_array_equal(slab.hu[0], body(size=SIZE)[z])
        voxels = ball(*LESIONS[number]).sum()
        volume_ml = voxels * np.prod(SPACING_MM) / 1000
        assert archive.attributes[lesion.lesion_id]["volume_ml"] == pytest.approx(volume_ml)


def test_components_agree_with_a_naive_search() -> None:
    rng = np.random.default_rng(4)
    mask = ndimage.gaussian_filter(rng.normal(size=(6, 40, 40)), 2) > 0.05
    numbered, count = ndimage.label(mask, np.ones((3, 3, 3)))
    found = lesions_of(mask, (0.7, 0.7), 5.0)
    assert len(found) == count > 2
    for number, lesion in enumerate(found, start=1):
        areas = [(numbered[k] == number).sum() for k in range(6)]
        assert lesion.key_slice == int(np.argmax(areas))
        rows, columns = np.nonzero(numbered[lesion.key_slice] == number)
        corners = [(x + dx, y + dy) for x, y in zip(columns, rows, strict=True)
                   for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)]  # fmt: skip
        longest = max(np.hypot(a[0] - b[0], a[1] - b[1]) for a in corners for b in corners) * 0.7
        assert longest - 0.7 <= lesion.long_mm <= longest + 1e-6


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_a_mask_in_another_order_of_axes_lies_where_it_lies(tmp_path: Path, ending: str) -> None:
    expected = None
    for number, (axes, signs) in list(enumerate(orders()))[:: 7 if ending == ".nii" else 11]:
        folder = tmp_path / str(number)
        folder.mkdir()
        written(stored_image(body(size=SIZE)), folder / f"a{ending}")
        written(stored_image(mask_of(0, 1), axes, signs), folder / f"a_mask{ending}")
        imported(folder, folder, folder / "out")
        ids = [lesion.lesion_id for lesion in DeepLesionArchive.open(folder / "out").lesions]
        expected = expected or ids
        assert len(ids) == 2
        assert ids == expected


def test_a_mask_of_a_part_of_the_image_is_laid_in_its_place(tmp_path: Path) -> None:
    case(tmp_path, "whole", mask_of(1))
    image = stored_image(mask_of(1))
    written(image[20:, 10:55, 2:], tmp_path / "whole_mask.nii.gz")
    first = imported(tmp_path, tmp_path, tmp_path / "part")
    written(image, tmp_path / "whole_mask.nii.gz")
    second = imported(tmp_path, tmp_path, tmp_path / "all")
    assert [v.lesion_id for v in first.verdicts] == [v.lesion_id for v in second.verdicts]
    assert "whole_mask.nii.gz has 44 x 45 x 7 voxels, whole.nii.gz 64 x 60 x 9" in (
        first.verdicts[0].reason
    )
    assert second.verdicts[0].reason == ""


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.nii.gz", "mask_a.nii.gz"),
        ("a.nii.gz", "a-label.nii.gz"),
        ("lesion_ct.nii.gz", "lesion_ct_tumor.nii.gz"),
        ("a_0000.nii.gz", "a_gt.nii.gz"),
        ("CT.nrrd", "CT.seg.nrrd"),
        ("P1/CT.nii", "P1/GTV_mask.mha"),
    ],
)
def test_images_and_masks_of_one_folder_are_told_apart_by_their_names(
    tmp_path, image, mask
) -> None:
    for number, name in enumerate(("other.nii", image)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(stored_image(body(number, size=SIZE)), tmp_path / name)
    written(stored_image(mask_of(0)), tmp_path / mask)
    report = imported(tmp_path, tmp_path, tmp_path / "out")
    assert report.lesions == 1
    archive = DeepLesionArchive.open(tmp_path / "out")
    key = archive.slab(archive.lesions[0], half_depth_mm=0).hu[0]
    np.testing.assert_array_equal(key, body(1, size=SIZE)[LESIONS[0][0][0]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image.SetSpacing((0.8, 0.9, 3.3)), "another size"),
        (lambda image: image.SetOrigin((0.4, 0, 0)), "0.50 voxels beside"),
        (lambda image: image.SetOrigin((900, 0, 0)), "nothing in common"),
    ],
)
def test_a_mask_that_does_not_lie_on_the_image_is_left_out_in_words(
    tmp_path: Path, change, words
) -> None:
    case(tmp_path, "good", mask_of(0))
    case(tmp_path, "bad", mask_of(0))
    image = stored_image(mask_of(0))
    change(image)
    written(image, tmp_path / "bad_mask.nii.gz")
    report = imported(tmp_path, tmp_path, tmp_path / "out")
    (left_out,) = report.left_out
    assert left_out.source == "bad_mask.nii.gz"
    assert words in left_out.reason
    assert report.lesions == 1


def test_pairs_by_name_by_folder_and_by_nothing_else(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    ct, mask = stored_image(body(size=SIZE)), stored_image(mask_of(0))
    for name in ("a.nii.gz", "b_0000.nii.gz", "P3/ct.nrrd", "P4/x.nii", "lonely.nii.gz"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        written(ct, images / name)
    for name in ("a_seg.nii.gz", "b.nii.gz", "P3/tumour.mha", "P4.nii", "stranger.nii.gz"):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        written(mask, masks / name)
    (masks / "README").write_text("not a mask")
    report = imported(images, masks, tmp_path / "out")
    assert report.lesions == 4
    assert {verdict.source: verdict.reason for verdict in report.left_out} == {
        "stranger.nii.gz": "no image has its name, its folder, or is what it refers to",
        "lonely.nii.gz": "no mask has its name, its folder or a reference to it",
    }


def test_several_masks_of_one_image(tmp_path: Path) -> None:
    case(tmp_path, "case1", mask_of(0), mask_name="{}_lesion1")
    written(stored_image(mask_of(1)), tmp_path / "case1_lesion2_mask.nii.gz")
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("case1_lesion1.nii.gz", "case1_lesion2_mask.nii.gz"):
        (tmp_path / name).rename(masks / name)
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "case1.nii.gz").rename(images / "case1.nii.gz")
    written(stored_image(body(size=SIZE)), images / "case2.nii.gz")
    report = imported(images, masks, tmp_path / "out")
    assert report.lesions == 2
    assert len({verdict.lesion_id[:12] for verdict in report.verdicts if verdict.lesion_id}) == 1


def test_it_goes_on_where_it_was_and_changes_nothing(tmp_path: Path) -> None:
    case(tmp_path / "in", "a", mask_of(0))
    out = tmp_path / "out"
    first = imported(tmp_path / "in", tmp_path / "in", out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    again = imported(tmp_path / "in", tmp_path / "in", out)
    assert (first.lesions, again.lesions, again.already_there) == (1, 0, 1)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    # A later patient whose name sorts first changes no number that was given.
    case(tmp_path / "in", "Aa", mask_of(1))
    later = imported(tmp_path / "in", tmp_path / "in", out)
    assert (later.lesions, later.already_there) == (1, 1)
    lesions = DeepLesionArchive.open(out).lesions
    assert [lesion.patient_id for lesion in lesions] == ["000001", "000002"]
    assert check_archive(out).is_sound


def test_small_components_and_skipped_labels_are_left_out_by_name(tmp_path: Path) -> None:
    mask = mask_of(0, 1)
    mask[8, 3, 3] = 1
    case(tmp_path, "a", mask)
    types = LabelTypes.parse("2=skip,7=liver")
    report = imported(tmp_path, tmp_path, tmp_path / "out", types=types)
    assert report.lesions == 1
    small, skipped = sorted(report.left_out, key=lambda verdict: verdict.label)
    assert (skipped.label, skipped.reason) == ("2", "--types leaves this label out")
    assert small.label == "1"
    assert small.reason.endswith("mm long, under --min-mm 2")
    assert report.notes == ("no mask has the label '7' of --types",)
    assert report.to_json()["lesions"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: ((hu + 1024) / 3000).astype(np.float32), "does not hold HU"),
        (lambda hu: hu + 1024, "does not hold HU"),
    ],
)
def test_what_is_not_hu_makes_no_archive(tmp_path: Path, change, words) -> None:
    ct = SimpleITK.GetImageFromArray(change(body(size=SIZE)))
    ct.SetSpacing(SPACING_MM)
    written(ct, tmp_path / "a.nii.gz")
    mask = SimpleITK.GetImageFromArray(mask_of(0))
    mask.SetSpacing(SPACING_MM)
    written(mask, tmp_path / "a_mask.nii.gz")
    with pytest.raises(ImporterError, match=words):
        imported(tmp_path, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = imported(tmp_path, tmp_path, tmp_path / "out", assume_hu=True)
    assert report.lesions == 1
    assert "assume_hu" in report.verdicts[0].reason


def test_what_is_no_mask_is_left_out(tmp_path: Path) -> None:
    case(tmp_path, "good", mask_of(0))
    for name, values in (
        ("noise", body(size=SIZE)),
        ("share", mask_of(0).astype(np.float32) * 0.4),
        ("empty", mask_of()),
    ):
        written(stored_image(body(size=SIZE)), tmp_path / f"{name}.nii.gz")
        written(stored_image(values), tmp_path / f"{name}_mask.nii.gz")
    report = imported(tmp_path, tmp_path, tmp_path / "out")
    reasons = {verdict.source: verdict.reason for verdict in report.left_out}
    assert "a whole number for each label" in reasons["noise_mask.nii.gz"]
    assert "holds 0.4" in reasons["share_mask.nii.gz"]
    assert reasons["empty_mask.nii.gz"] == "the mask is empty"
    assert report.lesions == 1


def test_an_archive_of_something_else_is_never_touched(tmp_path: Path) -> None:
    case(tmp_path / "in", "a", mask_of(0))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "DL_info.csv").write_text("File_name\n")
    with pytest.raises(ImporterError, match="did not make"):
        imported(tmp_path / "in", tmp_path / "in", tmp_path / "out")


def test_nothing_to_pair_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ImporterError, match="has a mask in"):
        imported(tmp_path / "in", tmp_path / "in", tmp_path / "out")
    with pytest.raises(ImporterError, match="does not exist"):
        imported(tmp_path / "nowhere", tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("text", ["liver", "1=liver,2=lung", "GTV=lung,*=skip"])
def test_types_are_parsed(text: str) -> None:
    types = LabelTypes.parse(text)
    assert types.of("1") in {LesionType.LIVER, None}


@pytest.mark.parametrize("text", ["1=nonsense", "=liver", "1=", "1=liver,1=lung", "whatever"])
def test_types_that_are_none_are_refused(text: str) -> None:
    with pytest.raises((ImporterError, LesionError)):
        LabelTypes.parse(text)


def test_key_slices_of_real_sarcomas_are_those_of_their_index(real_data, tmp_path: Path) -> None:
    source = real_data / "sarcoma_ct"
    report = import_masks(
        source / "dicom",
        source / "dicom",
        tmp_path / "out",
        MaskOptions(LabelTypes.parse("soft tissue")),
    )
    (verdict,) = report.verdicts
    assert verdict.label == "GTV_Mass_CT"
    archive = DeepLesionArchive.open(tmp_path / "out")
    (lesion,) = archive.lesions
    line = next(
        line.split(",")
        for line in (source / "index.csv").read_text().splitlines()
        if "STS_007" in line
    )
    slices = int(line[2].split("x")[2])
    assert slices - lesion.key_slice_index == int(line[6])
    x0, y0, x1, y1 = (float(edge) for edge in line[8:12])
    inner = lesion.box.padded(-5)
    assert (inner.x1, inner.y1, inner.x2, inner.y2) == pytest.approx((x0, y0, x1, y1), abs=12)
    assert cv2.imread(str(archive.image_path(lesion.series_id, 1)), -1).dtype == np.uint16


def test_real_seg_and_structure_set_lie_on_their_ct(real_data, tmp_path: Path) -> None:
    seg = real_data / "samples" / "seg_dcmqi_liver"
    report = import_masks(
        seg, seg / "liver.dcm", tmp_path / "seg", MaskOptions(LabelTypes.parse("liver"))
    )
    assert report.lesions == 1
    archive = DeepLesionArchive.open(tmp_path / "seg")
    slab = archive.slab(archive.lesions[0], half_depth_mm=0)
    x, y = (round(v) for v in archive.lesions[0].box.center)
    # The liver stands on the patient's right, on the left of the picture, and is enhanced.
    assert x < slab.columns / 2
    assert 20 < float(np.median(slab.hu[0, y - 10 : y + 10, x - 10 : x + 10])) < 200
    rt = real_data / "samples" / "rtstruct_4dlung"
    types = LabelTypes.parse("Tumor_c40=lung,LN_c40=mediastinum,*=skip")
    report = import_masks(rt, rt, tmp_path / "rt", MaskOptions(types))
    tumour = [v for v in report.verdicts if v.label == "Tumor_c40" and v.lesion_id]
    assert len(tumour) == 1
    assert "contours lie off the slices" in tumour[0].reason


def test_overlapping_segments_of_3d_slicer_are_lesions_each(tmp_path: Path) -> None:
    """The second segment lies within the first: one array cannot hold both."""
    image = stored_image(body(size=SIZE))
    written(image, tmp_path / "ct.nrrd")
    outer, inner = ball((6, 40, 44), 10), ball((6, 40, 41), 5)
    values = np.stack([stored(one) for one in (outer, inner)])
    header = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": [[np.nan] * 3, *np.diag(image.GetSpacing()).tolist()],
        "space origin": image.GetOrigin(),
        "Segment0_Name": "outer",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "inner",
        "Segment1_LabelValue": "1",
        "Segment1_Layer": "1",
    }
    nrrd.write(str(tmp_path / "ct.seg.nrrd"), values, header)
    report = imported(tmp_path, tmp_path, tmp_path / "out")
    assert sorted(verdict.label for verdict in report.verdicts) == ["inner", "outer"]
    lengths = [one.long_mm for one in DeepLesionArchive.open(tmp_path / "out").lesions]
    assert max(lengths) > 1.6 * min(lengths)


def stored(mask: np.ndarray) -> np.ndarray:
    """(i, j, k) of a mask as the file of its image stores it."""
    image = stored_image(mask.astype(np.int16))
    return np.asarray(SimpleITK.GetArrayFromImage(image), np.uint8).transpose(2, 1, 0)
