"""Errors of the HTTP service as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from index.catalog.match_table import MatchError
from index.errors import (
    CatalogQueryError,
    FilterError,
    IndexBusyError,
    LesionIndexError,
    StorageError,
    UnknownLesionError,
)
from index.vectors import VectorError
from retrieval.lesion import LesionSearchError
from retrieval.sources.errors import ArchiveError
from retrieval.tracking.errors import MatchConflictError
from service.decoding.decoder import DecoderBusyError, DecoderStorageError
from service.decoding.limits import FULL_DISK
from service.figures.indexed_pixels import OtherPixelsError, PictureError
from service.http.uploads.held import UnknownUploadError, UploadTooLargeError
from service.logs import REQUEST_ID

logger = logging.getLogger(__name__)

BUSY_RETRY_S = "5"
NOT_READY = "the service is not ready: its encoder and index are being loaded"

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 2000
"""Errors quote what was sent: never all of it."""


class NotReadyError(LesionSearchError):
    """A part of the service that is not there, or not yet."""


class ConflictError(LesionSearchError):
    """A change that contradicts what is stored."""


class NotAllowedError(LesionSearchError):
    """A change that the request's key may not make."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document with the status' own title; a detail of any length is cut."""
    document: dict[str, str | int] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _whole(detail[:MAX_DETAIL]),
    }
    if (request_id := REQUEST_ID.get()) is not None:
        document["request_id"] = request_id
    return JSONResponse(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _whole(text: str) -> str:
    """The text with half characters (lone surrogates) replaced: no answer could carry them."""
    return text.encode("utf-8", "replace").decode()


def install_problem_handlers(app: FastAPI) -> None:
    """Makes every error of the application a problem document.

    A user's mistake is 422 with its one line, a lesion that is not there 404, decisions on matches
    that contradict each other 409, a full disk 507, an index that is busy or cannot be used 503. A
    defect is 500 with no detail: ``service.http.observing`` answers that, and the log has it.
    """
    app.add_exception_handler(NotReadyError, _on_not_ready)
    app.add_exception_handler(ConflictError, _on_conflict)
    app.add_exception_handler(NotAllowedError, _on_not_allowed)
    app.add_exception_handler(UnknownLesionError, _on_unknown_lesion)
    app.add_exception_handler(MatchConflictError, _on_conflict)
    app.add_exception_handler(PictureError, _on_missing_pixels)
    app.add_exception_handler(OtherPixelsError, _on_other_pixels)
    app.add_exception_handler(UnknownUploadError, _on_unknown_upload)
    app.add_exception_handler(UploadTooLargeError, _on_too_large)
    app.add_exception_handler(DecoderBusyError, _on_busy)
    app.add_exception_handler(IndexBusyError, _on_busy_index)
    app.add_exception_handler(StorageError, _on_full_disk)
    app.add_exception_handler(DecoderStorageError, _on_full_disk)
    app.add_exception_handler(OSError, _on_disk_trouble)
    app.add_exception_handler(LesionIndexError, _on_unusable_index)
    for mistake in (FilterError, CatalogQueryError, VectorError, MatchError):
        app.add_exception_handler(mistake, _on_mistake)
    app.add_exception_handler(ArchiveError, _on_unreadable_pixels)
    app.add_exception_handler(LesionSearchError, _on_mistake)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_not_ready(_: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error), {"Retry-After": "1"})


async def _on_mistake(_: Request, error: Exception) -> JSONResponse:
    return problem(422, " ".join(str(error).split()))


async def _on_not_allowed(_: Request, error: Exception) -> JSONResponse:
    return problem(403, str(error))


async def _on_conflict(_: Request, error: Exception) -> JSONResponse:
    return problem(409, " ".join(str(error).split()))


async def _on_unknown_lesion(_: Request, __: Exception) -> JSONResponse:
    return problem(404, "no lesion has this id: GET /v1/lesions lists those that are indexed")


async def _on_busy(_: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error), {"Retry-After": "1"})


async def _on_unknown_upload(_: Request, error: Exception) -> JSONResponse:
    return problem(404, str(error))


async def _on_too_large(_: Request, error: Exception) -> JSONResponse:
    return problem(413, str(error))


async def _on_missing_pixels(_: Request, __: Exception) -> JSONResponse:
    # Which lesion is not said: its id is its patient's.
    logger.warning("the pixels of a lesion are no longer where the index found them")
    return problem(404, "the pixels of this lesion are no longer where the index found them")


async def _on_other_pixels(_: Request, __: Exception) -> JSONResponse:
    logger.error("a file holds other pixels than when its lesion was indexed: run `index verify`")
    return problem(404, "the file of this lesion holds other pixels than when it was indexed")


async def _on_unreadable_pixels(_: Request, error: Exception) -> JSONResponse:
    # A file of the server's: its text has the path. Uploads have errors of their own.
    logger.error("the pixels of a lesion cannot be read: run `index verify`", exc_info=error)
    return problem(404, "the file of this lesion cannot be read as CT; the service's log says why")


async def _on_busy_index(_: Request, __: Exception) -> JSONResponse:
    words = "another change is being written to the index: nothing was changed, try again"
    return problem(503, words, {"Retry-After": BUSY_RETRY_S})


async def _on_full_disk(_: Request, error: Exception) -> JSONResponse:
    logger.error("the disk refused a write", exc_info=error)
    return problem(507, "the disk refused the write: nothing was changed; the log says why")


async def _on_disk_trouble(request: Request, error: Exception) -> JSONResponse:
    """A full disk is no defect, wherever it is met; every other error of the system is one."""
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return await _on_full_disk(request, error)
    raise error


async def _on_unusable_index(_: Request, error: Exception) -> JSONResponse:
    # The error's text may name a lesion, and so a patient: `index verify` says it to who may know.
    logger.error("the index cannot be used: run `lesion-search index verify`", exc_info=error)
    return problem(503, "the index cannot be used at the moment; the service's log says why")


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'][1:]) or 'request'}: {fault['msg']}"
        for fault in error.errors()
    ]
    return problem(422, "; ".join(faults))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    # A body whose files could not be stored looks like one that could not be parsed.
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL_DISK:
        return await _on_full_disk(request, error.__cause__)
    return problem(error.status_code, str(error.detail))
