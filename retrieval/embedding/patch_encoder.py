"""PatchEncoder: what the rest of the product needs of any encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retrieval.embedding.encoder import Embedding
from retrieval.patch import Patch, PatchSpec


class PatchEncoder(Protocol):
    """What the engine needs of an encoder; ``LesionEncoder`` is the product's own."""

    @property
    def name(self) -> str:
        """What the encoder is called."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of weights and PatchSpec."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def spec(self) -> PatchSpec:
        """The patch the encoder was trained on."""
        ...

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches, in their order."""
        ...
