"""The main job on real CT: only what must hold for any encoder is asked of it."""

from __future__ import annotations

import csv
import json

import pytest

from retrieval.sources.archive import open_archive
from service.cli import main
from service.engine.model_files import ModelFiles
from service.engine.query import LesionQuery
from service.engine.search_engine import open_engine

PATIENT = "000053"


@pytest.fixture(scope="module")
def real_index(real_data, encoder_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "index"
    archive = real_data / "deeplesion_sample"
    build = ["index", "build", "--archive", archive, "--out", folder, "--encoder", encoder_file]
    assert main([str(word) for word in build]) == 0
    return folder


@pytest.fixture
def ask(real_index, encoder_file, capsys):
    """A query against the real lesions; returns its JSON."""

    def call(image, *options):
        index = ("--index", real_index, "--encoder", encoder_file, "--json")
        status = main([str(word) for word in ("query", image, *index, *options)])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return json.loads(captured.out)

    return call


def test_a_lesion_of_patient_53_meets_its_follow_ups_and_nobody_elses(ask, real_data):
    image = real_data / "deeplesion_sample" / "Images_png" / "000053_04_01" / "042.png"
    box = "276.993,202.544,303.102,227.348"
    found = ask(image, "--box", box, "--patient", PATIENT, "--study", f"{PATIENT}_04", "-k", 30)
    assert {hit["lesion"]["patient_id"] for hit in found["hits"]}.isdisjoint({PATIENT})
    assert len(found["hits"]) == 23 - 5
    studies = [follow_up["study_id"] for follow_up in found["follow_ups"]]
    assert studies == [f"{PATIENT}_{number}" for number in ("03", "05", "06")]
    partners = [one["lesion"] for one in found["follow_ups"] if one["lesion"] is not None]
    assert {partner["patient_id"] for partner in partners} <= {PATIENT}


def test_a_dicom_series_with_its_key_slice_and_box(ask, real_data):
    with (real_data / "sarcoma_ct" / "index.csv").open() as table:
        (row,) = [row for row in csv.DictReader(table) if row["source"] == "dicom"]
    series = real_data / "sarcoma_ct" / "dicom" / row["patient"] / "CT" / "image"
    box = ",".join(row[edge] for edge in ("x0", "y0", "x1", "y1"))
    found = ask(series, "--box", box, "--key-slice", row["key_slice"], "-k", 5)
    assert len(found["hits"]) == 5
    similarities = [hit["similarity"] for hit in found["hits"]]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= similarity <= 1 for similarity in similarities)


def test_an_indexed_slice_sent_again_has_the_follow_ups_of_its_lesion(
    real_index, real_data, encoder_file
):
    """Alone and with neighbours, with and without its patient: no link is lost or gained."""
    archive = open_archive(real_data / "deeplesion_sample")
    engine = open_engine(real_index, ModelFiles(encoder=encoder_file))
    compared = 0
    with engine.index:
        for lesion in archive.lesions:
            by_id = engine.search(LesionQuery(lesion_id=lesion.lesion_id)).to_json()
            for depth in (0.0, 10.0):
                slab = archive.slab(lesion, half_depth_mm=depth)
                for patient in (lesion.patient_id, None):
                    query = LesionQuery(lesion.box, patient_id=patient)
                    sent = engine.search(query, slab).to_json()
                    assert sent["recognised"]["lesion_id"] == lesion.lesion_id
                    assert sent["follow_ups"] == by_id["follow_ups"]
                    assert sent["hits"] == by_id["hits"]
                    compared += len(sent["follow_ups"])
    assert compared > 50
