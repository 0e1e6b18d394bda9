"""``lesion-search import``: masks of one's own, and the collections beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.sources.importers.registry import IMPORTERS
from service.commands.archives.import_archive import COLLECTIONS
from tests.retrieval.sources.volumes.bodies import body, stored_image, written


@pytest.fixture
def source(tmp_path: Path) -> Path:
    mask = np.zeros((9, 40, 48), np.uint8)
    mask[4:7, 12:20, 26:36] = 1
    folder = tmp_path / "source"
    folder.mkdir()
    written(stored_image(body()), folder / "case1.nii.gz")
    written(stored_image(mask), folder / "case1_mask.nii.gz")
    return folder


def test_every_collection_has_its_command():
    assert set(COLLECTIONS) == set(IMPORTERS)


def test_masks_become_an_archive_that_is_indexed(run, source, tmp_path, encoder_file):
    out = tmp_path / "archive"
    arguments = ["import", "masks", source, source, "--out", out, "--types", "1=liver"]
    status, text, err = run(*arguments, "--json")
    assert status == 0, err
    document = json.loads(text)
    assert (document["lesions"], document["patients"], document["left_out"]) == (1, 1, {})
    (verdict,) = document["verdicts"]
    assert verdict["verdict"] == "lesion"
    status, text, err = run(
        "index", "build", "--archive", out, "--out", tmp_path / "i", "--encoder", encoder_file,
        "--json",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(text)["added"] == 1
    status, text, _ = run(*arguments)
    assert status == 0
    assert "images already there" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--types", "1=heart"], "lesion type 'heart' is unknown"),
        (["--types", "1=liver,1=lung"], "twice"),
        (["--min-mm", "500"], "under --min-mm 500"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(run, source, tmp_path, arguments, words):
    out = tmp_path / "archive"
    status, text, err = run("import", "masks", source, source, "--out", out, *arguments)
    assert (status, text) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()
