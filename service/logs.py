"""Logs on stderr, without anything of a patient: JSON lines for programs, words on a terminal.

What this program says of itself is written as it is. Libraries quote what they read, and what
they read are patients' files: of their messages only the source and the level are kept. Of an
exception the log has its type and where it was raised, never its text.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered, also on the threads that answer it."""

OWN_LOGGERS = ("service", "index", "retrieval", "uvicorn")
TALKATIVE = ("pydicom", "dicomweb_client", "pymilvus")
WITHHELD = "a message of a library, withheld: it may quote a patient's file"


class JsonLines(logging.Formatter):
    """Log records as JSON lines; ``extra={"fields": {...}}`` adds named values."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info is not None and record.exc_info[1] is not None:
            line |= _raised(record.exc_info[1])
        return json.dumps(line, default=str)


class PlainLines(logging.Formatter):
    """Log records for a person at a terminal: the time, and the message with what went wrong."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        line = f"{time}  {level}{_message(record)}"
        fields: dict[str, Any] = getattr(record, "fields", {})
        if record.exc_info is not None and record.exc_info[1] is not None:
            fields = fields | _raised(record.exc_info[1])
        told = ", ".join(f"{name} {value}" for name, value in fields.items())
        return f"{line} ({told})" if told else line


class StandardError(logging.Handler):
    """Writes to whatever ``sys.stderr`` is when a record comes, not what it was at the start."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, as a line."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


def announce(text: str, **fields: Any) -> None:
    """One line of a service that starts: words on a terminal, else a JSON object with the fields.

    It is said before logging, and what logging needs, is loaded.
    """
    if sys.stderr.isatty():
        sys.stderr.write(text + "\n")
    else:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "level": "info", "logger": "service.start", "message": text}
        sys.stderr.write(json.dumps(line | fields, default=str) + "\n")
    sys.stderr.flush()


def configure_logs(level: str = "info") -> None:
    """Sends every log record of this process to stderr: words to a terminal, else JSON lines."""
    handler = StandardError()
    is_terminal = sys.stderr.isatty()
    handler.setFormatter(PlainLines() if is_terminal else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    if is_terminal:
        # The service says itself that it starts, where, and when it is ready.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(capture=True)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """While it is held, libraries say nothing themselves; for a process that shows its own errors.

    pydicom's warnings quote the values of a file's elements, the DICOMweb client's messages its
    UIDs, and the Milvus client tells of every failure with a traceback before it raises it.
    """
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pydicom")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _message(record: logging.LogRecord) -> str:
    is_own = record.name.partition(".")[0] in OWN_LOGGERS
    return record.getMessage() if is_own else WITHHELD


def _raised(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "raised_at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
