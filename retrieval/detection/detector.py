"""LesionDetector: a trained detection network ready for use, bound to its grid by a fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.body import body_interior
from retrieval.detection.calibration import ScoreCalibration
from retrieval.detection.merging import MergeMethod, merge_proposals
from retrieval.detection.network import DetectionNetwork, DetectorConfig, build_network, scaled
from retrieval.detection.on_patient import on_patient
from retrieval.detection.proposals import Proposal, estimated_long_mm
from retrieval.detection.whole_slice import WholeSlice, whole_slice
from retrieval.image import Slab
from retrieval.lesion import Box, LesionSearchError, LesionType
from retrieval.nn.folding import folded
from retrieval.nn.side_by_side import side_by_side
from retrieval.patch import PatchSpec
from retrieval.training.model_file import (
    ModelKind,
    check_fingerprint,
    fingerprint_of,
    read_model,
    write_model,
)

BUNDLED_DETECTOR = Path(__file__).parent.parent / "weights" / "detector.safetensors"
MERGE_IOU = 0.4

SCALES = (1.0, 1.4)
"""How large the network sees a slice, one pass each; enlarged, it finds more under 1 cm."""

SMALL_MM = 20.0
"""From an enlarged slice only lesions up to this count: larger ones are boxed worse there."""


class DetectorError(LesionSearchError):
    """A detector file that cannot be used."""


_KIND = ModelKind("detector", DetectorError)


@dataclass(frozen=True, slots=True)
class ProposalCut:
    """Which proposals a detector shows: at most ``limit``, none below ``min_score``.

    ``merge`` is how raw boxes that overlap become one; ``scales`` how large the network sees the
    slice, one pass each.
    """

    min_score: float = 0.0005
    limit: int = 20
    merge: MergeMethod = MergeMethod.NMS
    scales: tuple[float, ...] = SCALES


EVERYTHING = ProposalCut(min_score=0.0, limit=100)
"""The cut for scores: a curve to 16 false positives a slice needs the unlikely ones too."""


class LesionDetector:
    """Slices to proposals, on the CPU or a GPU.

    ``half_depth_mm`` is how far beyond a slice its context reaches; ``fingerprint`` a hash of
    weights, network and grid; ``calibration`` makes probabilities of scores, where there is one.
    """

    def __init__(
        self,
        network: DetectionNetwork,
        config: DetectorConfig,
        spec: PatchSpec,
        *,
        name: str,
        device: str = "cpu",
        cut: ProposalCut | None = None,
    ) -> None:
        self.name = name
        self.cut = cut or ProposalCut()
        self.calibration: ScoreCalibration | None = None
        self.config = config
        self.spec = spec
        self.half_depth_mm = spec.half_depth_mm
        self.fingerprint = fingerprint(network, config, spec)
        self.device = torch.device(device)
        self.network = folded(network).to(self.device)

    @classmethod
    def load(
        cls, path: Path | None = None, *, device: str = "cpu", cut: ProposalCut | None = None
    ) -> Self:
        """The detector of a safetensors file, or the bundled one.

        Raises:
            DetectorError: the file is missing, is no detector, or does not match its own header.
        """
        path = path or BUNDLED_DETECTOR
        network, config, spec, name = load_detection_network(path)
        loaded = cls(network, config, spec, name=name, device=device, cut=cut)
        loaded.calibration = ScoreCalibration.beside(path, loaded.fingerprint)
        return loaded

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        """The proposals on the slab's key slice, best first, merged where they overlap."""
        return self.detect_slices(slab, [slab.key_slice])[0]

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> list[tuple[Proposal, ...]]:
        """The proposals on each of the slices at ``positions`` in the slab, in their order.

        Boxes lie within the image and on the patient; scores are probabilities where the detector
        has a calibration.

        Raises CTError for a position that is not in the slab.
        """
        slabs = [slab.with_key_slice(position) for position in positions]
        return side_by_side(self._on_key_slice, slabs, on=self.device)

    def _on_key_slice(self, slab: Slab) -> tuple[Proposal, ...]:
        interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
        whole = whole_slice(slab, self.spec, interior)
        passes = [partial(self.propose, whole, scale=scale) for scale in self.cut.scales]
        raw = side_by_side(_called, passes, on=self.device)
        return merge_proposals(
            on_patient(chain.from_iterable(raw), slab, interior),
            method=self.cut.merge,
            iou=MERGE_IOU,
            limit=self.cut.limit,
        )

    @torch.inference_mode()
    def propose(self, whole: WholeSlice, *, scale: float = 1.0) -> list[Proposal]:
        """The raw proposals on one slice that is on the detector's grid, in the file grid.

        The network sees the slice ``scale`` times as large.
        """
        picture = scaled(torch.from_numpy(whole.hu).to(self.device))
        if scale != 1.0:
            size = [round(side * scale) for side in picture.shape[1:]]
            picture = F.interpolate(picture[None], size=size, mode="bilinear")[0]
        answer = self.network([picture])[0]
        found = [
            self._proposal(whole, _smaller(Box(*box), scale), score, label)
            for box, score, label in zip(
                answer["boxes"].tolist(),
                answer["scores"].tolist(),
                answer["labels"].tolist(),
                strict=True,
            )
            if box[2] > box[0] and box[3] > box[1]
        ]
        if scale > 1.0:
            found = [one for one in found if one.long_mm is not None and one.long_mm <= SMALL_MM]
        if self.calibration is not None:
            found = [self.calibration.applied(one) for one in found]
        return [one for one in found if one.score >= self.cut.min_score]

    def _proposal(self, whole: WholeSlice, box: Box, score: float, label: int) -> Proposal:
        on_image = whole.to_image(box)
        one_class = self.config.classes == 1
        return Proposal(
            box=on_image,
            score=score,
            long_mm=estimated_long_mm(on_image, whole.spacing_mm_px),
            lesion_type=LesionType.UNKNOWN if one_class else LesionType.from_code(label + 1),
        )


