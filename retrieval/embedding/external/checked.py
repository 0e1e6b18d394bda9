"""What every encoder must keep to, whoever wrote it: shapes, finite numbers, unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.encoder import Embedding, EncoderError
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.patch import Patch, PatchSpec


def unit_vectors(numbers: NDArray[np.float32], *, count: int, name: str) -> NDArray[np.float32]:
    """(count, dimension) of length one each.

    Raises EncoderError for another shape, numbers that are not finite, or a vector of zeros.
    """
    vectors = np.asarray(numbers, np.float32)
    if vectors.ndim != 2 or len(vectors) != count:
        raise EncoderError(
            f"encoder {name} gave numbers of shape {vectors.shape} for {count} lesions: one vector "
            "a lesion is needed"
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise EncoderError(f"encoder {name} gave a vector that is zero or not finite")
    return np.asarray(vectors / lengths, np.float32)


def without_locations(vectors: NDArray[np.float32]) -> Embedding:
    """An embedding of an encoder that estimates no body position."""
    return Embedding(vectors, np.full((len(vectors), 3), np.nan, np.float32))


class CheckedEncoder:
    """An encoder of another package, each of whose answers is checked and brought to length one."""

    def __init__(self, encoder: PatchEncoder) -> None:
        self._encoder = encoder
        self.name = str(encoder.name)
        self.fingerprint = str(encoder.fingerprint)
        self.dimension = int(encoder.dimension)
        self.spec: PatchSpec = encoder.spec

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches, in their order; raises EncoderError for anything else."""
        if not patches:
            return without_locations(np.empty((0, self.dimension), np.float32))
        found = self._encoder.embed(patches, batch_size=batch_size)
        vectors = unit_vectors(found.vectors, count=len(patches), name=self.name)
        if vectors.shape[1] != self.dimension:
            raise EncoderError(
                f"encoder {self.name} gave vectors of {vectors.shape[1]} numbers and says its "
                f"dimension is {self.dimension}"
            )
        return Embedding(vectors, found.locations)
