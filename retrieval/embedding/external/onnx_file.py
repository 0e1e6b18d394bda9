"""OnnxEncoder: an encoder in an ONNX file, with a description beside it.

``model.onnx.json`` says what the file does not: ``{"name", "patch_spec", "input"}``. With
``"input": "patches"`` it takes HU (n, slices, size, size) and boxes (n, 4) in patch pixels,
as the product's own does; with ``"input": "pictures"`` it takes (n, 3, size_px, size_px) pictures
under the spec's windows, and ``size_px``, ``mean`` and ``std`` say how they are normalised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.encoder import Embedding, EncoderError
from retrieval.embedding.external.checked import unit_vectors, without_locations
from retrieval.embedding.external.pictures import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PictureInput,
    pictures_of,
)
from retrieval.lesion import LesionSearchError
from retrieval.patch import Patch, PatchSpec

PATCHES, PICTURES = "patches", "pictures"
KEYS = {"name", "patch_spec", "input", "size_px", "mean", "std"}


def description_path(file: Path) -> Path:
    """``model.onnx`` -> ``model.onnx.json``."""
    return file.with_name(file.name + ".json")


class OnnxEncoder:
    """An ONNX network on the CPU as an encoder of lesions."""

    def __init__(self, file: Path, description: Mapping[str, Any]) -> None:
        """Opens the session; ``from_file`` reads the description.

        Raises EncoderError: onnxruntime is not installed, or does not take the file.
        """
        try:
            import onnxruntime
        except ImportError:
            raise EncoderError(
                f"the encoder {file.name} needs onnxruntime: pip install 'lesion-search[encoders]'"
            ) from None
        self.name = str(description["name"])
        self.spec = PatchSpec.from_dict(description["patch_spec"])
        self._shown = _picture_input(description)
        try:
            content = file.read_bytes()
            self._session = onnxruntime.InferenceSession(
                content, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors share no base class
            raise EncoderError(
                f"encoder {file} cannot be opened as ONNX ({str(error).splitlines()[0]})"
            ) from None
        told = json.dumps(description, sort_keys=True).encode()
        self.fingerprint = hashlib.sha256(content + told).hexdigest()[:16]
        side = self.spec.size_px
        blank = np.full((self.spec.slices, side, side), -1000.0, np.float32)
        middle = side / 2
        self.dimension = self._run([_patch(blank, middle)]).shape[1]

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """The encoder of an ONNX file and the description beside it; raises EncoderError."""
        if not file.is_file():
            raise EncoderError(f"encoder {file} does not exist: give the path of an ONNX file")
        path = description_path(file)
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
            unknown = set(description) - KEYS
            if unknown or not {"name", "patch_spec"} <= set(description):
                raise ValueError(f"keys {sorted(description)}: {sorted(KEYS)} are known")
            return cls(file, description)
        except EncoderError:
            raise
        except (OSError, ValueError, TypeError, LesionSearchError) as error:
            raise EncoderError(
                f"the description {path.name} beside encoder {file.name} cannot be used ({error}): "
                "docs/encoders.md says what it holds"
            ) from None

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches cut with ``spec``, in their order."""
        parts: list[NDArray[np.float32]] = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(patches), batch_size):
            batch = patches[start : start + batch_size]
            parts.append(unit_vectors(self._run(batch), count=len(batch), name=self.name))
        return without_locations(np.concatenate(parts))

    def _run(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        if self._shown is None:
            given = [
                np.stack([patch.hu for patch in patches]),
                np.array([patch.box.to_list() for patch in patches], np.float32),
            ]
        else:
            given = [pictures_of(patches, self.spec, self._shown).numpy()]
        names = [one.name for one in self._session.get_inputs()]
        if len(names) != len(given):
            raise EncoderError(
                f"encoder {self.name} takes the inputs {names}: {len(given)} are given, as its "
                "description says by `input`"
            )
        try:
            seen = self._session.run(None, dict(zip(names, given, strict=True)))[0]
        except Exception as error:  # onnxruntime's own errors share no base class
            raise EncoderError(
                f"encoder {self.name} does not take what its description says "
                f"({str(error).splitlines()[0]})"
            ) from None
        numbers = np.asarray(seen, np.float32)
        return numbers.mean(axis=(2, 3)) if numbers.ndim == 4 else numbers


def _picture_input(description: Mapping[str, Any]) -> PictureInput | None:
    kind = description.get("input", PATCHES)
    if kind == PATCHES:
        return None
    if kind != PICTURES:
        raise EncoderError(f"input {kind!r} is unknown: {PATCHES} or {PICTURES}")
    return PictureInput(
        int(description.get("size_px", 224)),
        tuple(float(value) for value in description.get("mean", IMAGENET_MEAN)),
        tuple(float(value) for value in description.get("std", IMAGENET_STD)),
    )


def _patch(hu: NDArray[np.float32], middle: float) -> Patch:
    from retrieval.lesion import Box

    return Patch(hu, Box.around((middle, middle), 20.0), 0)
