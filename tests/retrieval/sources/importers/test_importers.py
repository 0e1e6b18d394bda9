"""Importers on parts of the real collections: pixels, marks, tracks and splits."""

from __future__ import annotations

import csv
import shutil
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest

from retrieval.lesion import LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.importers.backgrounds import BackgroundSource
from retrieval.sources.importers.real_positions import PositionRecipe, import_real_positions
from retrieval.sources.importers.registry import IMPORTERS, importer
from retrieval.sources.importers.sarcoma import import_sarcoma
from retrieval.sources.importers.source import ImporterError
from retrieval.synthesis.pasted import PastedRecipe, import_pasted


def part_of_index(source, target, keep):
    """Links a collection's files and copies the rows of its index that ``keep`` accepts."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name != "index.csv":
            (target / entry.name).symlink_to(entry)
    with (source / "index.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if keep(row)]
        columns = reader.fieldnames
    with (target / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def check_sound(archive):
    """No problem row, no patient in two splits."""
    assert not archive.problems
    split_of = {}
    for lesion in archive.lesions:
        assert split_of.setdefault(lesion.patient_id, lesion.split) is lesion.split


@pytest.fixture(scope="module")
def nodules(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodules")
    rows = part_of_index(
        real_data / "lung_nodules",
        folder / "source",
        lambda row: row["patient"] < "LIDC-IDRI-0030" or row["patient"] == "LIDC-IDRI-0686",
    )
    heard = []
    report = importer("lung-nodules")(
        folder / "source", folder / "out", progress=lambda done, total: heard.append((done, total))
    )
    assert heard[-1][0] == heard[-1][1] == len({row["patient"] for row in rows})
    return folder, rows, report


def test_nodules_keep_their_hu_and_get_two_rows_of_one_track(nodules):
    folder, rows, report = nodules
    archive = DeepLesionArchive.open(folder / "out")
    check_sound(archive)
    assert report.rows == len(archive.lesions) == 2 * len(rows)
    by_track = {}
    for lesion in archive.lesions:
        by_track.setdefault(archive.track_ids[lesion.lesion_id], []).append(lesion)
    assert set(by_track) == {f"nodule-{row['lesion_id']}" for row in rows}
    for row in rows[:10]:
        key, following = by_track[f"nodule-{row['lesion_id']}"]
        assert abs(key.key_slice_index - following.key_slice_index) == 1
        assert key.study_id == following.study_id
        flags = [archive.attributes[lesion.lesion_id]["next_slice"] for lesion in (key, following)]
        assert flags == [0.0, 1.0]
        volume = nib.load(folder / "source" / "image" / f"{row['lesion_id']}.nii.gz")
        assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
        expected = np.asarray(volume.dataobj)[:, :, int(row["slice"])].T
        slab = archive.slab(key, half_depth_mm=0)
        np.testing.assert_array_equal(slab.hu[slab.key_slice], expected)
        # The mark reaches the mask's outer pixels; the published box ends after the last pixel.
        published = [float(row[edge]) for edge in ("x1", "y1", "x2", "y2")]
        x, y = key.box.center
        assert published[0] <= x <= published[2]
        assert published[1] <= y <= published[3]
        diagonal = np.hypot(published[2] - published[0], published[3] - published[1])
        longest = max(published[2] - published[0], published[3] - published[1])
        spacing = float(row["spacing_xy_mm"])
        assert (longest - 1) * spacing <= key.long_mm <= diagonal * spacing


def test_ratings_travel_with_both_rows(nodules):
    folder, _, _ = nodules
    archive = DeepLesionArchive.open(folder / "out")
    with (folder / "source" / "ratings.csv").open() as file:
        rated = {f"{row['patient_id']}_R_{row['nodule_id']}": row for row in csv.DictReader(file)}
    for lesion in archive.lesions:
        row = rated[archive.track_ids[lesion.lesion_id].removeprefix("nodule-")]
        attributes = archive.attributes[lesion.lesion_id]
        assert attributes["malignancy"] == float(row["Malignancy_value"])
        assert attributes["diameter_mm"] == pytest.approx(float(row["diameter_mm"]))
        assert lesion.lesion_type is LesionType.LUNG


def test_an_import_that_was_finished_writes_nothing_again(nodules):
    folder, _, _ = nodules
    before = (folder / "out" / "DL_info.csv").read_bytes()
    assert importer("lung-nodules")(folder / "source", folder / "out").rows == 0
    assert (folder / "out" / "DL_info.csv").read_bytes() == before


def test_sarcomas_from_nifti_and_dicom(real_data, tmp_path):
    source = tmp_path / "source"
    for name in ("nifti/STS_008", "nifti/STS_019", "dicom/STS_007"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).symlink_to(real_data / "sarcoma_ct" / name)
    report = import_sarcoma(source, tmp_path / "out")
    archive = DeepLesionArchive.open(tmp_path / "out")
    check_sound(archive)
    assert report.rows == len(archive.lesions)
    assert set(archive.track_ids.values()) == {f"sarcoma-STS_{n}" for n in ("007", "008", "019")}
    for lesion in archive.lesions:
        attributes = archive.attributes[lesion.lesion_id]
        assert attributes["area_share"] >= 0.4
        assert attributes["offset_mm"] % (3 * 3.27) == pytest.approx(0, abs=1e-3) or attributes[
            "offset_mm"
        ] % (3 * 3.27) == pytest.approx(3 * 3.27, abs=1e-3)
    largest = [
        lesion
        for lesion in archive.lesions
        if lesion.patient_id == "120007" and archive.attributes[lesion.lesion_id]["offset_mm"] == 0
    ]
    assert [lesion.key_slice_index for lesion in largest] == [
        36
    ]  # index.csv: 34 from 0 at the feet, of 70
    volume = nib.load(source / "nifti" / "STS_008" / "CT_image.nii.gz").get_fdata()
    lesion = next(lesion for lesion in archive.lesions if lesion.patient_id == "120008")
    slab = archive.slab(lesion, half_depth_mm=6)
    position = volume.shape[2] - lesion.key_slice_index
    np.testing.assert_allclose(slab.hu[slab.key_slice], volume[:, :, position].T, atol=0.5)
    # The next slice of a slab lies towards the head, as in the volume.
    above = slab.hu[slab.key_slice + 1]
    np.testing.assert_allclose(above, volume[:, :, position + 1].T, atol=0.5)


def test_positions_lie_in_the_body_each_with_a_track_of_its_own(real_data, tmp_path):
    patients = {"C3L-00189", "TCGA-17-Z011", "TCGA-17-Z013"}
    part_of_index(
        real_data / "real_ct_1mm",
        tmp_path / "source",
        lambda row: (
            row["patient"] in patients
            and (row["source"] == "siim_tcga_lung" or int(row["slice"]) < 8)
        ),
    )
    recipe = PositionRecipe(per_slice=4, seed=3)
    report = import_real_positions(tmp_path / "source", tmp_path / "out", recipe=recipe)
    archive = DeepLesionArchive.open(tmp_path / "out")
    check_sound(archive)
    assert report.rows == len(archive.lesions) == len(set(archive.track_ids.values()))
    assert len({lesion.patient_id for lesion in archive.lesions}) == 3
    kinds = {archive.attributes[lesion.lesion_id]["neighbours"] for lesion in archive.lesions}
    assert kinds == {0.0, 1.0}
    for lesion in archive.lesions[::5]:
        assert min(lesion.box.width, lesion.box.height) >= 7.99
        assert max(lesion.box.width, lesion.box.height) <= 60.01
        slab = archive.slab(lesion, half_depth_mm=2)
        has_neighbours = archive.attributes[lesion.lesion_id]["neighbours"] == 1.0
        assert bool(slab.filled_slices) is not has_neighbours
        x, y = (round(v) for v in lesion.box.center)
        about = slab.hu[slab.key_slice, max(0, y - 10) : y + 11, max(0, x - 10) : x + 11]
        assert (about > -990).mean() > 0.4
    backgrounds = BackgroundSource.open(tmp_path / "source")
    for lesion in archive.lesions[::5]:
        if archive.attributes[lesion.lesion_id]["neighbours"] == 1.0:
            # The slice towards the head in the source is the slab's next one.
            slab = archive.slab(lesion, half_depth_mm=2)
            runs = [run for name in patients for run in backgrounds.runs(name)]
            key, above = slab.hu[slab.key_slice], slab.hu[slab.key_slice + 1]
            assert any(
                run.hu.shape[1:] == key.shape
                and np.array_equal(lower, key)
                and np.array_equal(upper, above)
                for run in runs
                for lower, upper in pairwise(run.hu)
            )
    again = import_real_positions(tmp_path / "source", tmp_path / "again", recipe=recipe)
    assert again == report
    tables = [(tmp_path / name / "DL_info.csv").read_bytes() for name in ("out", "again")]
    assert tables[0] == tables[1]
    alone = PositionRecipe(per_slice=4, single_slices=False)
    without = import_real_positions(tmp_path / "source", tmp_path / "without", recipe=alone)
    assert without.skipped["slices without neighbours"] > 0


@pytest.fixture(scope="module")
def pasted(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pasted")
    source = folder / "source"
    rows = part_of_index(
        real_data / "lung_nodules",
        source / "lung_nodules",
        lambda row: row["patient"] < "LIDC-IDRI-0012",
    )
    part_of_index(
        real_data / "real_ct_1mm",
        source / "real_ct_1mm",
        lambda row: row["patient"].startswith("TCGA-60"),
    )
    return folder, rows, import_pasted(source, folder / "out")


def test_validation_nodules_want_validation_slices(real_data, tmp_path):
    source = tmp_path / "source"
    part_of_index(
        real_data / "lung_nodules",
        source / "lung_nodules",
        lambda row: row["patient"] < "LIDC-IDRI-0012",
    )
    of_training = {"TCGA-60-2715", "TCGA-60-2716"}
    part_of_index(
        real_data / "real_ct_1mm", source / "real_ct_1mm", lambda row: row["patient"] in of_training
    )
    with pytest.raises(ImporterError, match="no val slice that shows lung"):
        import_pasted(source, tmp_path / "out", recipe=PastedRecipe(split=Split.VALIDATION))


def test_pasted_nodules_are_followed_over_studies(pasted):
    folder, rows, report = pasted
    archive = DeepLesionArchive.open(folder / "out")
    check_sound(archive)
    assert report.rows == len(archive.lesions) > 0
    assert {lesion.split for lesion in archive.lesions} == {Split.TRAIN}
    studies = {}
    for lesion in archive.lesions:
        studies.setdefault(archive.track_ids[lesion.lesion_id], []).append(lesion.study_id)
        attributes = archive.attributes[lesion.lesion_id]
        assert 0.8 <= attributes["scale"] <= 1.25
        assert "malignancy" not in attributes
        expected = attributes["diameter_mm"]
        assert 0.5 * expected < lesion.long_mm < 2.5 * expected
    assert all(2 <= len(set(ids)) == len(ids) <= 3 for ids in studies.values())
    assert len(studies) + sum(report.skipped.values()) < len(rows)  # val and test stay out


def test_a_pasted_nodule_stands_out_of_lung(pasted):
    folder, _, _ = pasted
    archive = DeepLesionArchive.open(folder / "out")
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=0)
        x, y = (round(v) for v in lesion.box.center)
        key = slab.hu[slab.key_slice]
        reach = round(lesion.box.width / 2) + 3
        middle = key[y - 1 : y + 2, x - 1 : x + 2].mean()
        around = key[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
        assert np.percentile(around, 30) < -600
        assert middle > np.percentile(around, 30) + 100


def test_a_folder_of_something_else_is_refused(tmp_path):
    for name, run in ((name, importer(name)) for name in IMPORTERS):
        with pytest.raises(ImporterError):
            run(tmp_path, tmp_path / "out" / name)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
