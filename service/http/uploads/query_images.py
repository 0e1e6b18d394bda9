"""The CT of a request: sent with it, or held from an earlier upload."""

from __future__ import annotations

import time
from dataclasses import dataclass

from retrieval.image import Slab
from service.decoding.identity import IdentifiedImage, told_name
from service.decoding.reading import UploadOptions
from service.http.dependencies import RequestError
from service.http.forms import FileForm, ImageForm
from service.http.state import ServiceState
from service.http.uploads.reading import read_upload

EVERY_SLICE_MM = 1e6
"""A depth that no series reaches: every slice that was sent is read."""


@dataclass(frozen=True, slots=True)
class ReadImage:
    """A slab on its key slice, and how long it took to read."""

    slab: Slab
    read_ms: float


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
        slab = read_files(service, form, half_depth_mm=half_depth_mm).slab
    else:
        slab = _held_slab(service, form.upload_id, form)
    return ReadImage(slab, (time.perf_counter() - start) * 1000)


def read_files(service: ServiceState, form: FileForm, *, half_depth_mm: float) -> IdentifiedImage:
    """The CT of the files of a form, and whose it is; raises LesionSearchError."""
    names = tuple(told_name(upload.filename or "") for upload in form.uploads)
    choice = form.choice()
    reading = UploadOptions(choice.key_slice_index, choice.spacing_mm, half_depth_mm, names)
    return read_upload([upload.file for upload in form.uploads], reading, service.decoders)


def _held_slab(service: ServiceState, upload_id: str, form: ImageForm) -> Slab:
    if form.spacing is not None:
        raise RequestError("the upload has its spacing already: leave `spacing` out")
    slab = service.uploads.get(upload_id)
    if form.key_slice_index is None:
        return slab
    position = form.key_slice_index - slab.first_slice_index
    if not 0 <= position < len(slab.hu):
        raise RequestError(
            f"slice {form.key_slice_index} is not in the upload: its slices are numbered "
            f"{slab.first_slice_index} to {slab.first_slice_index + len(slab.hu) - 1}"
        )
    return slab.with_key_slice(position)
