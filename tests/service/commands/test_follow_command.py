"""``lesion-search follow`` on an index of one lesion and a later scan as NIfTI."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import ImageSource
from retrieval.patch import extract_patch
from service.engine.search_engine import binding_of
from tests.retrieval.tracking.following.series import INTERVAL, SPACING, located_mark, scan


@pytest.fixture(scope="module")
def followed(tmp_path_factory, encoder_file):
    folder = tmp_path_factory.mktemp("followed")
    encoder = LesionEncoder.load(encoder_file)
    own = scan()
    lesion = located_mark(own)
    vector = encoder.embed([extract_patch(own, lesion.box, encoder.spec)]).vectors[0]
    source = ImageSource("nowhere", "x/001.png", SPACING, INTERVAL)
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        index.add([LesionRecord(lesion, vector, source)])
    later = scan(shift_px=(2, -2), first=2, noise=3)
    affine = np.diag([-SPACING[0], -SPACING[1], INTERVAL, 1.0])
    image = nibabel.Nifti1Image(later.hu.transpose(2, 1, 0).astype(np.int16), affine)
    nibabel.save(image, folder / "later.nii.gz")
    return folder


def arguments(followed, encoder_file, *more, lesion="prior", image="later.nii.gz"):
    where = [followed / image, "--lesion", lesion, "--index", followed / "index"]
    return ["follow", *where, "--encoder", encoder_file, *more]


def test_the_answer_as_json_and_as_dls(run, followed, encoder_file):
    status, out, err = run(*arguments(followed, encoder_file, "--json"))
    assert status == 0, err
    document = json.loads(out)
    assert document["state"] in {"found", "uncertain", "not found"}
    assert document["accepted"] is None
    assert document["candidates"][0]["key_slice_index"] in range(22)
    assert "the search is not kept" in err
    status, out, err = run(*arguments(followed, encoder_file, "--dls", "0001", "--no-keep"))
    assert "kept" not in err
    with LesionIndex.open(followed / "index", read_only=True) as index:
        assert index.searches.of("P") == []
    center = json.loads(out)["0001"]["predict target center"]
    assert (center is None) == (document["state"] == "not found")


def test_only_accept_makes_it_a_lesion(run, followed, encoder_file):
    status, out, err = run(
        *arguments(followed, encoder_file, "--json", "--accept", 1, "--study", "S2")
    )
    assert status == 0, err
    accepted = json.loads(out)["accepted"]
    assert accepted["study_id"] == "S2"
    with LesionIndex.open(followed / "index", read_only=True) as index:
        (match,) = index.matches("P")
        assert {match.lesion_a, match.lesion_b} == {"prior", accepted["lesion_id"]}


def test_the_search_is_kept_and_track_rests_on_it(run, followed, encoder_file):
    status, out, err = run(*arguments(followed, encoder_file, "--study", "S5", "--json"))
    assert status == 0, err
    with LesionIndex.open(followed / "index") as index:
        kept = next(one for one in index.searches.of("P") if one.study_id == "S5")
        assert kept.state == json.loads(out)["state"]
        index.searches.keep([replace(kept, state="not found", share=0.97)])
    status, out, err = run("track", "--index", followed / "index", "--patient", "P", "--json")
    assert status == 0, err
    document = json.loads(out)
    ends = {track["vanished_in"] for track in document["tracks"]}
    assert ends == {"S5"}


def test_mistakes_take_one_line(run, followed, encoder_file):
    for wrong in (
        arguments(followed, encoder_file, lesion="nobody"),
        arguments(followed, encoder_file, image="index"),
        arguments(followed, encoder_file, "--study", "S1"),
        arguments(followed, encoder_file, "--accept", 500, "--study", "S3"),
    ):
        status, out, err = run(*wrong)
        assert (status, out) == (2, "")
        assert [line for line in err.splitlines() if line.startswith("error: ")]
