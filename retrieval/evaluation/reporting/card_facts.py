"""CardFacts: what an evaluation cannot measure; words from a TOML file, numbers from the weights.

purpose = "Finds lesions that look alike, and the same lesion in another study."
training = ["61 patients of real CT without lesion labels, CC BY 3.0"]
held_apart = "A fifth of every source's patients, by a hash of their name."
limits = ["Trained on portal venous and native CT only."]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.embedding.encoder import fingerprint, load_network
from retrieval.embedding.network import DLGNetwork
from retrieval.lesion import LesionSearchError, LesionType, Split
from retrieval.sources.archive import Archive

_KEYS: Mapping[str, type] = {"purpose": str, "training": list, "held_apart": str, "limits": list}


class CardError(LesionSearchError):
    """Facts or reports from which no honest card can be written."""


@dataclass(frozen=True)
class CardFacts:
    """What an evaluation cannot measure and the author must state.

    Attributes:
        name: of the encoder, as in the reports.
        fingerprint: of its weights and PatchSpec.
        purpose: what it is for, one or two sentences.
        training: one line a source: what, how many patients, licence.
        held_apart: how patients of the scores were kept out of training.
        limits: one line each.
        properties: of the encoder, by name: network, patch, size of the file.
    """

    name: str
    fingerprint: str
    purpose: str
    training: Sequence[str]
    held_apart: str
    limits: Sequence[str]
    properties: Mapping[str, str] = field(default_factory=dict)


def read_card_facts(path: Path, encoder: Path, *, counted: Sequence[str] = ()) -> CardFacts:
    """The words of a TOML file with the properties of an encoder file.

    Args:
        path: a file with exactly the keys of the module's example.
        encoder: a .safetensors file.
        counted: lines of counted training data, such as ``training_counts`` gives; they stand
            before the file's own.

    Raises:
        CardError: the file is missing, is not TOML, or lacks or misspells a key.
        EncoderError: the encoder cannot be read.
    """
    words = _read_words(path)
    network, name = load_network(encoder)
    return CardFacts(
        name=name,
        fingerprint=fingerprint(network),
        purpose=words["purpose"],
        training=[*counted, *words["training"]],
        held_apart=words["held_apart"],
        limits=words["limits"],
        properties=_properties(network, encoder),
    )


def training_counts(title: str, archive: Archive) -> str:
    """One line: what the archive's train split holds; raises CardError if it holds nothing."""
    trained = [lesion for lesion in archive.lesions if lesion.split is Split.TRAIN]
    if not trained:
        raise CardError(
            f"archive {archive.root.name} has no train lesion: nothing was trained on it"
        )
    types = {lesion.lesion_type for lesion in trained} - {LesionType.UNKNOWN}
    named = ", ".join(sorted(types)) if types else "none"
    return (
        f"{title}: {len(trained)} lesions of {len({lesion.patient_id for lesion in trained})} "
        f"patients (archive `{archive.root.name}`, train split; lesion types: {named})"
    )


def _read_words(path: Path) -> dict[str, Any]:
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise CardError(f"card facts {path} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise CardError(f"card facts {path} is not TOML: {problem}") from None
    if words.keys() != _KEYS.keys():
        raise CardError(
            f"card facts {path} have the keys {', '.join(words) or 'none'}: "
            f"{', '.join(_KEYS)} are needed and no others"
        )
    for key, kind in _KEYS.items():
        value = words[key]
        lines = value if kind is list else [value]
        if not isinstance(value, kind) or not all(isinstance(line, str) for line in lines):
            wanted = "a list of strings" if kind is list else "a string"
            raise CardError(f"card facts {path}: {key} is {value!r}: {wanted} is needed")
        if not all(line.strip() for line in lines) or not lines:
            raise CardError(
                f"card facts {path}: {key} is empty: say it, if only that none is known"
            )
    return words


def _properties(network: DLGNetwork, path: Path) -> dict[str, str]:
    spec, config = network.spec, network.config
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {
        "network": f"{config.backbone}, {parameters / 1e6:.1f} million parameters",
        "vector": f"{config.dimension} numbers, unit norm",
        "patch": f"{spec.size_px} px at {spec.mm_px:g} mm/px, {spec.slices} slices "
        f"{spec.slice_interval_mm:g} mm apart, the lesion's box in the middle",
        "HU windows": ", ".join(f"{low:g} to {high:g}" for low, high in spec.windows),
        "file": f"`{path.name}`, {path.stat().st_size / 1e6:.1f} MB",
        "fingerprint of weights and patch": f"`{fingerprint(network)}`",
    }
