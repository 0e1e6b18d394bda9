"""Relational distillation: who is near whom, as frozen features have it (Park et al., CVPR 2019).

Not the teacher's vectors are learned but each lesion's similarities to the other lesions of the
batch, as a distribution (Fang et al., ICLR 2021, equation 4, within the batch).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relational_divergence(student: Tensor, teacher: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Mean Kullback-Leibler divergence of the student's neighbourhoods from the teacher's.

    Args:
        student: (n, d) unit vectors.
        teacher: (n, e) unit vectors of the same lesions; no gradient reaches them.
        temperature: of both softmaxes over the n - 1 other lesions.

    Returns:
        A scalar of at least 0; 0 for fewer than three lesions, which have no neighbourhoods.
    """
    if len(student) < 3:
        return student.sum() * 0
    wanted = F.log_softmax(_to_others(teacher.detach()) / temperature, dim=1)
    found = F.log_softmax(_to_others(student) / temperature, dim=1)
    return F.kl_div(found, wanted, reduction="batchmean", log_target=True)


def _to_others(vectors: Tensor) -> Tensor:
    """(n, n - 1): the similarities of every lesion to all others."""
    count = len(vectors)
    others = ~torch.eye(count, dtype=torch.bool, device=vectors.device)
    return (vectors @ vectors.T)[others].view(count, count - 1)
