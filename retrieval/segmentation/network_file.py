"""Mask networks on disk: half-precision weights with the grid and windows of their views."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError
from retrieval.segmentation.network import MaskNetwork, MaskNetworkConfig
from retrieval.segmentation.view import ViewSpec
from retrieval.training.model_file import ModelKind, rebuild, round_to_half, write_model


class SegmentationModelError(LesionSearchError):
    """A mask network that cannot be read."""


KIND = ModelKind("segmentation", SegmentationModelError)


def save_mask_network(network: MaskNetwork, spec: ViewSpec, path: Path, *, name: str) -> str:
    """Rounds the weights to half precision, in place, writes them, returns the fingerprint."""
    round_to_half(network)
    return write_model(path, network, _settings(network, spec), name=name, kind=KIND, half=True)


def load_mask_network(path: Path) -> tuple[MaskNetwork, ViewSpec, dict[str, Any]]:
    """The network in evaluation mode, its views' spec and the file's header.

    Raises:
        SegmentationModelError: missing, damaged, changed or of another kind.
    """
    network, header = rebuild(path, KIND, _built)
    return network.eval(), _spec(header["view"]), header


def _built(header: Mapping[str, Any]) -> tuple[MaskNetwork, dict[str, Any]]:
    spec = _spec(header["view"])
    config = MaskNetworkConfig(tuple(int(width) for width in header["network"]["widths"]))
    network = MaskNetwork(spec.channels, config)
    return network, _settings(network, spec)


def _spec(fields: dict[str, Any]) -> ViewSpec:
    return ViewSpec(
        size_px=int(fields["size_px"]),
        windows=tuple((float(low), float(high)) for low, high in fields["windows"]),
        wide=(float(fields["wide"][0]), float(fields["wide"][1])),
    )


def _settings(network: MaskNetwork, spec: ViewSpec) -> dict[str, Any]:
    return {"network": network.config.to_dict(), "view": spec.to_dict()}
