"""What one upload may cost."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict, dataclass

from retrieval.lesion import LesionSearchError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when a file cannot grow."""


class UploadError(LesionSearchError):
    """An upload that is not CT of an accepted kind, or is too large."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds of one upload, kept by the process that decodes it.

    Attributes:
        max_files: files of one request, and entries of a zip.
        max_upload_bytes: all files of one request as they are sent.
        max_slices: slices of the decoded volume.
        max_pixels: rows times columns of one slice.
        max_inflated_bytes: what comes out of gzip or zip, all files together, counted.
        max_volume_bytes: the decoded volume, four bytes a voxel.
        seconds: wall and CPU time of one upload.
        memory_bytes: address space of the decoder beyond what it needs to stand ready.
    """

    max_files: int = 1000
    max_upload_bytes: int = 256 << 20
    max_slices: int = 2000
    max_pixels: int = 4096 * 4096
    max_inflated_bytes: int = 1 << 30
    max_volume_bytes: int = 1 << 30
    seconds: float = 60.0
    memory_bytes: int = 4 << 30

    def to_text(self) -> str:
        """As JSON, for the decoder's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> DecodeLimits:
        """The inverse of ``to_text``."""
        return cls(**json.loads(text))
