"""Settings of the service: options of the command line, or LESION_SEARCH_* in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from index.milvus.client import MilvusSettings
from service.decoding.limits import DecodeLimits
from service.engine.model_files import ModelFiles

GPU_BATCH_PATCHES = 16
"""Patches embedded together on a GPU, where nothing else is said."""


class Settings(BaseSettings):
    """What the service needs to know; a value given by the caller wins over the environment.

    ``max_body_mb`` bounds a request before it is parsed, ``max_volume_mb`` an inflated NIfTI file.
    ``workers`` is how many queries compute at once. ``device`` is where patches are embedded,
    ``cpu`` or ``cuda``, and ``batch_patches`` how many of them together at most; None means
    ``GPU_BATCH_PATCHES`` on a GPU and each alone on a CPU, where a batch brings nothing
    (benchmarks/service_load.py). When it is stopped, requests have ``shutdown_s`` to finish.
    ``max_uploads`` and ``max_uploads_mb`` bound the CT held in memory between requests, each for
    ``upload_seconds`` after its last use.

    Decoding of an upload is bounded by ``max_slices``, ``max_pixels`` of a slice, ``decode_s`` and
    ``decode_memory_mb`` (``service.decoding``). ``keys`` is the file of API keys; without it nobody
    is asked for one, but ``serve`` makes a token for each start unless ``token`` is false, or takes
    ``start_token``. ``audit_log`` is the file of ``service.http.guards.audit``; with keys it is
    ``KEYS.audit.jsonl`` where no other is named. ``allowed_hosts`` are further names under which
    the service may be called, ``cors_origins`` the pages of other sites that may call it,
    ``trusted_proxies`` the addresses whose X-Forwarded-For is believed. ``requests_per_s`` and
    ``request_burst`` bound one client; None means 100 a second where keys are asked for, and no
    bound on loopback; 0 means no bound.
    ``vocabulary`` is a TOML file with terms of one's own, by which words are read, too.
    With ``milvus_uri`` the vectors are searched in that server's ``milvus_collection``, with
    ``approximate`` in the approximate form of the index.
    ``max_concurrent`` requests are served at once, ``max_per_client`` of them of one client (None:
    a quarter where keys are asked for, all on loopback), on ``max_connections``. A request's head
    comes within ``head_s``. A body may pause for ``body_idle_s`` and a client that reads for
    ``send_idle_s``; over a whole body or answer both must keep up ``min_bytes_per_s``. Answers that
    wait to be read take ``max_unsent_mb``. Of changes of the index ``max_writers`` wait for one
    another, and each ``write_wait_s`` for another program's.
    ``mine_out`` is the archive that ``POST /v1/mining`` fills from the folders ``mine_sources`` or
    the PACS, under the pseudonym key ``mine_key`` or one of its own; None refuses such a run.
    """

    model_config = SettingsConfigDict(env_prefix="LESION_SEARCH_", extra="ignore")

    index: Path
    encoder: Path | None = None
    matcher: Path | None = None
    detector: Path | None = None
    vocabulary: Path | None = None
    approximate: bool = False
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    max_body_mb: int = Field(default=256, ge=1)
    max_volume_mb: int = Field(default=1024, ge=1)
    max_files: int = Field(default=1000, ge=1)
    max_hits: int = Field(default=1000, ge=1)
    workers: int = Field(default=2, ge=1)
    device: str = "cpu"
    batch_patches: int | None = Field(default=None, ge=1)
    shutdown_s: int = Field(default=30, ge=1)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_uploads: int = Field(default=16, ge=1)
    max_uploads_mb: int = Field(default=2048, ge=1)
    upload_seconds: int = Field(default=1800, ge=1)
    max_slices: int = Field(default=2000, ge=1)
    max_pixels: int = Field(default=4096 * 4096, ge=1)
    decode_s: float = Field(default=60.0, gt=0)
    decode_memory_mb: int = Field(default=4096, ge=64)
    keys: Path | None = None
    audit_log: Path | None = None
    token: bool = True
    start_token: str | None = Field(default=None, min_length=16, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    requests_per_s: float | None = Field(default=None, ge=0)
    request_burst: int = Field(default=400, ge=1)
    milvus_uri: str = ""
    milvus_collection: str = "lesions"
    milvus_token: str = Field(default="", repr=False)
    max_concurrent: int = Field(default=64, ge=1)
    max_per_client: int | None = Field(default=None, ge=1)
    max_connections: int = Field(default=1000, ge=1)
    head_s: float = Field(default=20.0, gt=0)
    body_idle_s: float = Field(default=30.0, gt=0)
    send_idle_s: float = Field(default=30.0, gt=0)
    min_bytes_per_s: float = Field(default=4096.0, gt=0)
    max_writers: int = Field(default=8, ge=1)
    write_wait_s: float = Field(default=10.0, gt=0)
    max_unsent_mb: int = Field(default=256, ge=1)
    mine_out: Path | None = None
    mine_sources: tuple[Path, ...] = ()
    mine_key: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None

    @property
    def audit_file(self) -> Path | None:
        """The file of the audit log; None where none is written."""
        if self.audit_log is None and self.keys is not None:
            return self.keys.with_suffix(".audit.jsonl")
        return self.audit_log

    @property
    def milvus(self) -> MilvusSettings | None:
        """Where the vectors are if not in memory; raises MilvusError for what cannot be."""
        if not self.milvus_uri:
            return None
        return MilvusSettings(self.milvus_uri, self.milvus_collection, self.milvus_token)

    @property
    def models(self) -> ModelFiles:
        """The files of encoder, matcher and detector, and where the encoder runs."""
        return ModelFiles(
            self.encoder,
            self.matcher,
            self.detector,
            self.device,
            vocabulary=self.vocabulary,
        )

    @property
    def most_batch_patches(self) -> int:
        """``batch_patches``, or what suits the device."""
        if self.batch_patches is not None:
            return self.batch_patches
        return 1 if self.device == "cpu" else GPU_BATCH_PATCHES

    def decode_limits(self) -> DecodeLimits:
        """What one upload may cost."""
        return DecodeLimits(
            max_files=self.max_files,
            max_upload_bytes=self.max_body_mb << 20,
            max_slices=self.max_slices,
            max_pixels=self.max_pixels,
            max_inflated_bytes=self.max_volume_mb << 20,
            max_volume_bytes=self.max_volume_mb << 20,
            seconds=self.decode_s,
            memory_bytes=self.decode_memory_mb << 20,
        )
