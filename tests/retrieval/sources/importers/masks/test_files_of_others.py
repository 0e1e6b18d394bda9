"""Masks as other programs write them: real SEG and RTSTRUCT, segments of 3D Slicer."""

from __future__ import annotations

from pathlib import Path

import cv2
import nrrd
import numpy as np
import pytest
import SimpleITK

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.importers.masks.importing import MaskOptions, import_masks
from retrieval.sources.importers.masks.types import LabelTypes
from tests.retrieval.sources.importers.masks.cases import SIZE, ball, imported
from tests.retrieval.sources.volumes.bodies import body, stored_image, written


def test_key_slices_of_real_sarcomas_are_those_of_their_index(real_data, tmp_path: Path) -> None:
    source = real_data / "sarcoma_ct"
    report = import_masks(
        source / "dicom",
        source / "dicom",
        tmp_path / "out",
        MaskOptions(LabelTypes.parse("soft tissue")),
    )
    (verdict,) = report.verdicts
    assert verdict.label == "GTV_Mass_CT"
    archive = DeepLesionArchive.open(tmp_path / "out")
    (lesion,) = archive.lesions
    line = next(
        line.split(",")
        for line in (source / "index.csv").read_text().splitlines()
        if "STS_007" in line
    )
    slices = int(line[2].split("x")[2])
    assert slices - lesion.key_slice_index == int(line[6])
    x0, y0, x1, y1 = (float(edge) for edge in line[8:12])
    inner = lesion.box.padded(-5)
    assert (inner.x1, inner.y1, inner.x2, inner.y2) == pytest.approx((x0, y0, x1, y1), abs=12)
    assert cv2.imread(str(archive.image_path(lesion.series_id, 1)), -1).dtype == np.uint16


def test_real_seg_and_structure_set_lie_on_their_ct(real_data, tmp_path: Path) -> None:
    seg = real_data / "samples" / "seg_dcmqi_liver"
    report = import_masks(
        seg, seg / "liver.dcm", tmp_path / "seg", MaskOptions(LabelTypes.parse("liver"))
    )
    assert report.lesions == 1
    archive = DeepLesionArchive.open(tmp_path / "seg")
    slab = archive.slab(archive.lesions[0], half_depth_mm=0)
    x, y = (round(v) for v in archive.lesions[0].box.center)
    # The liver stands on the patient's right, on the left of the picture, and is enhanced.
    assert x < slab.columns / 2
    assert 20 < float(np.median(slab.hu[0, y - 10 : y + 10, x - 10 : x + 10])) < 200
    rt = real_data / "samples" / "rtstruct_4dlung"
    types = LabelTypes.parse("Tumor_c40=lung,LN_c40=mediastinum,*=skip")
    report = import_masks(rt, rt, tmp_path / "rt", MaskOptions(types))
    tumour = [v for v in report.verdicts if v.label == "Tumor_c40" and v.lesion_id]
    assert len(tumour) == 1
    assert "contours lie off the slices" in tumour[0].reason


def test_overlapping_segments_of_3d_slicer_are_lesions_each(tmp_path: Path) -> None:
    """The second segment lies within the first: one array cannot hold both."""
    image = stored_image(body(size=SIZE))
    written(image, tmp_path / "ct.nrrd")
    outer, inner = ball((6, 40, 44), 10), ball((6, 40, 41), 5)
    values = np.stack([stored(one) for one in (outer, inner)])
    header = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": [[np.nan] * 3, *np.diag(image.GetSpacing()).tolist()],
        "space origin": image.GetOrigin(),
        "Segment0_Name": "outer",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "inner",
        "Segment1_LabelValue": "1",
        "Segment1_Layer": "1",
    }
    nrrd.write(str(tmp_path / "ct.seg.nrrd"), values, header)
    report = imported(tmp_path, tmp_path, tmp_path / "out")
    assert sorted(verdict.label for verdict in report.verdicts) == ["inner", "outer"]
    lengths = [one.long_mm for one in DeepLesionArchive.open(tmp_path / "out").lesions]
    assert max(lengths) > 1.6 * min(lengths)


def stored(mask: np.ndarray) -> np.ndarray:
    """(i, j, k) of a mask as the file of its image stores it."""
    image = stored_image(mask.astype(np.int16))
    return np.asarray(SimpleITK.GetArrayFromImage(image), np.uint8).transpose(2, 1, 0)
