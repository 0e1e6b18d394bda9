"""A real PACS for the tests: Orthanc with its DICOMweb plugin, on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from pydicom.dataset import Dataset

from service.pacs.client import PacsClient
from service.pacs.settings import PacsSettings

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "reader", "correct horse"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Orthanc:
    """A running PACS."""

    root: str

    @property
    def url(self) -> str:
        return f"{self.root}/dicom-web"

    def settings(self, **changes: object) -> PacsSettings:
        given = {"url": self.url, "user": USER, "password": PASSWORD, "timeout_s": 30.0}
        return PacsSettings(**{**given, **changes})

    def client(self, **changes: object) -> PacsClient:
        return PacsClient(self.settings(**changes))

    def store(self, datasets: Sequence[Dataset]) -> None:
        self.client().store(datasets)

    def forget_reports(self) -> None:
        """Removes every structured report: tests begin from images alone."""
        with _session() as session:
            for series in session.get(f"{self.root}/series", timeout=30).json():
                found = session.get(f"{self.root}/series/{series}", timeout=30).json()
                if found["MainDicomTags"].get("Modality") == "SR":
                    session.delete(f"{self.root}/series/{series}", timeout=30)


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Starts Orthanc, waits until it answers, and stops it whatever happens."""
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    port = _free_port()
    storage = folder / "storage"
    storage.mkdir(parents=True)
    settings = {
        "Name": "test",
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            pacs = Orthanc(f"http://127.0.0.1:{port}")
            _wait(pacs, process, folder / "orthanc.log")
            yield pacs
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(pacs: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with _session() as session:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if session.get(f"{pacs.url}/studies", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
    raise RuntimeError(f"Orthanc did not start:\n{log.read_text()[-2000:]}")


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.auth = (USER, PASSWORD)
    return session


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
