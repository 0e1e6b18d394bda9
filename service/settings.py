"""Settings of the service: options of the command line, or LESION_SEARCH_* in the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the service needs to know; a value given by the caller wins over the environment.

    ``max_body_mb`` bounds a request before it is parsed, ``max_volume_mb`` an inflated NIfTI file.
    ``workers`` is how many queries compute at once.
    """

    model_config = SettingsConfigDict(env_prefix="LESION_SEARCH_", extra="ignore")

    index: Path
    encoder: Path | None = None
    matcher: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    max_body_mb: int = Field(default=256, ge=1)
    max_volume_mb: int = Field(default=1024, ge=1)
    max_files: int = Field(default=1000, ge=1)
    max_hits: int = Field(default=1000, ge=1)
    workers: int = Field(default=2, ge=1)
