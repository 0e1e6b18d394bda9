"""Height networks on disk: half-precision weights with the grid of their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError
from retrieval.position.network import HeightNetwork, HeightNetworkConfig
from retrieval.position.picture import PictureSpec
from retrieval.training.model_file import ModelKind, rebuild, round_to_half, write_model


class PositionModelError(LesionSearchError):
    """A height network that cannot be read."""


KIND = ModelKind("position", PositionModelError)


def save_height_network(network: HeightNetwork, spec: PictureSpec, path: Path, *, name: str) -> str:
    """Rounds the weights to half precision, in place, writes them, returns the fingerprint."""
    round_to_half(network)
    return write_model(path, network, _settings(network, spec), name=name, kind=KIND, half=True)


def load_height_network(path: Path) -> tuple[HeightNetwork, PictureSpec, dict[str, Any]]:
    """The network in evaluation mode, its pictures' grid and the file's header.

    Raises:
        PositionModelError: missing, damaged, changed or of another kind.
    """
    network, header = rebuild(path, KIND, _built)
    return network.eval(), PictureSpec.from_dict(header["picture"]), header


def _built(header: Mapping[str, Any]) -> tuple[HeightNetwork, dict[str, Any]]:
    network = HeightNetwork(HeightNetworkConfig(**header["network"]))
    return network, _settings(network, PictureSpec.from_dict(header["picture"]))


def _settings(network: HeightNetwork, spec: PictureSpec) -> dict[str, Any]:
    return {"network": network.config.to_dict(), "picture": spec.to_dict()}
