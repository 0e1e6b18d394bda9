"""LesionHeads: mask, tags and refinement together, in one file that is bound to its detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.detection.detector import LesionDetector
from retrieval.labels.appearance.image_numbers import COUNT
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.appearance.weights_file import HeadTerm, TagHead
from retrieval.lesion import LesionSearchError, LesionType
from retrieval.multitask.mask_head import MaskHead, MaskHeadConfig
from retrieval.multitask.refinement import ScoreRefinement
from retrieval.multitask.rois import COARSE_LEVELS, FINE_LEVELS, RoiInputs, window_count
from retrieval.multitask.tag_vector import TagVector
from retrieval.training.model_file import ModelKind, rebuild, write_model


class MultitaskError(LesionSearchError):
    """Heads that cannot be used with a detector."""


KIND = ModelKind("multitask", MultitaskError)


@dataclass(frozen=True, slots=True)
class RoiWidths:
    """Channels of what the heads read: windows of HU, maps of the backbone and of the pyramid."""

    windows: int
    fine: int
    coarse: int

    @classmethod
    def of(cls, detector: LesionDetector) -> RoiWidths:
        """Those of a detector."""
        pyramid = detector.network.backbone
        return cls(
            window_count(detector.spec),
            sum(pyramid.backbone.channels[:FINE_LEVELS]),
            COARSE_LEVELS * detector.config.channels,
        )


class LesionHeads(nn.Module):
    """The heads of one detector.

    Attributes:
        masks: RoiInputs to logits.
        vector: RoiInputs and masks to the vectors that tags are told by.
        tags: vectors and numbers of the image to logits of ``terms``; None before it is fitted.
        refinement: everything to one score.
        terms: with calibration and threshold.
        types: the lesion types that the tags have learnt of.
        detector: the fingerprint of the detector whose maps they read.
    """

    def __init__(self, widths: RoiWidths, config: MaskHeadConfig, *, detector: str) -> None:
        super().__init__()
        self.widths, self.config, self.detector = widths, config, detector
        self.masks = MaskHead((widths.windows + widths.fine, widths.coarse), config)
        self.vector = TagVector(widths.fine, widths.coarse)
        self.terms: tuple[HeadTerm, ...] = ()
        self.types: tuple[LesionType, ...] = ()
        self.tags: TagNetwork | None = None
        self.refinement = ScoreRefinement(0)

    def with_tags(self, head: TagHead) -> None:
        """Takes a fitted head of tags; the refinement begins anew."""
        self.tags, self.terms, self.types = head.network, head.terms, head.types
        self.refinement = ScoreRefinement(len(head.terms))

    @property
    def tag_head(self) -> TagHead | None:
        """The head of tags by itself, bound to the detector instead of an encoder."""
        if self.tags is None:
            return None
        return TagHead(
            self.tags, self.terms, encoder=self.detector, name="multitask", types=self.types
        )

    @torch.inference_mode()
    def probabilities(self, inputs: RoiInputs) -> Tensor:
        """(k, size, size) of the masks."""
        found: Tensor = self.masks(inputs).sigmoid()
        return found

    def settings(self) -> dict[str, Any]:
        """What a file says of them beside the weights."""
        return {
            "widths": asdict(self.widths),
            "masks": self.config.to_dict(),
            "detector": self.detector,
            "terms": [asdict(term) for term in self.terms],
            "types": [kind.value for kind in self.types],
        }

    def save(self, path: Path, *, name: str) -> str:
        """Writes them; returns the fingerprint."""
        return write_model(path, self, self.settings(), name=name, kind=KIND)


def load_heads(path: Path, detector: LesionDetector) -> LesionHeads:
    """The heads of a file, for the detector that they belong to.

    Raises:
        MultitaskError: missing, damaged, changed, of another kind or of another detector.
    """
    heads, _ = rebuild(path, KIND, _built)
    if heads.detector != detector.fingerprint:
        raise MultitaskError(
            f"heads {path} read the maps of detector {heads.detector}, this one is "
            f"{detector.fingerprint}: train heads with `lesion-search train multitask`"
        )
    return heads.eval()


def _built(header: Mapping[str, Any]) -> tuple[LesionHeads, dict[str, Any]]:
    config = MaskHeadConfig(
        size_px=int(header["masks"]["size_px"]),
        widths=tuple(int(width) for width in header["masks"]["widths"]),  # type: ignore[arg-type]
        of_pyramid=int(header["masks"]["of_pyramid"]),
    )
    heads = LesionHeads(RoiWidths(**header["widths"]), config, detector=str(header["detector"]))
    heads.terms = tuple(HeadTerm(**fields) for fields in header["terms"])
    heads.types = tuple(LesionType(kind) for kind in header["types"])
    if heads.terms:
        heads.tags = TagNetwork(heads.vector.dimension + COUNT, len(heads.terms))
    heads.refinement = ScoreRefinement(len(heads.terms))
    return heads, heads.settings()
