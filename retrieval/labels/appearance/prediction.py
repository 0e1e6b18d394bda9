"""What a head says of lesions, as tags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.appearance.image_numbers import image_numbers
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.patch import Patch
from retrieval.tag import Tag, TagSource, strongest

_TAMED = slice(0, 6)
_SHARES = slice(6, 10)
_EDGES = slice(12, 14)
_WIDTH = 14


def features_of(vectors: NDArray[np.float32], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (n, dimension) and ``image_numbers`` (n, COUNT) as the head's features.

    Metal and the sharpest edges are bounded, so that one voxel does not decide.
    """
    tamed = numbers.astype(np.float32).copy()
    tamed[:, _TAMED] = np.clip(tamed[:, _TAMED], -1.0, 0.8)
    tamed[:, _SHARES] = np.sqrt(tamed[:, _SHARES])
    tamed[:, _EDGES] = np.sqrt(tamed[:, _EDGES])
    tamed[:, _WIDTH] = np.log(tamed[:, _WIDTH] + 0.1)
    return np.concatenate([vectors, tamed], axis=1)


def features_of_patches(
    vectors: NDArray[np.float32], patches: Sequence[Patch]
) -> NDArray[np.float32]:
    """The features of lesions whose vectors and patches are given."""
    return features_of(vectors, image_numbers(patches))


def predicted_tags(
    head: TagHead, features: NDArray[np.float32], vocabulary: Vocabulary
) -> list[tuple[Tag, ...]]:
    """The tags of each lesion, of the terms that are worth a tag.

    ``predicted`` where the probability reaches the term's threshold, with what the term implies;
    ``unlikely`` below it.
    """
    found = []
    for row in head.probabilities(features):
        shares: dict[str, float] = {}
        below: dict[str, float] = {}
        for term, probability in zip(head.terms, row.tolist(), strict=True):
            if not term.is_predicted or term.name not in vocabulary:
                continue
            if probability < term.threshold:
                below[term.name] = probability
                continue
            for name in vocabulary.expand([term.name]):
                shares[name] = max(shares.get(name, 0.0), probability)
        sources = ((below, TagSource.UNLIKELY), (shares, TagSource.PREDICTED))
        tags = [
            Tag(name, round(share, 4), source, head.name)
            for told, source in sources
            for name, share in sorted(told.items())
        ]
        found.append(strongest(tags))
    return found
