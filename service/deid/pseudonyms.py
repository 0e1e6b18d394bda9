"""Pseudonyms under a secret key: the same patient, study or image always gets the same new name.

Every name is HMAC-SHA256 of the old one under a key that never leaves its file. Without the key
nobody can go from a pseudonym back, nor test a guess; with it the same archive made twice has the
same names, so an index, a de-identified folder and the answers about a PACS agree.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from retrieval.lesion import LesionSearchError

KEY_BYTES = 32
SHIFT_DAYS = (365, 3650)
"""Dates move back by a number of days of the patient's own, between these."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


class PseudonymError(LesionSearchError):
    """A key file that cannot be used, or an identifier that cannot be one."""


class Identities(Protocol):
    """How the PACS's identifiers are called in answers and in the index."""

    def patient(self, patient_id: str) -> str:
        """The name of a patient."""
        ...

    def uid(self, uid: str) -> str:
        """The name of a study, series or instance UID."""
        ...

    def day(self, patient_id: str, day: date) -> date:
        """A date of a patient."""
        ...


class OwnIdentities:
    """Identifiers as the PACS has them: for archives that are de-identified already."""

    def patient(self, patient_id: str) -> str:
        """The id itself, without the padding DICOM allows."""
        return patient_id.strip()

    def uid(self, uid: str) -> str:
        """The UID itself."""
        return str(uid)

    def day(self, patient_id: str, day: date) -> date:  # noqa: ARG002
        """The date itself."""
        return day


@dataclass(frozen=True)
class PseudonymKey:
    """Identifiers as pseudonyms under one secret key."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise PseudonymError(
                f"the pseudonym key has {len(self.secret)} bytes: {KEY_BYTES} are needed; make one "
                "with `lesion-search deidentify --new-key FILE`"
            )

    @classmethod
    def load(cls, path: Path) -> PseudonymKey:
        """The key of a file; raises PseudonymError unless only its owner can read it."""
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as wrong:
            reason = getattr(wrong, "strerror", None) or "it is not text"
            raise PseudonymError(f"pseudonym key {path} cannot be read: {reason}") from None
        if os.name == "posix" and mode & 0o077:
            raise PseudonymError(
                f"pseudonym key {path} can be read by others (mode {mode & 0o777:o}): "
                f"`chmod 600 {path}`"
            )
        try:
            return cls(bytes.fromhex(text.strip()))
        except ValueError as wrong:
            if isinstance(wrong, PseudonymError):
                raise
            raise PseudonymError(
                f"{path} is no pseudonym key: {2 * KEY_BYTES} hexadecimal digits are needed"
            ) from None

    @classmethod
    def create(cls, path: Path) -> PseudonymKey:
        """A new random key in a new file of mode 0600; raises PseudonymError if it exists."""
        key = cls(secrets.token_bytes(KEY_BYTES))
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise PseudonymError(
                f"{path} exists: a new key would give every patient another name; choose another "
                "file"
            ) from None
        except OSError as wrong:
            raise PseudonymError(f"{path} cannot be written: {wrong.strerror}") from None
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.secret.hex() + "\n")
        return key

    def patient(self, patient_id: str) -> str:
        """``P`` and 24 hexadecimal digits (96 bits) of the patient's id, padding left aside."""
        return "P" + self._digest("patient", patient_id.strip()).hex()[:24]

    def uid(self, uid: str) -> str:
        """A UID under 2.25 made of 122 bits of the digest as an RFC 9562 version 8 UUID.

        Raises PseudonymError for text that is no UID: it might be anything.
        """
        if not (_UID.fullmatch(str(uid)) and len(str(uid)) <= 64):
            raise PseudonymError("a UID is not made of numbers and dots: the file is not DICOM")
        bits = int.from_bytes(self._digest("uid", str(uid))[:16])
        bits = bits & ~(0xF << 76) | (8 << 76)
        bits = bits & ~(0x3 << 62) | (2 << 62)
        return f"2.25.{uuid.UUID(int=bits).int}"

    def day(self, patient_id: str, day: date) -> date:
        """The date moved back by the patient's own number of days; intervals stay."""
        first, last = SHIFT_DAYS
        digest = self._digest("days", patient_id.strip())
        days = first + int.from_bytes(digest[:8]) % (last - first + 1)
        try:
            return day - timedelta(days=days)
        except OverflowError:
            raise PseudonymError(f"the year {day.year} is no year of an examination") from None

    def name_of(self, kind: str, name: str) -> str:
        """A pseudonym of anything that has a name: the kind's first letter and 24 digits."""
        if kind == "patient":
            return self.patient(name)
        return kind[:1].upper() + self._digest(kind, name).hex()[:24]

    def _digest(self, purpose: str, name: str) -> bytes:
        message = f"lesion-search/1/{purpose}/".encode() + name.encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).digest()
