"""One pass of the detector serves every head, and leaves the detector's own answer as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retrieval.detection.proposals import best_few
from retrieval.image import Slab
from retrieval.labels.appearance.image_numbers import COUNT
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.appearance.weights_file import HeadTerm, TagHead
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.multitask.crops import seen_by_trunk
from retrieval.multitask.heads import MultitaskError, load_heads
from retrieval.multitask.learning.batches import CropBatches
from retrieval.multitask.learning.recipe import load_multitask_recipe
from retrieval.multitask.network import MultitaskNetwork, diameters_on, mask_on
from retrieval.multitask.refinement import inside_of, logit, mask_numbers
from retrieval.multitask.rois import heard
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import extent_box
from retrieval.segmentation.view import PlaneProbability
from tests.retrieval.segmentation.scenes import CENTER, RADIUS_MM, ball, mark


def with_tags(network: MultitaskNetwork) -> None:
    torch.manual_seed(1)
    tags = TagNetwork(network.heads.vector.dimension + COUNT, 2)
    terms = (HeadTerm("calcified"), HeadTerm("solid", slope=2.0))
    network.heads.with_tags(TagHead(tags, terms, encoder="", name="chance"))


def trunk_of_a_body() -> Slab:
    """A round body of fat with a denser ball, so large that a close look is another pass."""
    y, x = np.mgrid[:300, :300]
    hu = np.full((5, 300, 300), -1000.0, np.float32)
    hu[:, np.hypot(x - 150, y - 150) < 140] = -90.0
    hu[:, np.hypot(x - 100, y - 160) < 8] = 60.0
    return Slab(hu, (1.0, 1.0), 2.0, 2)


def test_boxes_and_scores_are_the_detectors_own(network):
    with_tags(network)
    slab = trunk_of_a_body()
    own = network.detector.detect(slab)
    found = network.find(slab, most=3)
    assert [one.proposal for one in found] == list(own[:3])
    assert [one.proposal for one in network.find(slab)] == list(best_few(own))
    for one in found:
        assert set(one.tags) == {"calcified", "solid"}
        assert all(0 <= share <= 1 for share in one.tags.values())
        assert one.mask.values.shape == (
            one.mask.rows.stop - one.mask.rows.start,
            one.mask.columns.stop - one.mask.columns.start,
        )


def test_the_maps_are_those_of_the_whole_slice_not_of_a_window(network):
    assert network.detector.cut.close_look is not None
    _, look = network.seen(trunk_of_a_body())
    rows, columns = look.picture.shape[1:]
    for stride, level in zip((2, 4), look.maps.fine, strict=True):
        padded = [-(-side // 32) * 32 for side in (rows, columns)]
        assert list(level.shape[2:]) == [side // stride for side in padded]
    with heard(network.detector.network.backbone) as unheard:
        pass
    network.seen(trunk_of_a_body())
    assert unheard.fine == []


def test_a_crop_and_the_whole_slice_show_a_lesion_alike(network):
    slab, box = trunk_of_a_body(), Box(85, 145, 115, 175)
    _, look = network.seen(slab)
    on_slice, _, _ = network.read(look, [box])
    alone, masks = network.about(slab, box)
    assert torch.allclose(on_slice.guide, alone.guide, atol=1e-5)
    assert (on_slice.hu - alone.hu).abs().mean() < 4
    assert masks.shape == (1, 16, 16)
    for name in ("fine", "coarse"):
        pair = torch.stack([getattr(x, name).flatten() for x in (on_slice, alone)])
        assert torch.corrcoef(pair)[0, 1] > 0.9  # strides begin elsewhere


def test_what_is_learnt_is_what_is_read(network, ball_lesion: MaskedLesion):
    """Without augmentation a crop of training is the crop of the same box."""
    plain = {"augment.turned": "false", "augment.blur_px": "0", "augment.contrast": "0"}
    still = {"augment.shift_hu": "0", "augment.noise_hu": "0", "augment.windowed": "0"}
    unmoved = {"prompt.jitter_mm": "0", "prompt.jitter_share": "0", "prompt.shift": "0"}
    view = {"prompt.view_shift": "0", "prompt.view_scale": "0", "data.views": "1"}
    size = {"masks.size_px": "16"}
    recipe = load_multitask_recipe("small", plain | still | unmoved | view | size)
    key_alone = np.zeros((len(ball_lesion.share), 1, 1), np.float32)
    key_alone[ball_lesion.slab.key_slice] = 1
    single = MaskedLesion("a", "p", "nodule", ball_lesion.slab, ball_lesion.share * key_alone)
    batch = CropBatches([single], recipe, network.detector.spec)(0)
    trained, order = seen_by_trunk(network.detector, batch.crops)
    assert order == [0]
    read, _ = network.about(single.slab, extent_box(single.mark_on(7), BOX_PADDING_PX))
    assert torch.allclose(trained.guide, read.guide, atol=1e-5)
    assert torch.allclose(trained.hu, read.hu, atol=2)
    assert batch.shares.shape == (1, 16, 16)
    inside = batch.shares[0] > 0.5
    assert trained.hu[0, 1][torch.from_numpy(inside)].min() > -420
    assert trained.hu[0, 1][torch.from_numpy(~inside)].max() < -390


def test_a_saved_network_answers_as_before(network, tmp_path):
    with_tags(network)
    network.heads.refinement.layer.weight.data[0, 1] = 0.3
    path = tmp_path / "multitask.safetensors"
    network.heads.save(path, name="chance")
    again = MultitaskNetwork(network.detector, load_heads(path, network.detector))
    slab = trunk_of_a_body()
    for one, other in zip(network.find(slab, most=2), again.find(slab, most=2), strict=True):
        assert one.proposal == other.proposal
        assert one.tags == other.tags
        assert np.array_equal(one.mask.values, other.mask.values)


def test_heads_belong_to_one_detector(network, tmp_path):
    network.heads.detector = "another"
    path = tmp_path / "multitask.safetensors"
    network.heads.save(path, name="strange")
    with pytest.raises(MultitaskError, match="read the maps of detector another"):
        load_heads(path, network.detector)
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x01\x02\x03")
    with pytest.raises(MultitaskError, match="was changed"):
        load_heads(path, network.detector)


def test_a_mask_lies_about_its_box(network):
    slab, box = ball(), extent_box(mark(), BOX_PADDING_PX)
    with torch.no_grad():
        network.heads.masks.last.weight.zero_()
        network.heads.masks.last.bias.fill_(4.0)
    found = mask_on(network, slab, box) > 0.5
    rows, columns = np.nonzero(found)
    assert abs(rows.mean() - CENTER[1]) < 1
    assert abs(columns.mean() - CENTER[0]) < 1
    side_mm = 1.7 * (2 * RADIUS_MM + 2 * BOX_PADDING_PX * 0.8)
    assert abs((columns.max() - columns.min() + 1) * 0.8 - side_mm) < 2


def test_diameters_are_told_in_pixels_of_the_slice():
    values = np.zeros((12, 20), np.float32)
    values[4:8, 5:15] = 1
    plane = PlaneProbability(slice(30, 42), slice(50, 70), values)
    found = diameters_on(plane, (0.5, 0.5))
    assert found is not None
    assert abs(found.short_mm - 2) < 0.3
    assert abs(found.long_mm - np.hypot(5, 2)) < 0.6
    xs = [x for x, _ in found.recist.points]
    assert 54 <= min(xs) <= max(xs) <= 65
    assert diameters_on(PlaneProbability(slice(0, 3), slice(0, 3), values[:3, :3]), (1, 1)) is None


def test_numbers_of_a_mask():
    inside = torch.zeros(2, 8, 8)
    inside[:, 2:6, 2:6] = 1
    masks = torch.stack([inside[0], torch.full((8, 8), 0.5)])
    sure, share, leaves = mask_numbers(masks, inside).T
    assert sure.tolist() == pytest.approx([1, 0])
    assert share.tolist() == pytest.approx([1, 0.5])
    assert leaves.tolist() == pytest.approx([0, 0.75])
    box = extent_box(mark(), 0.0)
    square = (box.x1 - 10, box.y1 - 10, box.x2 + 10, box.y2 + 10)
    held = inside_of(box, square, 20)
    assert held.mean() == pytest.approx(box.width * box.height / ((box.width + 20) ** 2), rel=0.1)
    assert logit(0.5) == 0
    assert logit(1.0) < 20
