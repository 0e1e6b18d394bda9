"""Slices of CT for a viewer, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from retrieval.grid import Grid
from retrieval.image import Slab
from retrieval.lesion import Box
from service.decoding.identity import ImageIdentity

SLICE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Hounsfield units, int16 little-endian, row by row from the top",
        "content": {"application/octet-stream": {}},
        "headers": {
            "X-Rows": {"schema": {"type": "integer"}},
            "X-Columns": {"schema": {"type": "integer"}},
        },
    }
}


@dataclass(frozen=True)
class ShownStack:
    """A stack of slices and its geometry, as its grid has them.

    Attributes:
        spacing_mm_px: along x and y
        feet_first: slice numbers grow from the feet to the head
    """

    slices: int
    rows: int
    columns: int
    spacing_mm_px: tuple[float, float]
    slice_interval_mm: float
    first_slice_index: int
    key_slice_index: int
    feet_first: bool

    @classmethod
    def of(cls, slab: Slab) -> ShownStack:
        """The slab in its file grid."""
        rows, columns = slab.file_plane(slab.key_slice_index).shape
        return cls(
            slices=len(slab.hu),
            rows=rows,
            columns=columns,
            spacing_mm_px=slab.file_spacing_mm_px,
            slice_interval_mm=slab.slice_interval_mm,
            first_slice_index=slab.slice_numbers[0],
            key_slice_index=slab.key_slice_index,
            feet_first=bool(slab.grid.step[2] > 0),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {**asdict(self), "spacing_mm_px": list(self.spacing_mm_px)}


@dataclass(frozen=True)
class UploadIdentity:
    """Whose images an upload holds, as its files say it; null for what they do not say as one.

    Attributes:
        indexed_lesions: lesions of this patient in the index
        reportable: a DICOM report (SR) of a mark on it can be made
    """

    identity: ImageIdentity
    indexed_lesions: int
    reportable: bool

    def to_json(self) -> dict[str, Any]:
        """The identity's fields without the images' UIDs, and what is known of them here."""
        document = self.identity.to_json()
        del document["image_uids"]
        return {
            **document,
            "indexed_lesions": self.indexed_lesions,
            "reportable": self.reportable,
        }


@dataclass(frozen=True)
class HeldUpload:
    """A held upload.

    Attributes:
        grid: what rows, columns and slice numbers are in: file or display
        warnings: what to know of how the files were read
        identity: null where the files say nothing of it
        expires_in_s: seconds after its last use
    """

    stack: ShownStack
    grid: Grid
    warnings: tuple[str, ...]
    upload_id: str
    identity: UploadIdentity | None
    expires_in_s: float

    def to_json(self) -> dict[str, Any]:
        """The stack's fields and its own."""
        return {
            **self.stack.to_json(),
            "grid": self.grid.value,
            "warnings": list(self.warnings),
            "upload_id": self.upload_id,
            "identity": None if self.identity is None else self.identity.to_json(),
            "expires_in_s": self.expires_in_s,
        }


@dataclass(frozen=True)
class LesionSlices:
    """The slices around an indexed lesion, and its box on the key slice."""

    stack: ShownStack
    box: Box

    def to_json(self) -> dict[str, Any]:
        """The stack's fields and the box."""
        return {**self.stack.to_json(), "box": self.box.to_list()}


def slice_response(hu: NDArray[np.float32], headers: Mapping[str, str]) -> Response:
    """A slice (rows, columns) as the bytes of ``SLICE_RESPONSES``."""
    whole = np.rint(hu).clip(-32768, 32767).astype("<i2")
    size = {"X-Rows": str(hu.shape[0]), "X-Columns": str(hu.shape[1])}
    return Response(
        whole.tobytes(), media_type="application/octet-stream", headers={**size, **headers}
    )
