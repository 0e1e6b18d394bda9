"""read_volume and volume_slab: a volume of any format, told by its content.

nibabel is loaded when a NIfTI file is read: it takes as long to load as the rest of a query.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from retrieval.image import Slab
from retrieval.sources.volumes.beside import partner
from retrieval.sources.volumes.blocks import head_of
from retrieval.sources.volumes.meta_image import (
    is_meta_image,
    read_meta_image,
    read_meta_image_header,
)
from retrieval.sources.volumes.nifti_marks import PAIRS, is_analyze, nifti_mark
from retrieval.sources.volumes.nrrd import MARK, read_nrrd, read_nrrd_header, read_nrrd_layers
from retrieval.sources.volumes.stored import StoredVolume, VolumeError

SNIFFED_BYTES = 4096


class VolumeKind(StrEnum):
    """The formats of volumes that are read."""

    NIFTI = "NIfTI"
    NRRD = "NRRD"
    META_IMAGE = "MetaImage"


def volume_kind(path: Path) -> VolumeKind | None:
    """What a file is by its first bytes, inflated where it is gzip; None for anything else."""
    head = head_of(path, SNIFFED_BYTES)
    if nifti_mark(head) is not None:
        return VolumeKind.NIFTI
    if head.startswith(MARK):
        return VolumeKind.NRRD
    return VolumeKind.META_IMAGE if is_meta_image(head) else None


def refuse_analyze(path: Path) -> None:
    """Raises VolumeError for a header of Analyze 7.5, which looks like NIfTI and is not read."""
    if is_analyze(head_of(path, SNIFFED_BYTES)):
        raise VolumeError(
            f"{path.name} is Analyze 7.5 and says nothing of left and right: convert the original "
            "to NIfTI"
        )


def header_of(path: Path) -> Path | None:
    """The header beside a bare data file, as x.hdr of x.img; None where there is none."""
    found = partner(path, (".hdr", ".mhd", ".nhdr"))
    return found if found is not None and volume_kind(found) is not None else None


def read_volume(path: Path) -> StoredVolume:
    """One 3D volume, CT or mask, with its geometry; a data file leads to its header.

    Raises:
        VolumeError: no volume of a format that is read, or not readable as one.
    """
    kind = volume_kind(path)
    if kind is None:
        header = header_of(path)
        if header is None:
            refuse_analyze(path)
            raise VolumeError(f"{path.name} is no volume that is read: {', '.join(VolumeKind)} are")
        path, kind = header, volume_kind(header)
    if kind is VolumeKind.NIFTI:
        from retrieval.sources.volumes.nifti import read_nifti

        return read_nifti(path)
    return read_nrrd(path) if kind is VolumeKind.NRRD else read_meta_image(path)


def read_mask(path: Path) -> list[StoredVolume]:
    """A mask with its geometry: one volume, or one for each layer of overlapping segments.

    Raises VolumeError as ``read_volume`` does.
    """
    if volume_kind(path) is VolumeKind.NRRD:
        return read_nrrd_layers(path)
    return [read_volume(path)]


def volume_slab(path: Path, *, key_slice: int | None = None, assume_hu: bool = False) -> Slab:
    """A volume as CT on its key slice (in the file grid; the middle one if None).

    Raises:
        VolumeError: as ``read_volume``, or values that are not finite.
        NotHounsfieldError: no HU, unless ``assume_hu``.
        CTError: oblique, or no such slice.
    """
    return read_volume(path).slab(key_slice=key_slice, assume_hu=assume_hu)


def data_file_name(path: Path) -> str | None:
    """The name that a header's data file must have beside it; None where it holds the values.

    Raises VolumeError for a header that cannot be read.
    """
    kind = volume_kind(path)
    if kind is VolumeKind.NIFTI:
        is_pair = nifti_mark(head_of(path, SNIFFED_BYTES)) in PAIRS
        return path.with_suffix(".img").name if is_pair else None
    if kind is VolumeKind.NRRD:
        return read_nrrd_header(path).data_file
    return None if kind is None else read_meta_image_header(path).data_file


def claimed_shape(path: Path) -> tuple[int, ...]:
    """Voxels along each axis as the header claims, before any value is read; raises VolumeError."""
    kind = volume_kind(path)
    if kind is VolumeKind.NIFTI:
        from retrieval.sources.volumes.nifti import nifti_shape

        return nifti_shape(path)
    if kind is VolumeKind.NRRD:
        return read_nrrd_header(path).shape
    return read_meta_image_header(path).shape
