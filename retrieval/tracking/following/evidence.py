"""What speaks for a candidate being the lesion that is followed, as numbers to be weighed.

| name | what it is |
| --- | --- |
| similarity | cosine of the embeddings |
| contrast | the cosine less the median cosine of all places that were compared |
| location | log-likelihood ratio of the place (``terms/scatter.py``), less that of the expected |
| size | log-likelihood ratio of the size, where the detector measured one |
| detected | log-odds of the detector's score, where it proposed the place |
| proposed | 1 where it did |
| pixels | Fisher's z of the correlation with the lesion's own pixels, where they are at hand |
| kept | the share of the lesion's contrast to its surroundings that the place still shows |
| with_pixels | 1 where its pixels are at hand |

What is not known is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.tracking.edges import NOMINAL_BODY_MM, PairTerms, TrackNode
from retrieval.tracking.following.dense_search import Sighting
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.following.model import EVIDENCE_NAMES
from retrieval.tracking.matcher import MatcherModel

FloatArray = NDArray[np.float64]

SCORE_LIMITS = (0.01, 0.99)
CORRELATION_LIMITS = (-0.5, 0.97)


def weighable(
    rows: Sequence[TrackNode],
    columns: Sequence[TrackNode],
    sightings: Sequence[Sighting],
    expected: ExpectedPlace,
    model: MatcherModel,
) -> FloatArray:
    """(rows, columns, evidence): of lesions against candidates, as EVIDENCE_NAMES orders it.

    Args:
        rows: the lesion that is sought, then the others of its study: pixels speak for the first.
        columns: the candidates as nodes.
        sightings: the same candidates as they were seen.
        expected: of the first row; its error is that of all.
        model: whose scatter tells what distances and sizes are worth.
    """
    pairs, scatter = PairTerms.of([*rows, *columns]), model.scatter
    across = np.s_[: len(rows), len(rows) :]
    cosine = pairs.similarity[across]
    error_mm = np.array(expected.error) * np.array(NOMINAL_BODY_MM)
    most = float(scatter.location_ratio(np.zeros((1, 3)), error_mm[None])[0])
    place = scatter.location_ratio(pairs.offset_mm[across], pairs.offset_error_mm[across])
    known = np.isfinite(pairs.offset_mm[across]).all(axis=-1)
    proposed = np.array([one.detector_score is not None for one in sightings])
    odds = np.array(
        [0.0 if one.detector_score is None else one.detector_score for one in sightings]
    )
    odds = np.clip(odds, *SCORE_LIMITS)
    fits = [one.pixels for one in sightings]
    correlation = np.array([0.0 if fit is None else fit.correlation for fit in fits])
    found = np.zeros((*cosine.shape, len(EVIDENCE_NAMES)))
    found[..., 0] = cosine
    found[..., 1] = cosine - np.median(cosine, axis=1, keepdims=True)
    found[..., 2] = np.where(known, place - most, 0.0)
    found[..., 3] = scatter.size_ratio(pairs.log_size_ratio[across], pairs.log_size_error[across])
    found[..., 4] = np.where(proposed, np.log(odds / (1 - odds)), 0.0)
    found[..., 5] = proposed
    found[0, :, 6] = np.arctanh(np.clip(correlation, *CORRELATION_LIMITS))
    found[0, :, 7] = [0.0 if fit is None else fit.kept for fit in fits]
    found[0, :, 8] = [fit is not None for fit in fits]
    return found
