from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from retrieval.detection.close_look import CloseLook, Window, windows_about
from retrieval.detection.detector import EVERYTHING, LesionDetector
from retrieval.detection.proposals import ProposalError
from retrieval.detection.whole_slice import whole_slice
from retrieval.lesion import Box
from retrieval.nn.slice_statistics import SliceStatistics, with_slice_statistics
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from tests.retrieval.detection.conftest import TinyDetector


def test_windows_stand_about_the_first_boxes_and_within_the_slice() -> None:
    boxes = [Box.around((5, 5), 10), Box.around((7, 6), 10), Box.around((150, 100), 10)]
    first, second = windows_about(boxes, (1, 200, 300), 60, 3)
    assert (first.left, first.top, first.columns, first.rows) == (0, 0, 60, 60)
    assert (second.left, second.top) == (120, 70)
    assert windows_about(boxes, (1, 200, 300), 60, 1) == [first]
    assert windows_about([], (1, 200, 300), 60, 3) == []


def test_where_windows_would_cover_the_slice_it_is_one_window() -> None:
    boxes = [Box.around((20, 20), 10), Box.around((80, 80), 10)]
    assert windows_about(boxes, (1, 90, 90), 64, 2) == [Window(0, 0, 90, 90, 90, 90)]


@pytest.mark.parametrize("scale", [1.4, 2.0])
def test_a_box_finds_back_to_the_slice(scale: float) -> None:
    """A bright block, enlarged: the box about it there is the block's own on the slice."""
    picture = torch.zeros(1, 80, 100)
    picture[:, 30:40, 50:62] = 1.0
    window = Window(30, 20, 50, 40, 100, 80)
    lit = (window.enlarged(picture, scale)[0] > 0.5).nonzero()
    (top, left), (bottom, right) = lit.min(dim=0).values.tolist(), lit.max(dim=0).values.tolist()
    box = window.on_slice(Box(left, top, right, bottom), scale)
    assert box is not None
    assert box.to_list() == pytest.approx([50, 30, 61, 39], abs=0.7)


def test_a_box_that_the_window_cut_is_left_out() -> None:
    inner = Window(30, 20, 50, 40, 100, 80)
    assert inner.on_slice(Box(0, 20, 20, 30), 1.4) is None
    assert inner.on_slice(Box(20, 20, 68, 30), 1.4) is None
    at_the_edge = Window(0, 20, 50, 40, 100, 80)
    assert at_the_edge.on_slice(Box(0, 20, 20, 30), 1.4) is not None


@pytest.mark.parametrize("change", [{"scale": 1.0}, {"windows": 0}, {"worth": 1.2}])
def test_a_look_that_cannot_be(change: dict[str, float]) -> None:
    with pytest.raises(ProposalError, match="close look"):
        CloseLook(**change)  # type: ignore[arg-type]


def test_a_window_is_normalised_as_its_slice_was() -> None:
    generator = torch.Generator().manual_seed(3)
    layer = nn.GroupNorm(4, 8)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2, generator=generator)
        layer.bias.uniform_(-1, 1, generator=generator)
    shared = with_slice_statistics(nn.Sequential(layer))
    levels = [torch.rand(1, 8, side, side, generator=generator) * side for side in (16, 8)]
    statistics = SliceStatistics()
    with torch.no_grad():
        with statistics.kept():
            whole = [shared(level) for level in levels]
        with statistics.used():
            parts = [shared(level[..., 2:6, 1:5]) for level in levels]
        own = shared(levels[0][..., 2:6, 1:5])
    for level, treated, part in zip(levels, whole, parts, strict=True):
        torch.testing.assert_close(treated, layer(level))
        torch.testing.assert_close(part, treated[..., 2:6, 1:5])
    assert not torch.allclose(own, parts[0], atol=0.05)


def test_a_close_look_adds_small_boxes_alone(
    marked_archive: DeepLesionArchive, tiny_detector: TinyDetector
) -> None:
    detector = LesionDetector.load(tiny_detector.trained.path, cut=EVERYTHING)
    slab = marked_archive.slab(marked_archive.lesions[0], half_depth_mm=detector.half_depth_mm)
    whole = whole_slice(slab, detector.spec)
    first = detector.propose(whole)
    look = CloseLook(windows=2, about_mm=60.0, least_score=0.0, up_to_mm=30.0, worth=0.5)
    closer = detector.look_closely(whole, first, look)
    assert closer
    assert all(one.long_mm is not None and one.long_mm <= 30 for one in closer)
    assert all(one.score <= 0.5 for one in closer)
    assert detector.look_closely(whole, [], look) == []


def test_a_nodule_that_the_first_pass_hardly_sees_is_looked_at_closely(real_data: Path) -> None:
    """On a cut-out as small as this the first pass is sure of nothing."""
    path = real_data / "lung_nodules" / "image" / "LIDC-IDRI-0152_R_1.nii.gz"
    slab = open_query_image(path, key_slice_index=1)
    found = LesionDetector.load().detect(slab)
    assert found[0].score > 0.3
    assert found[0].box.iou(slab.display_box(Box(17, 16, 29, 28))) > 0.3
