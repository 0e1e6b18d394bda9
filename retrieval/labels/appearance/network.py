"""The head: a lesion's vector and densities to a logit for each term.

As in LesaNet (Yan et al., CVPR 2019, section 3.4) the logits pass a square layer that starts as
the identity, the score propagation layer, by which terms learn of each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

MOST_SPREADS = 5.0
"""A feature further than this from its mean counts no more, so that metal does not decide."""


@dataclass(frozen=True)
class HeadLogits:
    """Logits before and after the propagation layer, each (lesions, terms)."""

    first: Tensor
    propagated: Tensor


class TagNetwork(nn.Module):
    """Features (lesions, features), standardised inside, to HeadLogits.

    ``hidden`` 0 makes it linear: for some hundred lesions. The mean and the spread of the features
    are part of it.
    """

    def __init__(self, features: int, terms: int, *, hidden: int = 0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.hidden = nn.Linear(features, hidden) if hidden else None
        self.scores = nn.Linear(hidden or features, terms)
        self.propagation = nn.Linear(terms, terms)
        with torch.no_grad():
            self.propagation.weight.copy_(torch.eye(terms))
            self.propagation.bias.zero_()

    def forward(self, features: Tensor) -> HeadLogits:
        """The logits of some lesions."""
        mean, spread = self.get_buffer("mean"), self.get_buffer("spread")
        standard = ((features - mean) / spread).clamp(-MOST_SPREADS, MOST_SPREADS)
        if self.hidden is not None:
            standard = torch.relu(self.hidden(standard))
        first = self.scores(standard)
        return HeadLogits(first, self.propagation(first))
