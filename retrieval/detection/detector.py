"""LesionDetector: a trained detection network ready for use, bound to its grid by a fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from retrieval.body import BodyInterior, body_interior
from retrieval.detection.calibration import ScoreCalibration
from retrieval.detection.close_look import CloseLook, Window, windows_about
from retrieval.detection.merging import MergeMethod, merge_proposals
from retrieval.detection.network import DetectionNetwork, DetectorConfig, build_network, scaled
from retrieval.detection.on_patient import on_patient
from retrieval.detection.proposals import Proposal, estimated_long_mm
from retrieval.detection.whole_slice import WholeSlice, whole_slice
from retrieval.image import Slab
from retrieval.lesion import Box, LesionSearchError, LesionType
from retrieval.nn.folding import folded
from retrieval.nn.pointwise import with_pixelwise_products
from retrieval.nn.side_by_side import side_by_side
from retrieval.nn.slice_statistics import SliceStatistics, with_slice_statistics
from retrieval.patch import PatchSpec
from retrieval.training.model_file import ModelKind, fingerprint_of, rebuild, write_model

BUNDLED_DETECTOR = Path(__file__).parent.parent / "weights" / "detector.safetensors"
MERGE_IOU = 0.4


class DetectorError(LesionSearchError):
    """A detector file that cannot be used."""


_KIND = ModelKind("detector", DetectorError)


@dataclass(frozen=True, slots=True)
class ProposalCut:
    """Which proposals a detector shows: at most ``limit``, none below ``min_score``.

    ``merge`` is how raw boxes that overlap become one; ``close_look`` how places with small boxes
    are seen a second time, None for one pass.
    """

    min_score: float = 0.0005
    limit: int = 20
    merge: MergeMethod = MergeMethod.NMS
    close_look: CloseLook | None = field(default_factory=CloseLook)


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
        self.network = with_slice_statistics(folded(network)).to(self.device)
        if self.device.type == "cpu":
            with_pixelwise_products(self.network)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The categories or lesion types that it tells apart; none for one class."""
        if self.config.classes == 1 or self.config.categories:
            return self.config.categories
        return tuple(LesionType.from_code(n + 1).value for n in range(self.config.classes))

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
        return side_by_side(self._on_key_slice, slabs, on=self.device, one_thread_for_one=True)

    def _on_key_slice(self, slab: Slab) -> tuple[Proposal, ...]:
        interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
        return self.on_whole_slice(slab, whole_slice(slab, self.spec, interior), interior)

    def on_whole_slice(
        self, slab: Slab, whole: WholeSlice, interior: BodyInterior
    ) -> tuple[Proposal, ...]:
        """The same as ``detect`` of a slab whose key slice is on the detector's grid already.

        ``interior`` is what is patient on it. The first pass of the network is over the slice.
        """
        statistics = SliceStatistics()
        with statistics.kept():
            found = on_patient(self.propose(whole), slab, interior)
        if self.cut.close_look is not None:
            seen = self._merged(found)
            with statistics.used():
                closer = self.look_closely(whole, seen, self.cut.close_look)
            found += on_patient(closer, slab, interior)
        return self._merged(found)

    def _merged(self, found: Sequence[Proposal]) -> tuple[Proposal, ...]:
        return merge_proposals(found, method=self.cut.merge, iou=MERGE_IOU, limit=self.cut.limit)

    @torch.inference_mode()
    def propose(self, whole: WholeSlice) -> list[Proposal]:
        """The raw proposals on one slice that is on the detector's grid, in the file grid."""
        answer = self.network([self._picture(whole)])[0]
        return self._judged(
            self._proposal(whole, Box(*box), score, label) for box, score, label in _rows(answer)
        )

    def look_closely(
        self, whole: WholeSlice, seen: Sequence[Proposal], look: CloseLook
    ) -> list[Proposal]:
        """The raw small proposals in enlarged windows about the best small ones of ``seen``.

        Windows are normalised as the slice was if called within its ``SliceStatistics.used``.
        """
        return self._judged(self.seen_in(whole, self.windows(whole, seen, look), look))

    @staticmethod
    def windows(whole: WholeSlice, seen: Sequence[Proposal], look: CloseLook) -> list[Window]:
        """Where to look closely: about the best small proposals of ``seen``, best first."""
        small = [x for x in seen if x.long_mm is not None and x.long_mm <= look.about_mm]
        boxes = [whole.to_grid(one.box) for one in small if one.score >= look.least_score]
        side_px = round(look.side_mm / whole.mm_px)
        return windows_about(boxes, whole.hu.shape, side_px, look.windows)

    @torch.inference_mode()
    def seen_in(
        self, whole: WholeSlice, windows: Sequence[Window], look: CloseLook
    ) -> list[Proposal]:
        """The small proposals in enlarged windows, with the network's own scores times worth."""
        if not windows:
            return []
        picture = self._picture(whole)
        answers = self.network([window.enlarged(picture, look.scale) for window in windows])
        found: list[Proposal] = []
        for window, answer in zip(windows, answers, strict=True):
            found += self._in_window(whole, window, answer, look)
        return found

    def _in_window(
        self, whole: WholeSlice, window: Window, answer: dict[str, Tensor], look: CloseLook
    ) -> list[Proposal]:
        found = []
        for box, score, label in _rows(answer):
            on_slice = window.on_slice(Box(*box), look.scale)
            if on_slice is not None:
                one = self._proposal(whole, on_slice, score * look.worth, label)
                if one.long_mm is not None and one.long_mm <= look.up_to_mm:
                    found.append(one)
        return found

    def _picture(self, whole: WholeSlice) -> Tensor:
        return scaled(torch.from_numpy(whole.hu).to(self.device))

    def _judged(self, found: Iterable[Proposal]) -> list[Proposal]:
        """With probabilities for scores where there is a calibration; none below the cut."""
        if self.calibration is not None:
            found = map(self.calibration.applied, found)
        return [one for one in found if one.score >= self.cut.min_score]

    def _proposal(self, whole: WholeSlice, box: Box, score: float, label: int) -> Proposal:
        on_image = whole.to_image(box)
        names = self.config.categories
        has_types = self.config.classes > 1 and not names
        return Proposal(
            box=on_image,
            score=score,
            long_mm=estimated_long_mm(on_image, whole.spacing_mm_px),
            lesion_type=LesionType.from_code(label + 1) if has_types else LesionType.UNKNOWN,
            category=names[label] if names else None,
        )


