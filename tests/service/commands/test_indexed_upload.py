"""One indexed slice as PNG, DICOM and NIfTI, alone and with neighbours: one answer everywhere."""

from __future__ import annotations

import json
from datetime import date

import nibabel
import numpy as np
import pytest
from starlette.testclient import TestClient

from service.engine.model_files import ModelFiles
from service.engine.search_engine import open_engine
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.dicom_samples import SeriesLabels, ct_series, write_files

LABELS = SeriesLabels("OTHER-NAMES", "9", date(2024, 1, 2))
FORMS = ("png", "dicom", "nifti", "turned nifti")


@pytest.fixture(scope="module")
def client(built_index, encoder_file):
    engine = open_engine(built_index, ModelFiles(encoder=encoder_file))
    with engine.index:
        settings = Settings(index=built_index, workers=1)
        with TestClient(create_app(settings, engine=engine)) as opened:
            yield opened


@pytest.fixture(scope="module")
def lesion(archive):
    return next(one for one in archive.lesions if one.study_id.endswith("_02"))


@pytest.fixture(params=[(form, alone) for form in FORMS for alone in (True, False)], ids=str)
def upload(request, archive, lesion, tmp_path):
    """The files of the image and the options that it needs."""
    form, alone = request.param
    hu = archive.slab(lesion, half_depth_mm=0 if alone else 2.5).hu
    key = len(hu) // 2
    if form == "png":
        source = archive.root / archive.source(lesion).image
        numbers = range(lesion.key_slice_index - key, lesion.key_slice_index + key + 1)
        files = []
        for place, number in enumerate(numbers):
            files.append(tmp_path / f"renamed-{place}.png")
            files[-1].write_bytes(source.with_name(f"{number:03d}.png").read_bytes())
        return files, {"spacing": "0.9,0.9,2.5"}
    if form == "dicom":
        made = ct_series(hu, LABELS, spacing_mm_px=(0.9, 0.9), interval_mm=2.5)
        folder = write_files(made, tmp_path / "series")
        return sorted(folder.iterdir()), {}
    file = tmp_path / "volume.nii.gz"
    volume = np.transpose(hu, (2, 1, 0)).astype(np.float32) + np.float32(0.001)
    affine = np.diag([-0.9, -0.9, 2.5, 1.0])
    if form == "turned nifti":
        volume, affine[0, 0], affine[1, 1] = volume[::-1, ::-1], 0.9, 0.9
    nibabel.save(nibabel.Nifti1Image(volume, affine), file)
    return [file], {}


@pytest.fixture
def box(upload, lesion, request):
    """The lesion's box in the pixels of the file."""
    edges = lesion.box.to_list()
    if "turned" in request.node.callspec.id:
        x1, y1, x2, y2 = (95 - edge for edge in edges)
        edges = [x2, y2, x1, y1]
    return ",".join(str(edge) for edge in edges)


def facts(document):
    return {name: document[name] for name in ("hits", "follow_ups")}


@pytest.mark.parametrize("names", ["given", "absent", "another's"])
def test_command_line_and_http_answer_as_by_id(
    upload, box, names, client, run, built_index, encoder_file, lesion
):
    files, options = upload
    patient = {"given": lesion.patient_id, "absent": None, "another's": "000004"}[names]
    by_id = client.get(f"/v1/lesions/{lesion.lesion_id}/similar", params={"k": 3}).json()
    form = {"box": box, "k": "3", **options}
    if patient is not None:
        form["patient_id"] = patient
    sent = [("files", ("x", file.read_bytes())) for file in files]
    answers = [client.post("/v1/search", files=sent, data=form).json()]
    if len(files) == 1 or files[0].suffix == ".dcm":
        image = files[0] if len(files) == 1 else files[0].parent
        words = ["query", image, "--index", built_index, "--encoder", encoder_file, "--box", box]
        words += ["-k", "3", "--json", *[f"--{name}={value}" for name, value in options.items()]]
        words += [] if patient is None else ["--patient", patient]
        status, out, err = run(*words)
        assert status == 0, err
        answers.append(json.loads(out))
    for answer in answers:
        assert answer["recognised"] == {"lesion_id": lesion.lesion_id, "iou": 1.0}
        if names == "another's":
            assert answer["follow_ups"] == []
            assert any("not as patient 000004" in one for one in answer["warnings"])
        else:
            assert facts(answer) == facts(by_id)
            assert answer["follow_ups"]
