"""Which transfer syntaxes are decoded: the same on the command line, over HTTP and from a PACS."""

from __future__ import annotations

from typing import Any

from retrieval.sources.dicom.errors import DicomError

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

DECODED: dict[str, str] = {
    "1.2.840.10008.1.2": "implicit little endian",
    "1.2.840.10008.1.2.1": "explicit little endian",
    DEFLATED: "deflated explicit little endian",
    BIG_ENDIAN: "explicit big endian",
    "1.2.840.10008.1.2.4.51": "JPEG extended with 12 bits",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 lossless, by resolution",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE",
}
"""UID -> name."""

ALWAYS_LOSSY = frozenset({"1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81"})
"""JPEG extended and near-lossless JPEG-LS: HU are approximate, whatever the header says."""

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED, BIG_ENDIAN})
"""Pixels lie in the file as they are."""


def check_syntax(name: str, syntax: Any) -> None:
    """Raises DicomError for a transfer syntax that is not decoded."""
    uid = str(syntax or "")
    if uid not in DECODED:
        raise DicomError(
            f"{name} has the transfer syntax {uid[:64] or 'none'}: {', '.join(DECODED.values())} "
            "are decoded; convert it to one of them"
        )