def _rows(answer: dict[str, Tensor]) -> list[tuple[list[float], float, int]]:
    """Box, score and label of each detection that has an area."""
    return [
        (box, score, label)
        for box, score, label in zip(
            answer["boxes"].tolist(),
            answer["scores"].tolist(),
            answer["labels"].tolist(),
            strict=True,
        )
        if box[2] > box[0] and box[3] > box[1]
    ]


def save_detector(
    network: DetectionNetwork, config: DetectorConfig, spec: PatchSpec, path: Path, *, name: str
) -> str:
    """Writes the network with its configuration; returns its fingerprint."""
    return write_model(path, network, _settings(config, spec), name=name, kind=_KIND)


def load_detection_network(
    path: Path,
) -> tuple[DetectionNetwork, DetectorConfig, PatchSpec, str]:
    """The network of a detector file, its configuration, grid and name; raises DetectorError."""
    network, header = rebuild(path, _KIND, _built)
    config, spec = _settings_of(header)
    return network, config, spec, str(header.get("name", path.stem))


def fingerprint(network: DetectionNetwork, config: DetectorConfig, spec: PatchSpec) -> str:
    """16 hexadecimal digits of SHA-256 over configuration, grid and every weight."""
    return fingerprint_of(network, _settings(config, spec))


def _settings(config: DetectorConfig, spec: PatchSpec) -> dict[str, Any]:
    return {"network": config.to_dict(), "grid": spec.to_dict()}


def _settings_of(header: Mapping[str, Any]) -> tuple[DetectorConfig, PatchSpec]:
    settings = dict(header["network"])
    for key in ("anchor_px", "ratios", "anchor_scales", "categories"):
        if key in settings:
            settings[key] = tuple(settings[key])
    return DetectorConfig(**settings), PatchSpec.from_dict(header["grid"])


def _built(header: Mapping[str, Any]) -> tuple[DetectionNetwork, dict[str, Any]]:
    config, spec = _settings_of(header)
    return build_network(config, spec, pretrained=False), _settings(config, spec)
