"""Model files: safetensors with a JSON header, bound to weights and settings by a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What a file holds: ``noun`` as in ``train encoder``, and the error of its readers."""

    noun: str
    error: type[LesionSearchError]

    @property
    def header(self) -> str:
        """The name of the header in the file's metadata."""
        return f"lesion_search_{self.noun}"


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Every weight on the CPU; batch counters are of no use after training and are kept too."""
    state = network.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def fingerprint_of(network: nn.Module, settings: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of SHA-256 over the settings and every weight."""
    digest = hashlib.sha256()
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(weights_of(network).items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def round_to_half(network: nn.Module) -> None:
    """Rounds every parameter to half precision, in place: ``write_model`` may then store it so."""
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(weights.half().float())


def write_model(
    path: Path,
    network: nn.Module,
    settings: Mapping[str, Any],
    *,
    name: str,
    kind: ModelKind,
    half: bool = False,
) -> str:
    """Writes weights and settings, whole or not at all; returns the fingerprint.

    With ``half`` parameters are stored in half precision; they must be such numbers already.
    Buffers (batch-norm statistics) keep their own precision.
    """
    fingerprint = fingerprint_of(network, settings)
    header = {"name": name, **settings, "fingerprint": fingerprint}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    weights = weights_of(network)
    if half:
        weights |= {key: weights[key].half() for key, _ in network.named_parameters()}
    save_file(weights, str(partial), metadata={kind.header: json.dumps(header)})
    partial.replace(path)
    return fingerprint


def read_model(path: Path, kind: ModelKind) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the weights of a file; raises the kind's error."""
    if not path.is_file():
        raise kind.error(
            f"{kind.noun} {path} does not exist: give a .safetensors file that "
            f"'lesion-search train {kind.noun}' wrote"
        )
    try:
        with safe_open(str(path), framework="pt") as stored:
            header = json.loads((stored.metadata() or {}).get(kind.header, "null"))
            if header is None:
                raise kind.error(
                    f"{path} is a safetensors file but not a Lesion Search {kind.noun}"
                )
            return header, {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise kind.error(f"{kind.noun} {path} cannot be read ({error}): copy it again") from None


def rebuild(
    path: Path,
    kind: ModelKind,
    build: Callable[[Mapping[str, Any]], tuple[_Network, Mapping[str, Any]]],
) -> tuple[_Network, dict[str, Any]]:
    """The network of a file, and the file's header.

    ``build`` makes the network from the header, and says what settings it was made with.

    Raises:
        LesionSearchError: the kind's own; the file is missing, damaged, changed, of another kind
            or of another version.
    """
    header, tensors = read_model(path, kind)
    try:
        network, settings = build(header)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise kind.error(
            f"{kind.noun} {path} does not fit this version's network ({error}): train it again"
        ) from None
    _check_fingerprint(fingerprint_of(network, settings), header, path, kind)
    return network, header


def _check_fingerprint(found: str, header: Mapping[str, Any], path: Path, kind: ModelKind) -> None:
    if found != header.get("fingerprint"):
        raise kind.error(
            f"{kind.noun} {path} has the fingerprint {found} but its header says "
            f"{header.get('fingerprint')}: the file was changed, copy it again"
        )
