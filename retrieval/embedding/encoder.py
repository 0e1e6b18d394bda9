"""LesionEncoder: a trained network ready for use, bound to its PatchSpec by one fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.lesion import LesionSearchError
from retrieval.patch import Patch, PatchSpec

BUNDLED_ENCODER = Path(__file__).parent.parent / "weights" / "encoder.safetensors"
_HEADER = "lesion_search_encoder"


class EncoderError(LesionSearchError):
    """An encoder file that cannot be used."""


@dataclass(frozen=True)
class Embedding:
    """What the encoder says of n patches.

    Attributes:
        vectors: (n, dimension), float32, unit norm.
        type_probabilities: (n, 8), DeepLesion's types 1 to 8 in order, each row sums to one.
        locations: (n, 3), estimated body position (x, y, z) in [0, 1].
    """

    vectors: NDArray[np.float32]
    type_probabilities: NDArray[np.float32]
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
            EncoderError: the file is missing, is not an encoder, or does not match its own header.
        """
        path = BUNDLED_ENCODER if path is None else path
        network, name = load_network(path)
        return cls(network, name=name, device=device)

    @torch.inference_mode()
    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Embeds patches cut with this encoder's own ``spec``, in their order."""
        vectors, types, locations = [], [], []
        for start in range(0, len(patches), batch_size):
            batch = patches[start : start + batch_size]
            hu = torch.from_numpy(np.stack([patch.hu for patch in batch])).to(self.device)
            boxes = torch.tensor([patch.box.to_list() for patch in batch], device=self.device)
            output = self._network(hu, boxes)
            vectors.append(output.vectors)
            types.append(output.type_logits.softmax(dim=1))
            locations.append(output.locations.clamp(0, 1))
        return Embedding(
            vectors=_joined(vectors, self.dimension),
            type_probabilities=_joined(types, 8),
            locations=_joined(locations, 3),
        )


def save_encoder(network: DLGNetwork, path: Path, *, name: str) -> str:
    """Writes the network with its configuration; returns its fingerprint."""
    header = {
        "name": name,
        "network": network.config.to_dict(),
        "patch_spec": network.spec.to_dict(),
        "fingerprint": fingerprint(network),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(_tensors(network), str(partial), metadata={_HEADER: json.dumps(header)})
    partial.replace(path)
    return str(header["fingerprint"])


def load_network(path: Path) -> tuple[DLGNetwork, str]:
    """The network of an encoder file and its name; raises EncoderError."""
    if not path.is_file():
        raise EncoderError(
            f"encoder {path} does not exist: give a .safetensors file that "
            "'lesion-search train encoder' wrote"
        )
    try:
        with safe_open(str(path), framework="pt") as stored:
            header = json.loads((stored.metadata() or {}).get(_HEADER, "null"))
            if header is None:
                raise EncoderError(f"{path} is a safetensors file but not a Lesion Search encoder")
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise EncoderError(f"encoder {path} cannot be read ({error}): copy it again") from None
    network = _rebuilt(header, weights, path)
    found = fingerprint(network)
    if found != header.get("fingerprint"):
        raise EncoderError(
            f"encoder {path} has the fingerprint {found} but its header says "
            f"{header.get('fingerprint')}: the file was changed, copy it again"
        )
    return network, str(header.get("name", path.stem))


def fingerprint(network: DLGNetwork) -> str:
    """16 hexadecimal digits of SHA-256 over configuration, PatchSpec and every weight."""
    digest = hashlib.sha256()
    settings = {"network": network.config.to_dict(), "patch_spec": network.spec.to_dict()}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(_tensors(network).items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def _rebuilt(header: dict[str, Any], weights: dict[str, Tensor], path: Path) -> DLGNetwork:
    try:
        config = NetworkConfig(**header["network"])
        spec = PatchSpec.from_dict(header["patch_spec"])
        network = DLGNetwork(config, spec, pretrained=False)
        network.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise EncoderError(
            f"encoder {path} does not fit this version's network ({error}): train it again"
        ) from None
    return network


def _tensors(network: DLGNetwork) -> dict[str, Tensor]:
    """Every weight on the CPU; batch counters are of no use after training and are kept too."""
    state = network.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _joined(parts: list[Tensor], width: int) -> NDArray[np.float32]:
    if not parts:
        return np.empty((0, width), np.float32)
    return torch.cat(parts).float().cpu().numpy()
