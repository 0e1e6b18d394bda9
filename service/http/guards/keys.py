"""The file of API keys: many, named, with a role, revocable; what is stored is only their hash.

A key is 256 random bits. It is stored as its SHA-256: a slow hash (scrypt) makes guessing costly
where secrets are short, and nobody guesses 256 bits; here it would only make every request cost
50 ms, which is itself a way to take the service down.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError

KEY_PREFIX = "lsk_"
"""Lets a scanner for leaked secrets know one when it sees it."""

MAX_NAME = 64
_KEY_BYTES = 32
_VERSION = 1


class KeyFileError(LesionSearchError):
    """A file of API keys that cannot be used, or a key that is not in it."""


class Role(StrEnum):
    """What a key may do: ``read`` searches and looks, ``write`` also changes the index."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret: ``sha256`` is the hash in hex, the times are UTC."""

    name: str
    role: Role
    sha256: str
    created: str
    revoked: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether it opens anything."""
        return self.revoked is None


def add_key(path: Path, name: str, role: Role) -> str:
    """Makes a key and returns its secret, which is stored nowhere; the file is made if need be.

    Raises:
        KeyFileError: the name is taken, empty or too long, or the file cannot be used.
    """
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise KeyFileError(f"key name {name!r}: 1 to {MAX_NAME} printable characters are needed")
    secret = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    with _editing(path) as keys:
        if any(key.name == name and key.is_active for key in keys):
            raise KeyFileError(f"a key named {name!r} exists: revoke it first, or choose a name")
        keys.append(ApiKey(name, role, _hash(secret), _now()))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Ends a key at once, also in services that run; raises KeyFileError if there is none."""
    with _editing(path) as keys:
        for place, key in enumerate(keys):
            if key.name == name and key.is_active:
                keys[place] = replace(key, revoked=_now())
                return
        active = ", ".join(key.name for key in keys if key.is_active) or "none"
        raise KeyFileError(f"no active key is named {name!r}: active keys: {active}")


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Every key of the file, also the revoked ones.

    Raises:
        KeyFileError: there is no such file, others may read it, or it is damaged.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except OSError as wrong:
        raise KeyFileError(
            f"key file {path}: {wrong.strerror}: make one with `lesion-search keys add`"
        ) from None
    if mode & 0o077:
        raise KeyFileError(
            f"key file {path} has the mode {mode:o}, others may use it: chmod 600 it"
        )
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']}")
        return tuple(_key_of(entry) for entry in document["keys"])
    except (ValueError, TypeError, KeyError) as wrong:
        raise KeyFileError(f"key file {path} is damaged: {type(wrong).__name__}: {wrong}") from None


class KeyRing:
    """The active keys of a file, read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        """Reads the file; raises KeyFileError, also where no key is active."""
        self._path = path
        self._seen = self._signature()
        self._keys = read_keys(path)
        if not any(key.is_active for key in self._keys):
            raise KeyFileError(
                f"key file {path} has no active key: make one with `lesion-search keys add`"
            )

    def find(self, secret: str) -> ApiKey | None:
        """The active key of a secret, in a time that tells nothing of the stored ones.

        Raises:
            KeyFileError: the file has become unusable; no key opens anything then.
        """
        signature = self._signature()
        if signature != self._seen:
            self._keys = read_keys(self._path)
            self._seen = signature
        digest = _hash(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest) and key.is_active:
                found = key
        return found

    def _signature(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


@contextmanager
def _editing(path: Path) -> Iterator[list[ApiKey]]:
    """The keys, to change; they replace the file in one step when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = list(read_keys(path)) if path.exists() else []
        yield keys
        document = {"version": _VERSION, "keys": [asdict(key) for key in keys]}
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:  # mkstemp makes it 0600
            file.write(json.dumps(document, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def _key_of(entry: dict[str, Any]) -> ApiKey:
    key = ApiKey(**{**entry, "role": Role(entry["role"])})
    if len(key.sha256) != 64 or not key.sha256.isascii():
        raise ValueError(f"the hash of key {key.name!r}")
    return key


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
