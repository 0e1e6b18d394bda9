"""Slices of CT for a viewer, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

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


def slice_response(hu: NDArray[np.float32], headers: Mapping[str, str]) -> Response:
    """A slice (rows, columns) as the bytes of ``SLICE_RESPONSES``."""
    whole = np.rint(hu).clip(-32768, 32767).astype("<i2")
    size = {"X-Rows": str(hu.shape[0]), "X-Columns": str(hu.shape[1])}
    return Response(
        whole.tobytes(), media_type="application/octet-stream", headers={**size, **headers}
    )
