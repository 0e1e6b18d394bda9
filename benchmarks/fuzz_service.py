"""The service of benchmarks/fuzz.py as a process of its own.

python -m benchmarks.fuzz_service FOLDER PORT    serves a small index of phantoms
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import uvicorn

from benchmarks.health_probe import asked
from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.guards.connections import server_config
from service.http.settings import Settings
from service.jobs.indexing import index_archive
from tests.service.http.fuzzing import ForgetfulDetector
from tests.service.http.guards.listening import free_port
from tests.service.samples import ToyEncoder, write_archive

START_S = 120.0


def serve(folder: Path, port: int) -> None:
    """Serves until it is terminated; slow clients are given up after two seconds."""
    write_archive(folder / "archive")
    encoder = ToyEncoder()
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(folder / "archive"), index, encoder)
        settings = Settings(
            index=index.path,
            port=port,
            max_body_mb=4,
            max_volume_mb=64,
            max_uploads=4,
            decode_s=20,
            decode_memory_mb=1024,
            body_idle_s=2,
            send_idle_s=2,
            head_s=4,
            max_unsent_mb=32,
            shutdown_s=5,
        )
        app = create_app(settings, engine=SearchEngine(encoder, index, ForgetfulDetector()))
        uvicorn.Server(server_config(app, settings)).run()


class FuzzedService:
    """The process, while it is entered; and how quickly it says that it is alive."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.fuzz_service", str(folder), str(self.port)]
        environment = {**os.environ, "LESION_SEARCH_LOG_LEVEL": "error"}
        self._service = subprocess.Popen(command, env=environment)
        self._probe: subprocess.Popen[bytes] | None = None
        self._file = folder / "health.json"

    def __enter__(self) -> FuzzedService:
        deadline = time.monotonic() + START_S
        while asked(self.port, "/readyz") != 200:
            if self._service.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the service did not become ready")
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        family = psutil.Process(self._service.pid).children(recursive=True)
        self._service.terminate()
        try:
            self._service.wait(30)
        except subprocess.TimeoutExpired:
            self._service.kill()
        self.left_behind = len(psutil.wait_procs(family, timeout=10)[1])

    def start_probing(self) -> None:
        """Asks for the health, from a process of its own, until ``health_ms``."""
        command = [sys.executable, "-m", "benchmarks.health_probe", str(self.port)]
        self._probe = subprocess.Popen([*command, str(self._file)])

    def health_ms(self) -> dict[str, float]:
        """Percentiles of the time of ``/healthz`` since ``start_probing``."""
        assert self._probe is not None
        self._probe.terminate()
        self._probe.wait()
        spent = np.array(json.loads(self._file.read_text())) * 1000
        shares = {f"p{share}": float(np.percentile(spent, share)) for share in (50, 90, 99)}
        found = {name: round(value, 1) for name, value in shares.items()}
        return {**found, "max": round(float(spent.max()), 1), "asked": float(len(spent))}

    def usage(self) -> dict[str, int]:
        """Of the service: memory, descriptors, children."""
        process = psutil.Process(self._service.pid)
        children = process.children(recursive=True)
        decoders = [child for child in children if "service.decoding.worker" in child.cmdline()]
        return {
            "memory_mb": process.memory_info().rss >> 20,
            "decoder_memory_mb": sum(child.memory_info().rss for child in decoders) >> 20,
            "descriptors": process.num_fds(),
            "processes": len(children),
            "other_processes": len(children) - len(decoders),
        }


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
