"""Uploads held in memory between requests, bounded in number, size and age."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from retrieval.image import Slab
from retrieval.lesion import LesionSearchError
from service.decoding.identity import IdentifiedImage, ImageIdentity

_ID_BYTES = 16


class UnknownUploadError(LesionSearchError):
    """An upload that is not held, or no longer."""


class UploadTooLargeError(LesionSearchError):
    """An upload larger than all that may be held."""


@dataclass(frozen=True, slots=True)
class HoldingLimits:
    """How much is held: uploads, bytes of pixels, and seconds since an upload was last used."""

    uploads: int
    pixel_bytes: int
    seconds: float


@dataclass(slots=True)
class _Held:
    image: IdentifiedImage
    used_s: float


class HeldUploads:
    """CT by random 128-bit ids. Nothing is written to disk; who has the id has the upload.

    When a limit is reached the upload that was not used for longest makes room.
    """

    def __init__(self, limits: HoldingLimits, *, clock: Callable[[], float] = time.monotonic):
        self.limits = limits
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, slab: Slab, identity: ImageIdentity | None = None) -> str:
        """Holds CT and whose it is; returns its new id. Raises UploadTooLargeError."""
        if slab.hu.nbytes > self.limits.pixel_bytes:
            raise UploadTooLargeError(
                f"the upload has {slab.hu.nbytes >> 20} MB of pixels: at most "
                f"{self.limits.pixel_bytes >> 20} MB are held; send fewer slices"
            )
        upload_id = secrets.token_hex(_ID_BYTES)
        with self._lock:
            self._forget_expired()
            self._held[upload_id] = _Held(IdentifiedImage(slab, identity), self._clock())
            while not self._fits():
                self._held.popitem(last=False)
        return upload_id

    def get(self, upload_id: str) -> Slab:
        """The slab of an id, which starts its time anew; raises UnknownUploadError."""
        return self.identified(upload_id).slab

    def identified(self, upload_id: str) -> IdentifiedImage:
        """``get`` with whose images they are."""
        with self._lock:
            self._forget_expired()
            held = self._held.get(upload_id)
            if held is None:
                raise UnknownUploadError(
                    "no upload is held under this upload_id: send the image again to POST "
                    f"/v1/uploads; it is held for {self.limits.seconds:.0f} s after its last use"
                )
            held.used_s = self._clock()
            self._held.move_to_end(upload_id)
            return held.image

    def drop(self, upload_id: str) -> None:
        """Forgets an upload; raises UnknownUploadError."""
        self.get(upload_id)
        with self._lock:
            self._held.pop(upload_id, None)

    def forget_expired(self) -> int:
        """Frees what has expired; returns how many uploads are held still."""
        with self._lock:
            self._forget_expired()
            return len(self._held)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of pixels held now."""
        with self._lock:
            return self._pixel_bytes()

    def _pixel_bytes(self) -> int:
        return sum(held.image.slab.hu.nbytes for held in self._held.values())

    def _fits(self) -> bool:
        return (
            len(self._held) <= self.limits.uploads
            and self._pixel_bytes() <= self.limits.pixel_bytes
        )

    def _forget_expired(self) -> None:
        oldest = self._clock() - self.limits.seconds
        for upload_id in [name for name, held in self._held.items() if held.used_s < oldest]:
            del self._held[upload_id]
