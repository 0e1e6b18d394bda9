"""``detect``, ``query`` without a box and ``evaluate detection`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import matplotlib.image
import numpy as np
import pytest

from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.sources.deeplesion import coding


class BrightSpot:
    """Proposes the brightest 9 x 9 square of a slice, and a corner; no network, no seed."""

    name = "bright spot"
    fingerprint = "spot0"
    half_depth_mm = 2.5

    def detect(self, slab: Slab) -> Sequence[Proposal]:
        plane = slab.hu[slab.key_slice].astype(np.float64)
        sums = np.cumsum(np.cumsum(np.pad(plane, ((1, 0), (1, 0))), axis=0), axis=1)
        squares = sums[9:, 9:] - sums[9:, :-9] - sums[:-9, 9:] + sums[:-9, :-9]
        row, column = np.unravel_index(squares.argmax(), squares.shape)
        best = Box.around((column + 4.0, row + 4.0), 24)
        return [Proposal(best, 0.8), Proposal(Box(2, 2, 22, 22), 0.1, long_mm=9.0)]

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[Sequence[Proposal]]:
        return [self.detect(slab.with_key_slice(position)) for position in positions]


@pytest.fixture
def detector(monkeypatch, tmp_path):
    """The bright-spot detector in place of the bundled one; its file is never read."""
    monkeypatch.setattr(
        "service.engine.detectors.load_detector", lambda path=None, **_: BrightSpot()
    )
    bundled = tmp_path / "detector.safetensors"
    bundled.write_bytes(b"")
    monkeypatch.setattr("retrieval.detection.detector.BUNDLED_DETECTOR", bundled)
    return BrightSpot()


@pytest.fixture
def image(archive):
    return archive.root / archive.source(archive.lesions[0]).image


def test_detect_prints_what_the_detector_proposes(run, detector, image, archive):
    lesion = archive.lesions[0]
    expected = detector.detect(archive.slab(lesion, half_depth_mm=0))
    status, out, err = run("detect", image, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert [one["box"] for one in document["candidates"]] == [p.box.to_list() for p in expected]
    assert [one["score"] for one in document["candidates"]] == [0.8, 0.1]
    assert document["candidates"][1]["long_mm"] == 9.0
    assert document["candidates"][0]["long_mm"] == pytest.approx(14 * 0.9 * 1.1)
    assert document["detector"] == {"name": "bright spot", "fingerprint": "spot0"}
    assert document["key_slice_index"] == lesion.key_slice_index
    assert document["timing_ms"]["read"] > 0
    status, out, err = run("detect", image, "--min-score", 0.5)
    assert "1 proposals on slice 11" in out
    assert "not a medical device" in out.lower()
    assert "2,2,22,22" not in out


def test_detect_answers_the_likely_few_or_all(run, detector, image, monkeypatch):
    likely = [Proposal(Box(2, 2, 22, 22 + n), 0.9 - n / 10) for n in range(7)]
    unlikely = Proposal(Box(30, 30, 50, 50), 0.01)
    monkeypatch.setattr(BrightSpot, "detect", lambda self, slab: [*likely, unlikely])

    def answered(*options) -> int:
        status, out, err = run("detect", image, "--json", *options)
        assert status == 0, err
        return len(json.loads(out)["candidates"])

    assert answered() == 5
    assert answered("--limit", 10) == 7
    assert answered("--limit", 10, "--min-score", 0.5) == 5
    assert answered("--all") == 8
    assert answered("--all", "--min-score", 0.75) == 2


@pytest.mark.parametrize("series", [[], ["--all-slices"]])
def test_proposals_of_one_category(run, detector, image, monkeypatch, series):
    found = [
        Proposal(Box(2, 2, 22, 22), 0.9, category="category 1"),
        Proposal(Box(40, 40, 60, 60), 0.8, category="category 2"),
        Proposal(Box(3, 2, 22, 22), 0.7, category="category 2"),
    ]
    monkeypatch.setattr(BrightSpot, "detect", lambda self, slab: found)
    path = image.parent if series else image

    def answered(*options) -> list[tuple[str | None, float]]:
        status, out, err = run("detect", path, *series, "--json", *options)
        assert status == 0, err
        return [(one["category"], one["score"]) for one in json.loads(out)["candidates"]]

    status, _, err = run("detect", path, *series, "--category", "category 2")
    assert (status, err.count("\n")) == (2, 1)
    assert "one class" in err
    kinds = ("category 1", "category 2")
    monkeypatch.setattr(BrightSpot, "kinds", kinds, raising=False)
    assert answered()[0] == ("category 1", 0.9)
    assert answered("--category", "category 2") == [("category 2", 0.8), ("category 2", 0.7)]
    assert "category 1" in run("detect", path, *series)[1]
    status, _, err = run("detect", path, *series, "--category", "bone")
    assert (status, "category 1, category 2" in err) == (2, True)


def test_detect_draws_its_boxes(run, detector, image, tmp_path):
    for name in ("one.png", "two.png"):
        options = ["--figure", tmp_path / name, "--limit", 1 if name == "one.png" else 2]
        status, _, err = run("detect", image, *options)
        assert (status, err) == (0, f"figure: {tmp_path / name}\n")
    one, two = (matplotlib.image.imread(tmp_path / name) for name in ("one.png", "two.png"))
    assert one.shape == two.shape
    assert np.abs(one - two).max() > 0.5  # the second box


def test_all_slices_are_joined_and_drawn(run, detector, image, tmp_path):
    figure = tmp_path / "all.png"
    status, out, err = run("detect", image.parent, "--all-slices", "--json", "--figure", figure)
    assert status == 0, err
    document = json.loads(out)
    assert document["slices"] == 3
    first = document["candidates"][0]
    assert (first["first_slice_index"], first["last_slice_index"], first["slices"]) == (10, 12, 3)
    assert first["extent_mm"][2] == pytest.approx(7.5)
    assert figure.stat().st_size > 10_000
    status, out, _ = run("detect", image.parent, "--all-slices")
    assert "10 to 12" in out
    status, _, err = run("detect", image.parent, "--all-slices", "--key-slice", 11)
    assert (status, err.count("\n")) == (2, 1)


def test_without_a_detector_it_says_how_to_give_one(run, image, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "retrieval.detection.detector.BUNDLED_DETECTOR", tmp_path / "none.safetensors"
    )
    status, out, err = run("detect", image)
    assert (status, out) == (2, "")
    assert "--detector" in err
    status, _, err = run("detect", image, "--detector", tmp_path / "mine.safetensors")
    assert (status, err.count("\n")) == (2, 1)
    assert "mine.safetensors does not exist" in err


def test_query_without_a_box_searches_with_the_best_proposal(
    run, detector, image, archive, built_index, encoder_file
):
    common = ["query", image, "--index", built_index, "--encoder", encoder_file]
    status, out, err = run(*common, "--json")
    assert status == 0, err
    best = json.loads(out)
    assert best["box_source"] == "detected"
    assert best["box"] == best["candidates"][0]["box"]
    assert best["timing_ms"]["detect"] > 0
    status, out, err = run(*common, "--candidate", 2, "--json")
    assert json.loads(out)["box"] == [2, 2, 22, 22]
    status, out, err = run(*common, "--point", "10,10", "--json")
    assert json.loads(out)["box"] == [2, 2, 22, 22]
    status, out, err = run(*common, "--candidate", 2)
    assert "searched with proposal 2" in out
    status, _, err = run(*common, "--candidate", 3)
    assert (status, err.count("\n")) == (2, 1)


def test_the_slab_of_a_query_reaches_as_far_as_the_detector_looks(
    run, detector, image, built_index, encoder_file, monkeypatch
):
    depths = []

    def notes(path, *, half_depth_mm, **options):
        depths.append(half_depth_mm)
        return opened(path, half_depth_mm=half_depth_mm, **options)

    from retrieval.sources.query_image import open_query_image as opened

    monkeypatch.setattr("retrieval.sources.query_image.open_query_image", notes)
    monkeypatch.setattr(BrightSpot, "half_depth_mm", 40.0)
    common = ["query", image, "--index", built_index, "--encoder", encoder_file]
    assert run(*common)[0] == 0
    assert run(*common, "--box", "20,20,50,50")[0] == 0
    assert depths == [40.0, 2.0]


def predictions_of(archive, shift: float) -> dict[str, list[list[float]]]:
    rows: dict[str, list[list[float]]] = {}
    for lesion in archive.lesions:
        name = coding.table_file_name(lesion.series_id, lesion.key_slice_index)
        rows.setdefault(name, []).append([*lesion.box.shifted(shift, 0).to_list(), 0.9])
    return rows


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 1.0), (30.0, 0.0)])
def test_predictions_are_scored_against_the_archive(run, archive, tmp_path, shift, expected):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(predictions_of(archive, shift)))
    common = ["evaluate", "detection", "--archive", archive.root, "--predictions", path]
    status, out, err = run(*common, "--no-floors", "--resamples", 20, "--json")
    assert status == 0, err
    overall = json.loads(out)["methods"]["boxes.json"]["groups"]["all"]
    assert overall["mean of 0.5, 1, 2, 4"]["value"] == expected


def test_a_detector_is_scored_beside_baselines_with_figure_and_page(
    run, detector, archive, tmp_path
):
    figure, page = tmp_path / "froc.png", tmp_path / "page.md"
    common = ["evaluate", "detection", "--archive", archive.root, "--resamples", 20]
    status, out, err = run(*common, "--figure", figure, "--out", page)
    assert status == 0, err
    assert all(name in out for name in ("random boxes", "blobs", "bright spot", "10 to 30 mm"))
    assert figure.stat().st_size > 10_000
    assert "| bright spot |" in page.read_text()


def test_boxes_in_3d_are_scored_from_files(run, tmp_path):
    truth, mine = tmp_path / "truth.json", tmp_path / "mine.json"
    truth.write_text(json.dumps({"000001_01_01_001-030": [[10, 10, 5, 19, 19, 8]]}))
    mine.write_text(json.dumps({"000001_01_01_001-030": [[10, 10, 5, 19, 19, 8, 0.5]]}))
    common = ["evaluate", "detection", "--boxes-3d", truth, "--predictions", mine]
    figure = tmp_path / "froc.svg"
    status, out, err = run(*common, "--json", "--figure", figure)
    assert status == 0, err
    mean = "mean of 0.125, 0.25, 0.5, 1, 2, 4, 8"
    assert json.loads(out)["methods"]["mine.json"]["groups"]["all"][mean]["value"] == 1.0
    assert figure.read_text().startswith("<?xml")
    status, out, err = run(*common)
    assert "false positives a sub-volume" in out


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--archive", "a", "--boxes-3d", "b"],
        ["--boxes-3d", "b"],
        ["--archive", "a", "--predictions", "p", "--detector", "d"],
        ["--archive", "nowhere"],
    ],
)
def test_options_that_name_no_protocol_are_one_line(run, options):
    status, out, err = run("evaluate", "detection", *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
