"""LesionEncoder: a trained network ready for use, bound to its PatchSpec by one fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.lesion import LesionSearchError
from retrieval.nn.side_by_side import side_by_side
from retrieval.patch import Patch, PatchSpec
from retrieval.training.model_file import ModelKind, fingerprint_of, rebuild, write_model

BUNDLED_ENCODER = Path(__file__).parent.parent / "weights" / "encoder.safetensors"
STEADY_ENCODER = BUNDLED_ENCODER.with_name("encoder-steady.safetensors")
"""The bundled encoder taught by itself to keep its vectors on worse scans."""


class EncoderError(LesionSearchError):
    """An encoder file that cannot be used."""


_KIND = ModelKind("encoder", EncoderError)


@dataclass(frozen=True)
class Embedding:
    """What the encoder says of n patches.

    Attributes:
        vectors: (n, dimension), float32, unit norm.
        locations: (n, 3), estimated body position (x, y, z) in [0, 1].
    """

    vectors: NDArray[np.float32]
    locations: NDArray[np.float32]


class LesionEncoder:
    """Patches to unit vectors, on the CPU or a GPU.

    ``fingerprint`` is a hash of weights, network and PatchSpec: vectors of encoders with unequal
    fingerprints must never be compared.
    """

    def __init__(self, network: DLGNetwork, *, name: str, device: str = "cpu") -> None:
        self.name = name
        self.spec = network.spec
        self.dimension = network.config.dimension
        self.fingerprint = fingerprint(network)
        self.device = torch.device(device)
        self._network = network.to(self.device).eval()

    @classmethod
    def load(cls, path: Path | None = None, *, device: str = "cpu") -> Self:
        """The encoder of a safetensors file, or the bundled one.

        Raises:
            EncoderError: the file is missing, is not an encoder, or does not match its own header;
                or this machine has no such device.
        """
        path = BUNDLED_ENCODER if path is None else path
        if device != "cpu" and not device.startswith("cuda"):
            raise EncoderError(f"the device {device!r} is unknown: cpu, cuda, or cuda:N")
        if device != "cpu" and not torch.cuda.is_available():
            raise EncoderError(f"torch finds no GPU for the device {device!r}: use cpu")
        network, name = load_network(path)
        return cls(network, name=name, device=device)

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Embeds patches cut with this encoder's own ``spec``, in their order.

        On a CPU several batches are computed side by side, one thread each.
        """
        starts = range(0, len(patches), batch_size)
        batches = [patches[start : start + batch_size] for start in starts]
        outputs = side_by_side(self._embed_batch, batches, on=self.device)
        return Embedding(
            vectors=_joined([vectors for vectors, _ in outputs], self.dimension),
            locations=_joined([locations for _, locations in outputs], 3),
        )

    @torch.inference_mode()
    def _embed_batch(self, patches: Sequence[Patch]) -> tuple[Tensor, Tensor]:
        hu = torch.from_numpy(np.stack([patch.hu for patch in patches])).to(self.device)
        boxes = torch.tensor([patch.box.to_list() for patch in patches], device=self.device)
        output = self._network(hu, boxes)
        return output.vectors, output.locations.clamp(0, 1)


def save_encoder(network: DLGNetwork, path: Path, *, name: str) -> str:
    """Writes the network with its configuration; returns its fingerprint."""
    return write_model(path, network, _settings(network), name=name, kind=_KIND)


def load_network(path: Path) -> tuple[DLGNetwork, str]:
    """The network of an encoder file and its name; raises EncoderError."""
    network, header = rebuild(path, _KIND, _built)
    return network, str(header.get("name", path.stem))


def fingerprint(network: DLGNetwork) -> str:
    """16 hexadecimal digits of SHA-256 over configuration, PatchSpec and every weight."""
    return fingerprint_of(network, _settings(network))


def _settings(network: DLGNetwork) -> dict[str, Any]:
    return {"network": network.config.to_dict(), "patch_spec": network.spec.to_dict()}


def _built(header: Mapping[str, Any]) -> tuple[DLGNetwork, dict[str, Any]]:
    config = NetworkConfig(**header["network"])
    network = DLGNetwork(config, PatchSpec.from_dict(header["patch_spec"]), pretrained=False)
    return network, _settings(network)


def _joined(parts: list[Tensor], width: int) -> NDArray[np.float32]:
    if not parts:
        return np.empty((0, width), np.float32)
    return torch.cat(parts).float().cpu().numpy()
