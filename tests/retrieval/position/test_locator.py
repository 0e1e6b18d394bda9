"""BodyLocator on a made network: what it does with slices that show no body, boxes and batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.position.calibration import CalibrationError, ErrorModel, HeightCalibration
from retrieval.position.locator import BATCH, BodyLocator, NoBodyError
from retrieval.position.network import HeightNetwork, HeightNetworkConfig
from retrieval.position.network_file import save_height_network
from retrieval.position.picture import PictureSpec
from tests.retrieval.position.conftest import body_slice

ERROR = ErrorModel((0.001, 0.002, 0.01), (0.01, 0.02, 0.03))


class WidthNetwork(HeightNetwork):
    """The share of bright pixels as a height: exact, and monotone on the made bodies."""

    def forward(self, pictures):
        return 10 - 20 * pictures.gt(0.01).float().mean(dim=(1, 2))


def calibration(fingerprint="f0"):
    return HeightCalibration((-2000.0, 2000.0), (1.0, 0.0), (0.0, 1.0), ERROR, fingerprint)


@pytest.fixture(scope="module")
def locator():
    return BodyLocator(WidthNetwork(HeightNetworkConfig(1)), PictureSpec(), calibration())


def slab(heights, interval=20.0):
    return Slab(np.stack([body_slice(h) for h in heights]), (1.0, 1.0), interval, 1)


def test_scores_do_not_depend_on_the_batch(locator):
    heights = np.linspace(0, 240, BATCH + 5)
    hu = slab(heights).hu
    together = locator.scores_mm(hu, (1.0, 1.0))
    one_by_one = [locator.scores_mm(plane[None], (1.0, 1.0))[0] for plane in hu]
    np.testing.assert_allclose(together, one_by_one, atol=1e-3)
    assert np.corrcoef(heights, together)[0, 1] > 0.9


def test_reversed_slices_are_flagged_and_placed_alike(locator):
    heights = np.arange(0, 200, 20.0)
    up = locator.locate(slab(heights))
    down = locator.locate(slab(heights[::-1]))
    assert (up.is_reversed, down.is_reversed) == (False, True)
    rising = [one.place.location[2] for one in up.slices]
    falling = [one.place.location[2] for one in down.slices]
    np.testing.assert_allclose(rising, falling[::-1], atol=1e-6)


def test_slices_without_body_have_no_place_and_disturb_no_other(locator):
    heights = np.arange(0, 200, 20.0)
    whole = slab(heights)
    hu = whole.hu.copy()
    hu[4] = -1000.0
    found = locator.locate(Slab(hu, (1.0, 1.0), 20.0, grid=GridMap(origin=(0, 0, 30))))
    assert [one.index for one in found.slices] == list(range(30, 40))
    assert [one.index for one in found.slices if one.place is None] == [34]
    with pytest.raises(NoBodyError, match="34"):
        locator.locate_box(
            Slab(hu, (1.0, 1.0), 20.0, 4, GridMap(origin=(0, 0, 30))), Box(90, 90, 110, 110)
        )


def test_a_box_is_placed_in_the_frame_with_its_error(locator):
    image = slab([0.0, 20.0, 40.0])
    left = locator.locate_box(image, Box(60, 90, 80, 110))
    right = locator.locate_box(image, Box(160, 90, 180, 110))
    assert left.location[0] < 0.4 < 0.6 < right.location[0]
    assert left.location[1:] == right.location[1:]
    assert left.location_error == ERROR.half
    assert left.location_error_90 == ERROR.most


def test_a_calibration_of_another_network_is_refused(tmp_path):
    torch.manual_seed(0)
    network = HeightNetwork(HeightNetworkConfig(1))
    path = tmp_path / "position.safetensors"
    fingerprint = save_height_network(network, PictureSpec(), path, name="made")
    calibration(fingerprint).write(tmp_path / "right.json")
    calibration("other").write(tmp_path / "wrong.json")
    assert BodyLocator.load(path, tmp_path / "right.json").calibration.fingerprint == fingerprint
    with pytest.raises(CalibrationError, match="calibrate these weights"):
        BodyLocator.load(path, tmp_path / "wrong.json")
