"""Which PACS is spoken to, and within what limits: the operator's choice alone.

Credentials come from the environment and are never shown; no request of a client names a host.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from retrieval.lesion import LesionSearchError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class PacsSettingsError(LesionSearchError):
    """Settings that make no PACS to speak to."""


class PacsSettings(BaseSettings):
    """``LESION_SEARCH_PACS_*`` in the environment; a value given by the caller wins.

    Attributes:
        url: of the DICOMweb service, as ``https://pacs.example/dicom-web``.
        user, password: for HTTP basic authentication.
        token: a bearer token, instead of user and password.
        ca_file: certificates to trust instead of the usual ones.
        plain_http: credentials may travel over http to another machine.
        pseudonym_key: the key's file; without one, answers hold the PACS's own identifiers.
        timeout_s: for a connection, and between two bytes of an answer.
        answer_timeout_s: for a whole answer.
        max_instances: of one series, and to be retrieved for one query.
        max_mb: of one answer of the PACS, inflated, and of all images for one query.
        max_studies: of the patient's other studies, those nearest in time.
    """

    model_config = SettingsConfigDict(env_prefix="LESION_SEARCH_PACS_", extra="ignore")

    url: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    ca_file: Path | None = None
    plain_http: bool = False
    pseudonym_key: Path | None = None
    timeout_s: float = Field(default=20.0, gt=0)
    answer_timeout_s: float = Field(default=120.0, gt=0)
    max_instances: int = Field(default=2000, ge=1)
    max_mb: int = Field(default=512, ge=1)
    max_studies: int = Field(default=8, ge=0)

    @field_validator("user", "password", "token", "url", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    def checked_url(self) -> str:
        """The URL of the service.

        Raises:
            PacsSettingsError: none is set, it is not http or https, it holds credentials, or
                credentials would travel unprotected.
        """
        if self.url is None:
            raise PacsSettingsError(
                "no PACS is configured: set LESION_SEARCH_PACS_URL to its DICOMweb service, as "
                "https://pacs.example/dicom-web"
            )
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise PacsSettingsError(
                "the URL of the PACS is not of the form https://pacs.example/dicom-web"
            )
        if parts.username is not None or parts.password is not None:
            raise PacsSettingsError(
                "the URL of the PACS holds credentials: set LESION_SEARCH_PACS_USER and "
                "LESION_SEARCH_PACS_PASSWORD instead"
            )
        if self.has_credentials and not self._is_protected(parts.scheme, parts.hostname):
            raise PacsSettingsError(
                "credentials would travel to the PACS unprotected: use https, or set "
                "LESION_SEARCH_PACS_PLAIN_HTTP=true if the network is trusted"
            )
        return self.url.rstrip("/")

    @property
    def has_credentials(self) -> bool:
        """Whether anything secret is sent with a request."""
        return self.token is not None or self.password is not None

    def _is_protected(self, scheme: str, host: str) -> bool:
        return scheme == "https" or host in LOOPBACK or self.plain_http
