from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.service import hostile as h
from tests.service.hostile_uploads.asking import assert_refused


def _floats(bad: float) -> bytes:
    values = np.stack([h.plane(seed).T for seed in range(3)], axis=-1).astype(np.float32)
    values[5, 5, 1] = bad
    return h.nifti(values)


def _affine(*rows) -> bytes:
    return h.nifti_with(srow_x=rows[0], srow_y=rows[1], srow_z=rows[2], qform_code=0)


NIFTIS = {
    "not a number": (_floats(np.nan), "NaN"),
    "infinite": (_floats(np.inf), "infinite"),
    "minus infinite": (_floats(-np.inf), "infinite"),
    "a scale that makes it infinite": (h.nifti_with(scl_slope=3e38, scl_inter=0), "infinite"),
    "cut off in its header": (h.nifti()[:348], ""),
    "cut off in its values": (h.nifti()[:-9000], ""),
    "32,767 voxels a side": (h.nifti_with(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "32767"),
    "negative sides": (h.nifti_with(dim=[3, -64, 64, 3, 1, 1, 1, 1]), ""),
    "no sides": (h.nifti_with(dim=[3, 0, 0, 0, 1, 1, 1, 1]), ""),
    "nine dimensions": (h.nifti_with(dim=[9, 64, 64, 3, 1, 1, 1, 1]), ""),
    "five dimensions": (h.nifti_with(dim=[5, 64, 32, 3, 1, 2, 1, 1]), "dimensions"),
    "values that begin before the file": (h.nifti_with(vox_offset=-1e9), ""),
    "values that begin after the file": (h.nifti_with(vox_offset=1e9), ""),
    "values that begin nowhere": (h.nifti_with(vox_offset=np.nan), ""),
    "complex values": (h.nifti_with(datatype=32, bitpix=64), ""),
    "colours": (h.nifti_with(datatype=128, bitpix=24), ""),
    "values of a type there is none of": (h.nifti_with(datatype=999), ""),
    "eight bits": (h.nifti(np.zeros((64, 64, 3), np.uint8)), "8 bits"),
    "no orientation": (h.nifti_with(qform_code=0, sform_code=0), "orientation"),
    "an affine of zeros": (_affine([0] * 4, [0] * 4, [0] * 4), ""),
    "an affine that is no number": (_affine([np.nan] * 4, [0, 1, 0, 0], [0, 0, 1, 0]), ""),
    "axes that are one": (_affine([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]), ""),
    "metres": (h.nifti_with(xyzt_units=1), "metre"),
    "a header without its image": (
        h.nifti_with(magic=b"ni1", vox_offset=0)[:352],
        "",
    ),
    "gzip cut off": (h.gzipped(h.nifti())[:-40], "damaged"),
    "gzip with a wrong checksum": (
        h.gzipped(h.nifti())[:-8] + b"\0\0\0\0" + h.gzipped(h.nifti())[-4:],
        "damaged",
    ),
    "gzip followed by anything": (h.gzipped(h.nifti()) + b"anything at all", "damaged"),
    "a gzip bomb": (h.gzipped(bytes(12 << 20)), "more than 8 MB"),
    "a gzip bomb of many members": (gzip.compress(bytes(1 << 20)) * 40, "more than 8 MB"),
    "gzip inside gzip": (h.gzipped(h.nifti(), times=2), "inside a gzip"),
    "a gzip bomb inside gzip": (h.gzipped(bytes(12 << 20), times=3), "inside a gzip"),
    "a zip inside gzip": (h.gzipped(h.zipped({"1": h.dicom()})), "inside a gzip"),
}


@pytest.mark.parametrize("case", NIFTIS)
def test_nifti(client, expected, case):
    content, words = NIFTIS[case]
    assert_refused(client, expected, [content], words)
