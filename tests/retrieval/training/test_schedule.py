from __future__ import annotations

import numpy as np
import pytest

from retrieval.training.schedule import rate_share


def test_the_rate_rises_then_falls_along_half_a_cosine() -> None:
    shares = np.array([rate_share(step, 100, warmup=0.1) for step in range(100)])
    assert shares[0] == pytest.approx(0.1)
    assert shares[9] == pytest.approx(1.0)
    assert (np.diff(shares[:10]) > 0).all()
    assert (np.diff(shares[10:]) < 0).all()
    assert shares[55] == pytest.approx(0.5, rel=1e-6)
    assert 0 < shares[99] < 1e-3


def test_a_run_without_warmup_starts_at_its_first_step() -> None:
    assert rate_share(0, 10, warmup=0.0) == 1.0
