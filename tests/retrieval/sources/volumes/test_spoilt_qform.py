"""Numbers of a NIfTI qform that no scanner writes: each is refused, none is read or warned of."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from retrieval.sources.query_image import open_query_image
from retrieval.sources.volumes.stored import VolumeError

LENGTHS, TURN, ORIGIN = (80, 84, 88), (256, 260, 264), (268, 272, 276)
ABSURD = [
    *((byte, value) for byte in LENGTHS + TURN for value in (1e30, float("nan"), float("inf"))),
    *((byte, value) for byte in ORIGIN for value in (float("nan"), float("inf"))),
]


@pytest.mark.parametrize(("byte", "value"), ABSURD)
def test_absurd_numbers_of_a_qform_are_refused_in_one_line(
    tmp_path: Path, byte: int, value: float
) -> None:
    image = nib.Nifti1Image(np.zeros((20, 20, 4), np.int16), np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(np.eye(4), 1)
    path = tmp_path / "a.nii"
    nib.save(image, path)
    data = bytearray(path.read_bytes())
    data[byte : byte + 4] = struct.pack("<f", value)
    path.write_bytes(data)
    with pytest.raises(VolumeError) as told:
        open_query_image(path)
    assert "\n" not in str(told.value)
