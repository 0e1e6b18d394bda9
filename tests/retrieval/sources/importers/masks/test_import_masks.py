"""CT with masks of one's own -> an archive: components, verdicts, resumption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from retrieval.lesion import LesionError, LesionType
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.check import check_archive
from retrieval.sources.importers.masks.components import lesions_of
from retrieval.sources.importers.masks.types import LabelTypes
from retrieval.sources.importers.source import ImporterError
from tests.retrieval.sources.importers.masks.cases import (
    LESIONS,
    SIZE,
    ball,
    case,
    imported,
    mask_of,
)
from tests.retrieval.sources.volumes.bodies import SPACING_MM, body, stored_image, written


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
