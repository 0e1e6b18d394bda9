"""Entity tags: what a client has already is not sent, nor read, again (RFC 9110, 8.8 and 13.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import Request, Response


def etag_of(*parts: object) -> str:
    """A strong entity tag over the text of what an answer is made of."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode())
    return f'"{digest.hexdigest()[:32]}"'


def file_version(path: Path) -> str:
    """Changes when the file does; empty where there is none."""
    try:
        known = path.stat()
    except OSError:
        return ""
    return f"{known.st_mtime_ns}-{known.st_size}"


def not_modified(request: Request, etag: str) -> Response | None:
    """The empty answer for a client that has this version already, else None."""
    sent = request.headers.get("if-none-match", "")
    known = {tag.strip().removeprefix("W/") for tag in sent.split(",")}
    if etag not in known and sent.strip() != "*":
        return None
    return Response(status_code=304, headers=cached(etag))


def cached(etag: str) -> dict[str, str]:
    """The headers of an answer that a program may keep by its tag, and a browser must not.

    What shows a patient does not stay in a browser's cache on the disk.
    """
    return {"ETag": etag, "Cache-Control": "private, no-store"}
