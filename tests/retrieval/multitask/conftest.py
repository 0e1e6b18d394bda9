"""The bundled detector with heads of chance, and a ball in a lung with its truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from retrieval.detection.detector import LesionDetector
from retrieval.multitask.heads import LesionHeads, RoiWidths
from retrieval.multitask.mask_head import MaskHeadConfig
from retrieval.multitask.network import MultitaskNetwork
from retrieval.segmentation.learning.example import MaskedLesion
from tests.retrieval.segmentation.scenes import ball, truth


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures this small are not worth sharing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def detector() -> LesionDetector:
    return LesionDetector.load()


@pytest.fixture
def network(detector: LesionDetector) -> MultitaskNetwork:
    torch.manual_seed(0)
    config = MaskHeadConfig(size_px=16, widths=(8, 8, 8), of_pyramid=8)
    heads = LesionHeads(RoiWidths.of(detector), config, detector=detector.fingerprint)
    return MultitaskNetwork(detector, heads)


@pytest.fixture
def ball_lesion() -> MaskedLesion:
    return MaskedLesion("a", "p1", "nodule", ball(noise=0.0), truth().astype(np.float32))
