"""Stored pixels -> HU: the bits that hold them, rescaling, padding; what is doubtful is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU
from retrieval.sources.dicom.codestream import check_codestream
from retrieval.sources.dicom.elements import Elements
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.syntaxes import ALWAYS_LOSSY, BIG_ENDIAN, NATIVE
from retrieval.sources.intensity.declared import DeclaredIntensity, judge_declared
from retrieval.sources.intensity.histogram import IntensityKind

if TYPE_CHECKING:
    from retrieval.sources.dicom.header import DicomPlane

_BROKEN = (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError, TypeError)


def write_hu(plane: DicomPlane, hu: NDArray[np.float32]) -> None:
    """Writes one image in HU into ``hu`` (rows, columns), its padding as air; raises DicomError."""
    stored = _stored(plane)
    slope, intercept = plane.rescale
    if slope == 1:
        np.add(stored, np.float32(intercept), out=hu, dtype=np.float32, casting="unsafe")
    else:
        np.multiply(stored, np.float32(slope), out=hu, dtype=np.float32, casting="unsafe")
        hu += np.float32(intercept)
    outside = _padding(plane.header, stored)
    if outside is not None:
        hu[outside] = CT_HU.padding


def declared_of(planes: Sequence[DicomPlane]) -> DeclaredIntensity:
    """What the first file says of its values, or the first one that says something against HU."""
    said = [_declared_by(plane) for plane in planes]
    against = (one for one in said if judge_declared(one).kind is not IntensityKind.HOUNSFIELD)
    return next(against, said[0])


def _declared_by(plane: DicomPlane) -> DeclaredIntensity:
    header = plane.header
    image_type = header.get("ImageType") or ()
    values = (image_type,) if isinstance(image_type, str) else tuple(map(str, image_type))
    stored_bits = header.get("BitsStored")
    return DeclaredIntensity(
        modality=str(header.get("Modality") or ""),
        rescale_type=str(header.get("RescaleType") or ""),
        image_type=values,
        stored_bits=stored_bits if isinstance(stored_bits, int) else None,
        is_scaled=plane.rescale[0] != 1,
    )


def forget_pixels(plane: DicomPlane) -> None:
    """Lets go of what decoding kept beside a dataset: it would double the memory of a series."""
    plane.dataset._pixel_array = None
    plane.dataset._pixel_id = {}
    if getattr(plane.dataset, "filename", None):
        plane.dataset.pop("PixelData", None)


def notes_of(planes: Sequence[DicomPlane]) -> tuple[str, ...]:
    """What is tolerated in the images of a series, a sentence each."""
    notes = []
    lossy = [plane for plane in planes if _is_lossy(plane.header)]
    if lossy:
        ratio = _text(lossy[0].header.get("LossyImageCompressionRatio"))
        extent = f" (ratio {ratio})" if ratio else ""
        notes.append(
            f"{len(lossy)} of {len(planes)} slices were compressed with loss{extent}: HU are "
            "approximate"
        )
    upper = [plane for plane in planes if _shift(plane.header)]
    if upper:
        header = upper[0].header
        notes.append(
            f"HighBit is {header.get('HighBit')} with {header.get('BitsStored')} bits stored: the "
            "upper bits were read"
        )
    return tuple(notes)


def _stored(plane: DicomPlane) -> NDArray[Any]:
    """(rows, columns) stored values; padding as it lies in the file."""
    dataset = plane.dataset
    if str(dataset.file_meta.TransferSyntaxUID) in NATIVE:
        return _in_stored_bits(plane, _native(plane))
    if not plane.frame:
        check_codestream(plane.name, dataset)
    try:
        stored = np.asarray(dataset.pixel_array)
    except _BROKEN as wrong:
        name = getattr(dataset.file_meta.TransferSyntaxUID, "name", "unknown")
        reason = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise DicomError(f"{plane.name} ({name}) cannot be decoded: {reason}") from None
    if plane.frame is not None and stored.ndim == 3:
        stored = stored[plane.frame]
    if stored.shape != plane.size:
        raise DicomError(
            f"{plane.name} has pixels of the shape {stored.shape}, not {plane.size}: one slice "
            "is needed"
        )
    return stored


def _native(plane: DicomPlane) -> NDArray[Any]:
    """The image's pixels as they lie in the file; raises DicomError if they are cut off."""
    header = plane.header
    kind = "i" if header.get("PixelRepresentation") == 1 else "u"
    bits = int(header.get("BitsAllocated"))
    order = ">" if str(header.file_meta.TransferSyntaxUID) == BIG_ENDIAN else "<"
    dtype = np.dtype(f"{order}{kind}{bits // 8}")
    rows, columns = plane.size
    try:
        content = plane.dataset.PixelData
    except _BROKEN as wrong:
        raise DicomError(f"{plane.name} cannot be decoded: {wrong}") from None
    start = (plane.frame or 0) * rows * columns * dtype.itemsize
    if len(content) < start + rows * columns * dtype.itemsize:
        raise DicomError(
            f"{plane.name} cannot be decoded: {len(content)} bytes of pixels are fewer than "
            f"{rows} x {columns} of {bits} bits need"
        )
    pixels = np.frombuffer(content, dtype, rows * columns, start)
    return pixels.reshape(rows, columns).astype(dtype.newbyteorder("="), copy=False)


def _in_stored_bits(plane: DicomPlane, stored: NDArray[Any]) -> NDArray[Any]:
    """The values that BitsStored and HighBit say.

    Raises DicomError for pixels that BitsStored cannot hold, unless they are padding.
    """
    header = plane.header
    bits, allocated = int(header.get("BitsStored")), int(header.get("BitsAllocated"))
    if bits == allocated:
        return stored
    signed = header.get("PixelRepresentation") == 1
    if shift := _shift(header):
        # The shift of a signed type keeps the sign: the high bit is moved to the type's own first.
        return (stored << (allocated - shift - bits)) >> (allocated - bits)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if int(stored.min()) >= low and int(stored.max()) <= high:
        return stored
    extended = (stored << (allocated - bits)) >> (allocated - bits) if signed else stored
    beyond = (stored >> bits != 0) & ((extended != stored) | (not signed))
    outside = _padding(header, stored)
    if (beyond if outside is None else beyond & ~outside).any():
        raise DicomError(
            f"{plane.name} contradicts itself: BitsStored {bits} holds {low} to {high}, its pixels "
            f"reach from {stored.min()} to {stored.max()}"
        )
    return np.where(beyond, stored, extended)


def _shift(header: Elements) -> int:
    """By how many bits the stored values lie above the lowest."""
    high, bits = header.get("HighBit"), int(header.get("BitsStored"))
    return 0 if high is None else int(high) - (bits - 1)


def _is_lossy(header: Elements) -> bool:
    if _text(header.get("LossyImageCompression")) in {"01", "1"}:
        return True
    # JPEG 2000 in general may be lossless: the tag tells. These never are.
    return str(header.file_meta.TransferSyntaxUID) in ALWAYS_LOSSY


def _text(value: Any) -> str:
    return str(value or "").strip()


def _padding(header: Elements, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """The pixels that PixelPaddingValue (and its range limit) calls outside the image.

    Compared as the 16 bits that are stored: the tag's own signedness is often written wrongly.
    """
    value = header.get("PixelPaddingValue")
    if value is None:
        return None
    limit = header.get("PixelPaddingRangeLimit", value)
    low, high = sorted(int(np.array(int(v)).astype(stored.dtype)) for v in (value, limit))
    return np.asarray((stored >= low) & (stored <= high), np.bool_)
