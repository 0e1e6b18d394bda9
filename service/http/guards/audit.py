"""The audit log: who did what to which patient's data, from where, and with which outcome.

One JSON object a line in a file of its own, which rotates; patients, lesions and studies stand in
it under pseudonyms (``service.deid.pseudonyms``) whose key lies beside it. docs/security.md has its
fields beside those of IHE ATNA.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.lesion import LesionSearchError
from service.deid.pseudonyms import PseudonymKey
from service.http.guards.access import is_open, who_asked
from service.logs import REQUEST_ID

logger = logging.getLogger(__name__)

FILE_MB = 10
FILES_KEPT = 20
MAX_OBJECTS = 200
"""Of one line; a longer answer says how many more there were."""

_ACTIONS = {"GET": "R", "HEAD": "R", "POST": "E", "DELETE": "D"}
_CREATING = {
    "/v1/lesions",
    "/v1/uploads",
    "/v1/dicomweb/reports",
    "/v1/dicomweb/uploads",
    "/v1/dicomweb/uploads/report",
}
_KINDS = {"lesion_id": "lesion", "patient_id": "patient", "upload_id": "upload"}


class AuditError(LesionSearchError):
    """An audit log that cannot be written."""


@dataclass(eq=False)
class Noted:
    """What a request turned out to be about."""

    objects: dict[tuple[str, str], None] = field(default_factory=dict)


_NOTED: ContextVar[Noted | None] = ContextVar("audited", default=None)


def note(kind: str, *identifiers: str | None) -> None:
    """Says that the request is about a ``patient``, ``lesion`` or ``series``; None is nobody.

    A handler calls it for what it is asked about and for whose data it answers with; without an
    audit log it does nothing.
    """
    noted = _NOTED.get()
    if noted is not None:
        noted.objects |= {(kind, one): None for one in identifiers if one is not None}


class AuditLog:
    """The file, opened for as long as the service runs; others of the machine cannot read it."""

    def __init__(self, path: Path) -> None:
        """Opens the log and the key of its pseudonyms, ``PATH.key``; makes what is not there.

        Raises:
            AuditError: the file cannot be written.
            PseudonymError: its key cannot be read.
        """
        key = path.with_name(path.name + ".key")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _PrivateFile(path, maxBytes=FILE_MB << 20, backupCount=FILES_KEPT)
        except OSError as wrong:
            raise AuditError(
                f"audit log {path} cannot be written: {wrong.strerror}: name another with "
                "--audit-log FILE"
            ) from None
        self._key = PseudonymKey.load(key) if key.exists() else PseudonymKey.create(key)

    def write(self, event: dict[str, object], noted: Noted) -> None:
        """Adds a line; what cannot be written is said in the service's log."""
        named = list(noted.objects)
        shown = named[:MAX_OBJECTS]
        event["objects"] = [{"kind": kind, "id": self._key.name_of(kind, n)} for kind, n in shown]
        if len(named) > MAX_OBJECTS:
            event["more_objects"] = len(named) - MAX_OBJECTS
        line = logging.LogRecord("audit", logging.INFO, "", 0, json.dumps(event), None, None)
        self._file.emit(line)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Audit:
    """Writes a line for every request but those for the page's files and the service's health."""

    def __init__(self, app: ASGIApp, *, log: AuditLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with _noting() as noted:
            try:
                await self._app(scope, receive, watch)
            finally:
                _note_path(scope, noted)
                self._log.write(_event(scope, status), noted)


class _PrivateFile(RotatingFileHandler):
    """A rotating file that only its owner reads, whatever the umask."""

    def _open(self) -> IO[str]:  # type: ignore[override]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        del record
        logger.error("a line of the audit log could not be written", exc_info=True)


@contextmanager
def _noting() -> Iterator[Noted]:
    noted = Noted()
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)


def _note_path(scope: Scope, noted: Noted) -> None:
    for name, value in scope.get("path_params", {}).items():
        if name in _KINDS:
            noted.objects[_KINDS[name], str(value)] = None


def _event(scope: Scope, status: int) -> dict[str, object]:
    route = getattr(scope.get("route"), "path", None) or "unmatched"
    action = _ACTIONS.get(scope["method"], "E")
    client = scope.get("client")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": who_asked(scope),
        "from": client[0] if client else None,
        "action": "C" if action == "E" and route in _CREATING else action,
        "route": f"{scope['method'][:16]} {route}",
        "status": status,
        "outcome": _outcome(status),
        "request_id": REQUEST_ID.get(),
    }


def _outcome(status: int) -> int:
    """As DICOM PS3.15 A.5 counts: 0 success, 4 minor failure, 8 serious failure."""
    if 200 <= status < 400:
        return 0
    return 8 if status >= 500 or status == 0 else 4
