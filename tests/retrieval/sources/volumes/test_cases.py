"""The public cases about volumes and values, each with the right answer that its README gives."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import CTError, Slab
from retrieval.lesion import Box
from retrieval.sources.intensity.judgement import NotHounsfieldError
from retrieval.sources.query_image import open_query_image

LESION_HU = 120


@pytest.fixture(scope="module")
def cases(real_data):
    return real_data / "cases"


def lesion_box(slab: Slab) -> Box:
    """The extent of the lesion on the display grid."""
    _, rows, columns = np.nonzero(slab.hu == LESION_HU)
    return Box(columns.min(), rows.min(), columns.max(), rows.max())


@pytest.fixture(scope="module")
def plain(cases):
    """The body of all cases as the plain DICOM-like file gives it."""
    return open_query_image(cases / "gz_name_without_suffix" / "plain.nii.dat")


def test_normalised_values_are_refused(cases):
    with pytest.raises(NotHounsfieldError, match="reach only from 0 to 1"):
        open_query_image(cases / "nifti_0_to_1" / "float01_normalised.nii.gz")


def test_sform_against_qform_is_refused(cases):
    with pytest.raises(CTError, match="by its sform the axes run to L, P, S, by its qform to R"):
        open_query_image(cases / "nifti_sform_qform_flip" / "sform_vs_qform.nii")


@pytest.mark.parametrize("name", ["plain.nii.gz", "head_first.nii"])
def test_a_box_of_a_mask_array_reaches_its_lesion(cases, name):
    """plain.nii.gz: i 9-19, j 22-32 in the file's own order of voxels."""
    slab = open_query_image(cases / "nifti_box_in_file_order" / name)
    found = slab.grid.to_file_box(lesion_box(slab))
    if name == "plain.nii.gz":
        assert found.to_list() == [9, 22, 19, 32]
    assert slab.display_box(found) == lesion_box(slab)
    depths = np.nonzero((slab.hu == LESION_HU).any(axis=(1, 2)))[0]
    numbers = sorted(slab.grid.to_file_slice(int(depth)) for depth in depths)
    import nibabel as nib

    values = np.asarray(nib.load(cases / "nifti_box_in_file_order" / name).dataobj)
    i, j, k = np.nonzero(values == LESION_HU)
    assert [i.min(), j.min(), i.max(), j.max()] == found.to_list()
    assert numbers == sorted(set(k.tolist()))


@pytest.mark.parametrize("name", ["x.nrrd", "x.mha"])
def test_nrrd_and_meta_image_are_read_as_nifti(cases, plain, name):
    np.testing.assert_array_equal(open_query_image(cases / "nrrd_mha" / name).hu, plain.hu)


@pytest.mark.parametrize("name", ["gz_without_suffix", "plain.nii.dat"])
def test_names_decide_nothing(cases, plain, name):
    slab = open_query_image(cases / "gz_name_without_suffix" / name)
    np.testing.assert_array_equal(slab.hu, plain.hu)


def test_an_effective_atomic_number_map_is_refused(cases):
    with pytest.raises(NotHounsfieldError, match=r"nonhu_rescaletype does not hold HU: .*Z_EFF"):
        open_query_image(cases / "rescale_type_not_hu" / "nonhu_rescaletype")