def _called(look: Callable[[], list[Proposal]]) -> list[Proposal]:
    return look()


def _smaller(box: Box, scale: float) -> Box:
    """A box of the enlarged picture on the grid it was enlarged from; pixels keep their edges."""
    if scale == 1.0:
        return box
    shift = (1 - 1 / scale) / 2
    return box.scaled(1 / scale, 1 / scale).shifted(-shift, -shift)


def save_detector(
    network: DetectionNetwork, config: DetectorConfig, spec: PatchSpec, path: Path, *, name: str
) -> str:
    """Writes the network with its configuration; returns its fingerprint."""
    return write_model(path, network, _settings(config, spec), name=name, kind=_KIND)


def load_detection_network(
    path: Path,
) -> tuple[DetectionNetwork, DetectorConfig, PatchSpec, str]:
    """The network of a detector file, its configuration, grid and name; raises DetectorError."""
    header, weights = read_model(path, _KIND)
    network, config, spec = _rebuilt(header, weights, path)
    check_fingerprint(fingerprint(network, config, spec), header, path, _KIND)
    return network, config, spec, str(header.get("name", path.stem))


def fingerprint(network: DetectionNetwork, config: DetectorConfig, spec: PatchSpec) -> str:
    """16 hexadecimal digits of SHA-256 over configuration, grid and every weight."""
    return fingerprint_of(network, _settings(config, spec))


def _settings(config: DetectorConfig, spec: PatchSpec) -> dict[str, Any]:
    return {"network": config.to_dict(), "grid": spec.to_dict()}


def _rebuilt(
    header: dict[str, Any], weights: dict[str, Tensor], path: Path
) -> tuple[DetectionNetwork, DetectorConfig, PatchSpec]:
    try:
        settings = dict(header["network"])
        for key in ("anchor_px", "ratios"):
            settings[key] = tuple(settings[key])
        config = DetectorConfig(**settings)
        spec = PatchSpec.from_dict(header["grid"])
        network = build_network(config, spec, pretrained=False)
        network.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise DetectorError(
            f"detector {path} does not fit this version's network ({error}): train it again"
        ) from None
    return network, config, spec
