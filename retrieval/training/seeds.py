"""Seeds of torch's generators from what a draw belongs to."""

from __future__ import annotations

import numpy as np


def torch_seed(*entropy: int) -> int:
    """A 63-bit seed from non-negative numbers, by NumPy's SeedSequence: near ones are unrelated."""
    (state,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return int(state) >> 1
