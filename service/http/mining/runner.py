"""MiningRunner: the one mining run of a service, started, watched and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError
from service.http.mining.worker import LAYOUT_NAME, REPORT_NAME, SHEET_NAME
from service.http.settings import Settings
from service.jobs.mining.layout import VERDICTS_NAME, work_folder
from service.pacs.settings import PacsSettings

END_S = 10.0
"""A run that is cancelled has so long to end by itself."""


class MiningJobError(LesionSearchError):
    """A mining run that cannot be started now."""


class MiningNotSetUpError(MiningJobError):
    """A service without an archive to mine into, or without the source that is asked for."""


class MiningState(StrEnum):
    """What a run is doing."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class MiningOrder:
    """What a client may choose of a run; folders, PACS and archive are the operator's.

    Attributes:
        source: ``folders`` or ``pacs``.
        singles: policy of lines without a partner.
        arrows: keep arrows and points.
        segments: names of segments and regions that are lesions.
        pixels: write slices; without them the archive is its table alone.
        propose: a detector's box for words that draw nothing.
        locate: estimate body positions.
    """

    source: str = "folders"
    singles: str = "reject"
    arrows: bool = False
    segments: tuple[str, ...] = ()
    pixels: bool = True
    propose: bool = True
    locate: bool = True


@dataclass(frozen=True)
class MiningStatus:
    """How far a run is.

    Attributes:
        state: what it is doing.
        source: folders or pacs; empty before the first run of this service.
        done, total: of files or carriers first, then of patients; 0 where nothing is known.
        started, ended: UTC; None where it was not yet.
        error: why it failed.
        report: what stands in the archive after the last run that was done, also of an earlier
            start of the service; None where there was none.
    """

    state: MiningState = MiningState.IDLE
    source: str = ""
    done: int = 0
    total: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
    report: dict[str, Any] | None = field(default=None, hash=False)


class MiningRunner:
    """Runs one order at a time in a process of its own; safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._status = MiningStatus()
        self._process: subprocess.Popen[str] | None = None
        self._watcher: threading.Thread | None = None

    @property
    def has_archive(self) -> bool:
        """Whether there is an archive to mine into."""
        return self._settings.mine_out is not None

    @property
    def has_folders(self) -> bool:
        """Whether there are folders to mine."""
        return bool(self._settings.mine_sources)

    @property
    def out(self) -> Path:
        """The archive; raises MiningNotSetUpError without one."""
        if self._settings.mine_out is None:
            raise MiningNotSetUpError(
                "this service mines into no archive: start it with LESION_SEARCH_MINE_OUT"
            )
        return self._settings.mine_out

    @property
    def sheet(self) -> Path:
        """The picture of the last run, which may not be there."""
        return work_folder(self.out) / SHEET_NAME

    @property
    def layout(self) -> dict[str, Any] | None:
        """Where the tiles of that picture are, as in SheetLayout; None where nothing says so."""
        with suppress(OSError, ValueError):
            path = work_folder(self.out) / LAYOUT_NAME
            return dict(json.loads(path.read_text(encoding="utf-8")))
        return None

    @property
    def verdicts(self) -> Path:
        """``mined.jsonl``, which may not be there."""
        return self.out / VERDICTS_NAME

    def status(self) -> MiningStatus:
        """How far the run is; raises MiningNotSetUpError."""
        out = self.out
        with self._lock:
            found = self._status
        if found.report is not None:
            return found
        with suppress(OSError, ValueError):
            path = work_folder(out) / REPORT_NAME
            return replace(found, report=json.loads(path.read_text(encoding="utf-8")))
        return found

    def start(self, order: MiningOrder) -> MiningStatus:
        """Starts a run; raises MiningJobError where one is running, MiningNotSetUpError."""
        told = self._told(order)
        with self._lock:
            if self._status.state is MiningState.RUNNING:
                raise MiningJobError("a mining run is going on: wait for it, or cancel it")
            # Threads of libraries would take the cores of whoever searches meanwhile.
            threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
            process = subprocess.Popen(
                [sys.executable, "-m", "service.http.mining.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **threads},
                text=True,
            )
            assert process.stdin is not None
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            self._process = process
            now = datetime.now(UTC)
            self._status = MiningStatus(MiningState.RUNNING, order.source, started=now)
            self._watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
            self._watcher.start()
        return self.status()

    def cancel(self) -> MiningStatus:
        """Ends the run, if one is going on; what it has done stays, the next one goes on."""
        with self._lock:
            process = self._process
            if self._status.state is not MiningState.RUNNING or process is None:
                return self._status
            self._end(MiningState.CANCELLED)
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return self.status()

    def close(self) -> None:
        """Ends the run with the service."""
        self.cancel()
        if self._watcher is not None:
            self._watcher.join(END_S)

    def _told(self, order: MiningOrder) -> dict[str, Any]:
        out, settings = self.out, self._settings
        folders = [str(one) for one in settings.mine_sources]
        if order.source == "folders" and not folders:
            words = "this service has no folders to mine: start it with LESION_SEARCH_MINE_SOURCES"
            raise MiningNotSetUpError(words)
        if order.source == "pacs" and PacsSettings().url is None:
            raise MiningNotSetUpError("this service was started without a PACS")
        return {
            "out": str(out),
            "sources": folders if order.source == "folders" else [],
            "key": None if settings.mine_key is None else str(settings.mine_key),
            "detector": None if settings.detector is None else str(settings.detector),
            "singles": order.singles,
            "arrows": order.arrows,
            "segments": list(order.segments),
            "pixels": order.pixels,
            "propose": order.propose,
            "locate": order.locate,
        }

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Reads what the process tells until it ends."""
        for event in _events(process):
            with self._lock:
                if self._process is not process or self._status.state is not MiningState.RUNNING:
                    continue
                if event["event"] == "progress":
                    done, total = int(event["done"]), int(event["total"])
                    self._status = replace(self._status, done=done, total=total)
                elif event["event"] == "done":
                    self._end(MiningState.DONE, report=event["report"])
                else:
                    self._end(MiningState.FAILED, error=str(event["error"]))
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with self._lock:
            if self._process is process and self._status.state is MiningState.RUNNING:
                words = f"the process ended with {code}; the next run goes on where it was"
                self._end(MiningState.FAILED, error=words)

    def _end(self, state: MiningState, **changes: Any) -> None:
        self._status = replace(self._status, state=state, ended=datetime.now(UTC), **changes)


def _events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            if told["event"] in {"progress", "done", "failed"}:
                yield told
