from __future__ import annotations

from itertools import product

import torch

from retrieval.training.seeds import torch_seed


def test_near_draws_have_unrelated_seeds_that_torch_takes() -> None:
    seeds = [torch_seed(*numbers) for numbers in product(range(3), range(4), range(50))]
    assert len(set(seeds)) == len(seeds)
    assert torch_seed(1, 2, 3) == torch_seed(1, 2, 3) != torch_seed(1, 3, 2)
    for seed in seeds:
        assert 0 <= seed < 2**63
        torch.Generator().manual_seed(seed)
