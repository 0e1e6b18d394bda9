"""Marks on CT in folders become an archive that the product reads, and nothing else does."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from retrieval.sources.archive import open_archive
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.marks.mark import Carrier, ImageReference
from retrieval.sources.mining.tools import MiningOptions
from tests.service.jobs.mining.hospital import (
    INTERVAL_MM,
    LESION_HU,
    POINTS,
    Hospital,
    Study,
    files_of,
)

EARLY, LATE = date(2020, 1, 2), date(2021, 3, 4)


@pytest.fixture
def hospital(tmp_path):
    return Hospital(tmp_path)


def verdicts(hospital):
    lines = (hospital.out / "mined.jsonl").read_text().splitlines()
    return {told["mark_id"]: told for told in map(json.loads, lines)}


def test_a_mark_becomes_a_row_with_its_slices(hospital):
    study = Study("MRN-1", 1, EARLY)
    hospital.add(study)
    mark = study.mark("a")
    report = hospital.mine(hospital.source([mark]))
    assert (report.lesions, report.patients, report.verdicts) == (1, 1, {"kept": 1})
    archive = open_archive(hospital.out)
    (lesion,) = archive.lesions
    assert not archive.problems
    assert lesion.box.to_list() == pytest.approx([35, 40, 65, 61])
    assert (lesion.long_mm, lesion.short_mm) == pytest.approx((16.0, 8.8))
    # Twenty slices lie above position 20 of 40 from the feet: number 20 from the head.
    assert lesion.key_slice_index == 20
    slab = archive.slab(lesion, half_depth_mm=30.0)
    assert slab.slice_interval_mm == pytest.approx(INTERVAL_MM)
    assert slab.filled_slices == ()
    assert slab.hu[slab.key_slice, 46:56, 41:60].mean() == pytest.approx(LESION_HU)
    assert slab.hu[slab.key_slice - 1, 46:56, 41:60].mean() < 60
    assert verdicts(hospital)[mark.mark_id]["lesion_id"] == lesion.lesion_id


def test_an_image_stored_from_left_to_right_is_turned_and_its_mark_with_it(hospital):
    study = Study("MRN-1", 1, EARLY, turned=True)
    hospital.add(study)
    hospital.mine(hospital.source([study.mark("a")]))
    archive = open_archive(hospital.out)
    (lesion,) = archive.lesions
    x1, y1, x2, y2 = lesion.box.to_list()
    assert (x1, x2) == pytest.approx((95 - 65, 95 - 35))
    slab = archive.slab(lesion, half_depth_mm=0.0)
    inside = slab.hu[slab.key_slice, int(y1) + 6 : int(y2) - 5, int(x1) + 6 : int(x2) - 5]
    assert inside.mean() == pytest.approx(LESION_HU)


def test_copies_are_one_lesion_and_links_of_a_copy_hold(hospital):
    first, later = Study("MRN-1", 1, LATE), Study("MRN-1", 2, EARLY)
    hospital.add(first, later)
    marks = [first.mark("a", tracking_uid="2.25.5"), later.mark("a", tracking_uid="2.25.5")]
    copies = [
        study.mark("b", mark_id=f"gsps-{study.number}", carrier=Carrier.GSPS, points=POINTS + 0.3)
        for study in (first, later)
    ]
    report = hospital.mine(hospital.source([*marks, *copies]))
    assert report.verdicts == {"kept": 2, "duplicate of": 2}
    assert report.tracks == 1
    archive = open_archive(hospital.out)
    assert len(set(archive.track_ids.values())) == 1
    # The earlier study is number 1, whatever its UID.
    told = verdicts(hospital)
    studies = {
        one["study_date"]: one["lesion_id"][7:9] for one in told.values() if one["lesion_id"]
    }
    assert [studies[day] for day in sorted(studies)] == ["01", "02"]
    states = (hospital.out / "tracks.csv").read_text()
    assert "vanished" not in states


def test_a_tracking_id_of_many_places_links_nothing(hospital):
    studies = [Study("MRN-1", 1, EARLY), Study("MRN-1", 2, LATE)]
    hospital.add(*studies)
    far = np.array([[20.0, 22.0], [30.0, 22.0], [25.0, 18.0], [25.0, 26.0]])
    marks = [
        study.mark(name, tracking_uid="2.25.5", points=points, image=study.image_at(at))
        for study in studies
        for name, points, at in (("a", POINTS, 20), ("b", far, 36))
    ]
    report = hospital.mine(hospital.source(marks))
    assert (report.lesions, report.tracks) == (4, 0)
    assert not (hospital.out / "tracks.csv").exists()


def test_nothing_in_the_archive_names_the_patient(hospital):
    study = Study("MRN-4711", 1, EARLY)
    hospital.add(study)
    mark = study.mark("a", label="Doe^Jane tumour", reader="House^Gregory", comment="Doe")
    hospital.mine(hospital.source([mark]))
    held = b"\n".join(content for _, content in files_of(hospital.out).values())
    labels = study.labels
    for secret in ("MRN-4711", "Doe", "House", "20200102", "2020-01-02"):
        assert secret.encode() not in held
    for uid in (labels.study_uid, labels.series_uid, labels.instance_uid(20)):
        assert str(uid).encode() not in held


def test_a_second_run_writes_nothing(hospital):
    studies = [Study(f"MRN-{n}", n, EARLY) for n in (1, 2)]
    hospital.add(*studies)
    marks = [study.mark("a") for study in studies]
    marks.append(studies[0].mark("lost", image=ImageReference("1.2", "1.3", "1.4")))
    first = hospital.mine(hospital.source(marks))
    before = files_of(hospital.out)
    source = hospital.source(marks)
    again = hospital.mine(source)
    assert files_of(hospital.out) == before
    assert (again.mined_now, source.read_count) == (0, 0)
    assert again.verdicts == first.verdicts == {"kept": 2, "no image": 1}


@pytest.mark.parametrize("breaks_at", [1, 20, 40, 70])
def test_a_killed_run_goes_on(hospital, breaks_at):
    studies = [Study(f"MRN-{n}", n, EARLY) for n in (1, 2, 3)]
    hospital.add(*studies)
    marks = [study.mark("a") for study in studies]
    source = hospital.source(marks)
    source.breaks_at = breaks_at
    with pytest.raises(KeyboardInterrupt):
        hospital.mine(source)
    assert hospital.mine(hospital.source(marks)).lesions == 3
    whole = hospital.out.with_name("whole")
    hospital.mine(hospital.source(marks), whole)
    expected = {name: content for name, (_, content) in files_of(whole).items()}
    assert {name: content for name, (_, content) in files_of(hospital.out).items()} == expected


def test_new_marks_and_images_are_taken_in_later(hospital):
    studies = [Study("MRN-1", 1, EARLY), Study("MRN-2", 2, EARLY)]
    hospital.add(studies[0])
    marks = [study.mark("a") for study in studies]
    first = hospital.mine(hospital.source(marks))
    assert first.verdicts == {"kept": 1, "no image": 1}
    hospital.add(studies[1])
    more = [*marks, studies[0].mark("b", image=studies[0].image_at(10))]
    second = hospital.mine(hospital.source(more))
    assert (second.lesions, second.mined_now) == (3, 2)
    archive = open_archive(hospital.out)
    assert not archive.problems
    assert sorted(lesion.patient_id for lesion in archive.lesions) == ["000001", "000001", "000002"]
    del more[0]
    third = hospital.mine(hospital.source(more))
    assert (third.lesions, third.mined_now) == (2, 1)
    assert len(open_archive(hospital.out).lesions) == 2


def test_a_mark_on_air_is_no_lesion(hospital):
    study = Study("MRN-1", 1, EARLY)
    hospital.add(study)
    marks = [study.mark("a"), study.mark("air", points=POINTS * (0.1, 0.1) + (1, 86))]
    report = hospital.mine(hospital.source(marks))
    assert report.verdicts == {"kept": 1, "not a lesion": 1}


def test_an_unreadable_image_costs_its_own_lesion_alone(hospital):
    studies = [Study("MRN-1", 1, EARLY), Study("MRN-1", 2, LATE)]
    hospital.add(*studies)
    marks = [study.mark("a") for study in studies]
    broken = next((hospital.root / "images" / "MRN-1-1").glob("*_20.dcm"))
    broken.write_bytes(broken.read_bytes()[:-2000])
    report = hospital.mine(hospital.source(marks))
    assert report.verdicts == {"kept": 1, "unreadable": 1}
    assert "pixel" in verdicts(hospital)[marks[0].mark_id]["reason"].lower()


def test_the_table_alone_needs_no_pixels(hospital):
    study = Study("MRN-1", 1, EARLY)
    hospital.add(study)
    source = hospital.source([study.mark("a")])
    hospital.mine(source, options=MiningOptions(pixels=False))
    assert source.read_count == 0
    names = sorted(path.name for path in hospital.out.iterdir())
    assert names == ["DL_info.csv", "mined.jsonl", "studies.csv"]
    with_pixels = hospital.out.with_name("whole")
    hospital.mine(hospital.source([study.mark("a")]), with_pixels)
    assert (with_pixels / "DL_info.csv").read_text() == (hospital.out / "DL_info.csv").read_text()


def test_another_program_s_archive_is_left_alone(hospital):
    study = Study("MRN-1", 1, EARLY)
    hospital.add(study)
    hospital.out.mkdir()
    (hospital.out / "DL_info.csv").write_text("File_name\n")
    with pytest.raises(ImporterError, match="not mined with"):
        hospital.mine(hospital.source([study.mark("a")]))
    assert (hospital.out / "DL_info.csv").read_text() == "File_name\n"
