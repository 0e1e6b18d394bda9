"""The CT of a request: sent with it, or held from an earlier upload."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from retrieval.grid import Grid
from retrieval.image import Slab
from service.decoding.identity import IdentifiedImage, ImageIdentity, told_name
from service.decoding.reading import UploadOptions
from service.http.dependencies import RequestError
from service.http.forms import FileForm, ImageForm
from service.http.state import ServiceState

EVERY_SLICE_MM = 1e6
"""A depth that no series reaches: every slice that was sent is read."""


@dataclass(frozen=True, slots=True)
class ReadImage:
    """A slab on its key slice, how long it took to read, and whose it is by its files.

    ``identity`` is None where they do not say it.
    """

    slab: Slab
    read_ms: float
    identity: ImageIdentity | None = None


def image_of(service: ServiceState, form: ImageForm, *, half_depth_mm: float) -> ReadImage:
    """The form's CT, read at least ``half_depth_mm`` from its key slice.

    Raises:
        RequestError: both files and an upload id, or neither, or a slice the upload lacks.
        UnknownUploadError: the upload is not held.
        LesionSearchError: the files cannot be read as CT.
    """
    start = time.perf_counter()
    if (form.upload_id is None) == (not form.uploads):
        raise RequestError("send exactly one of: an image as `file` or `files`, an `upload_id`")
    if form.upload_id is None:
        read = read_files(service, form, half_depth_mm=half_depth_mm)
    else:
        read = _held(service, form.upload_id, form)
    return ReadImage(read.slab, (time.perf_counter() - start) * 1000, read.identity)


def read_files(service: ServiceState, form: FileForm, *, half_depth_mm: float) -> IdentifiedImage:
    """The CT of the files of a form, and whose it is; raises LesionSearchError."""
    names = tuple(told_name(upload.filename or "") for upload in form.uploads)
    choice = form.choice()
    reading = UploadOptions(
        choice.key_slice_index,
        choice.spacing_mm,
        half_depth_mm,
        names,
        choice.series,
        choice.assume_hu,
    )
    files = [upload.file for upload in form.uploads]
    if form.grid is Grid.FILE or choice.key_slice_index is None:
        return service.decoders.decode(files, reading)
    # What a display slice is called in the file is known once all of them are read.
    everything = replace(reading, key_slice_index=None, half_depth_mm=EVERY_SLICE_MM)
    image = service.decoders.decode(files, everything)
    return replace(image, slab=_on_key_slice(image.slab, form))


def _held(service: ServiceState, upload_id: str, form: ImageForm) -> IdentifiedImage:
    if form.spacing is not None or form.series is not None:
        raise RequestError("the upload is read already: leave `spacing` and `series` out")
    held = service.uploads.identified(upload_id)
    return replace(held, slab=_on_key_slice(held.slab, form))


def _on_key_slice(slab: Slab, form: FileForm) -> Slab:
    if form.key_slice_index is None:
        return slab
    if form.grid is Grid.DISPLAY:
        return slab.with_key_slice(form.key_slice_index)
    return slab.on_file_slice(form.key_slice_index)
