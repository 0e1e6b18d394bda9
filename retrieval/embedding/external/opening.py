"""open_encoder: what ``--encoder`` names, as a PatchEncoder."""

from __future__ import annotations

from pathlib import Path

from retrieval.embedding.encoder import STEADY_ENCODER, LesionEncoder
from retrieval.embedding.patch_encoder import PatchEncoder

TORCHVISION, TIMM = "torchvision:", "timm:"
STEADY = "steady"
"""Names the encoder for scans of unlike quality, which is bundled too."""


def open_encoder(named: str | Path | None = None, *, device: str = "cpu") -> PatchEncoder:
    """The encoder that a user names, the bundled one if none.

    Raises EncoderError: it cannot be found, loaded, or run on the device.
    """
    text = "" if named is None else str(named)
    if text.startswith((TORCHVISION, TIMM)):
        from retrieval.embedding.external import pictures

        kind, _, name = text.partition(":")
        chosen = pictures.torchvision_encoder if kind == "torchvision" else pictures.timm_encoder
        return chosen(name, device=device)
    if text.endswith(".onnx"):
        from retrieval.embedding.external.onnx_file import OnnxEncoder

        return OnnxEncoder.from_file(Path(text))
    if text == STEADY:
        return LesionEncoder.load(STEADY_ENCODER, device=device)
    path = None if named is None else Path(text)
    if path is None or path.suffix or path.exists() or path.parent != Path("."):
        return LesionEncoder.load(path, device=device)
    from retrieval.embedding.external.installed import installed_encoder

    return installed_encoder(text, device=device)
