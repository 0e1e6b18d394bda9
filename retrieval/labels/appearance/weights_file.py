"""The head in a file: weights, terms, thresholds and the encoder whose vectors it reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.labels.appearance.network import TagNetwork
from retrieval.lesion import LesionSearchError, LesionType
from retrieval.training.model_file import ModelKind, read_model, write_model

BUNDLED_HEAD = Path(__file__).parents[2] / "weights" / "tags.safetensors"
"""The head of the bundled encoder."""


class TagHeadError(LesionSearchError):
    """A head that cannot be used."""


_KIND = ModelKind("tags", TagHeadError)


@dataclass(frozen=True)
class HeadTerm:
    """One term of a head.

    Attributes:
        name: the vocabulary's term.
        slope: of the calibration: probability = sigmoid(slope x logit + offset).
        offset: of the calibration.
        threshold: the least probability of a tag.
        is_predicted: whether it is above its baselines; a term that is not is never a tag.
    """

    name: str
    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.5
    is_predicted: bool = True


class TagHead:
    """A head with its terms.

    ``encoder`` is the fingerprint of the encoder whose vectors it reads. ``types`` are the lesion
    types that it has learnt of; it says nothing of others.
    """

    def __init__(
        self,
        network: TagNetwork,
        terms: tuple[HeadTerm, ...],
        *,
        encoder: str,
        name: str,
        types: tuple[LesionType, ...] = tuple(LesionType),
    ) -> None:
        self.types = types
        self.network = network.eval()
        self.terms = terms
        self.encoder = encoder
        self.name = name

    @classmethod
    def load(cls, path: Path = BUNDLED_HEAD) -> Self:
        """The head of a file; raises TagHeadError."""
        header, weights = read_model(path, _KIND)
        try:
            terms = tuple(HeadTerm(**fields) for fields in header["terms"])
            network = TagNetwork(int(header["features"]), len(terms), hidden=int(header["hidden"]))
            network.load_state_dict(weights)
            types = tuple(LesionType(name) for name in header["types"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TagHeadError(f"{path} is not a head of tags ({error}): train it again") from error
        return cls(
            network, terms, encoder=str(header["encoder"]), name=str(header["name"]), types=types
        )

    def save(self, path: Path) -> str:
        """Writes the head; returns its fingerprint."""
        return write_model(path, self.network, self._settings(), name=self.name, kind=_KIND)

    @torch.inference_mode()
    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated probabilities (lesions, terms) of features (lesions, features)."""
        logits = self.network(torch.from_numpy(np.ascontiguousarray(features))).propagated.numpy()
        slopes = np.array([term.slope for term in self.terms], dtype=np.float32)
        offsets = np.array([term.offset for term in self.terms], dtype=np.float32)
        probabilities: NDArray[np.float32] = 1.0 / (1.0 + np.exp(-(logits * slopes + offsets)))
        return probabilities

    def check_encoder(self, fingerprint: str) -> None:
        """Raises TagHeadError unless the head reads this encoder's vectors."""
        if fingerprint != self.encoder:
            raise TagHeadError(
                f"the head of tags reads vectors of encoder {self.encoder}, the index holds those "
                f"of {fingerprint}: train a head with `lesion-search train tags`"
            )

    def _settings(self) -> dict[str, Any]:
        hidden = 0 if self.network.hidden is None else self.network.hidden.out_features
        return {
            "terms": [asdict(term) for term in self.terms],
            "features": len(self.network.get_buffer("mean")),
            "hidden": hidden,
            "encoder": self.encoder,
            "types": [kind.value for kind in self.types],
        }
