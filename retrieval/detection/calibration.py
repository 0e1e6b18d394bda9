"""What a detector's score is worth: the probability that its box is a lesion.

A logistic curve over the logit of the score (Platt, 1999), fitted on slices of which it is known
where their lesions are. It is kept in a file beside the detector's own and bound to its weights.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from retrieval.detection.proposals import Proposal, ProposalError

_SMALLEST = 1e-6


class ScoreCalibrationError(ProposalError):
    """A calibration that cannot be read, or that is another detector's."""


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """Score to probability: ``sigmoid(slope * logit(score) + intercept)``.

    Attributes:
        slope: above 0, so that the order of the proposals stays.
        intercept: of the logit.
        detector: the fingerprint of the detector whose scores were fitted.
        fitted_on: on what, in words.
    """

    slope: float
    intercept: float
    detector: str
    fitted_on: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope + self.intercept) and self.slope > 0):
            raise ScoreCalibrationError(
                f"calibration with slope {self.slope} and intercept {self.intercept}: a slope "
                "above 0 and a finite intercept are needed"
            )

    def probability(self, score: float) -> float:
        """The probability, in (0, 1), that a box of this score is a lesion."""
        logit = self.slope * float(_logit(np.array(score))) + self.intercept
        return 1.0 / (1.0 + math.exp(-logit))

    def applied(self, proposal: Proposal) -> Proposal:
        """The proposal with its probability for a score."""
        return replace(proposal, score=self.probability(proposal.score))

    @classmethod
    def fit(
        cls,
        scores: NDArray[np.float64],
        is_lesion: NDArray[np.bool_],
        *,
        detector: str,
        fitted_on: str,
    ) -> Self:
        """The curve of least log loss.

        Args:
            scores: (n,) of boxes, in [0, 1].
            is_lesion: (n,) whether the box met a lesion.
            detector: fingerprint.
            fitted_on: on what, in words.

        Raises:
            ScoreCalibrationError: all boxes are lesions, or none, or better scores are worth less.
        """
        if is_lesion.all() or not is_lesion.any():
            raise ScoreCalibrationError(
                f"{int(is_lesion.sum())} of {len(is_lesion)} boxes are lesions: some of either "
                "kind are needed"
            )
        logits, sign = _logit(scores), np.where(is_lesion, -1.0, 1.0)

        def loss(line: NDArray[np.float64]) -> float:
            return float(np.logaddexp(0, sign * (line[0] * logits + line[1])).mean())

        slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
        return cls(float(slope), float(intercept), detector, fitted_on)

    def save(self, path: Path) -> None:
        """Writes the file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def beside(cls, weights: Path, fingerprint: str) -> Self | None:
        """The calibration in the file beside a detector's, None where there is none.

        Raises:
            ScoreCalibrationError: the file is no calibration, or another detector's.
        """
        path = calibration_path(weights)
        if not path.is_file():
            return None
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found = cls(
                float(fields["slope"]),
                float(fields["intercept"]),
                str(fields["detector"]),
                str(fields["fitted_on"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ScoreCalibrationError(f"calibration {path} cannot be read ({error})") from None
        if found.detector != fingerprint:
            raise ScoreCalibrationError(
                f"calibration {path} was fitted for detector {found.detector} and this one is "
                f"{fingerprint}: delete it, or fit it again"
            )
        return found


def calibration_path(weights: Path) -> Path:
    """``detector.safetensors`` -> ``detector.calibration.json``."""
    return weights.with_suffix(".calibration.json")


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)
