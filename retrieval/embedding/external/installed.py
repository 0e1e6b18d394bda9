"""Encoders that other installed packages bring, by the entry points of one group."""

from __future__ import annotations

from importlib.metadata import entry_points

from retrieval.embedding.encoder import EncoderError
from retrieval.embedding.external.checked import CheckedEncoder

GROUP = "lesion_search.encoders"
NEEDED = ("name", "fingerprint", "dimension", "spec", "embed")


def installed_names() -> list[str]:
    """The encoders that installed packages offer."""
    return sorted(entry_points(group=GROUP).names)


def installed_encoder(name: str, *, device: str = "cpu") -> CheckedEncoder:
    """The encoder of that entry point: a callable that takes ``device`` and gives a PatchEncoder.

    Raises EncoderError: there is none, it cannot be loaded, or it is no PatchEncoder.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        known = ", ".join(installed_names()) or "none"
        raise EncoderError(
            f"encoder {name!r} is no file and no installed package brings it ({known} installed): "
            "give a .safetensors or .onnx file, torchvision:NAME, timm:NAME or an installed name"
        )
    try:
        encoder = found[0].load()(device=device)
    except Exception as error:
        raise EncoderError(
            f"encoder {name} of {found[0].value} cannot be loaded ({type(error).__name__}: {error})"
        ) from error
    if missing := [attribute for attribute in NEEDED if not hasattr(encoder, attribute)]:
        raise EncoderError(
            f"encoder {name} of {found[0].value} lacks {', '.join(missing)}: a PatchEncoder has "
            f"{', '.join(NEEDED)}"
        )
    return CheckedEncoder(encoder)
