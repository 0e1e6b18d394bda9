"""Which mask belongs to which image, and where it lies on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from tests.retrieval.sources.importers.masks.cases import LESIONS, SIZE, case, imported, mask_of
from tests.retrieval.sources.volumes.bodies import body, orders, stored_image, written


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
