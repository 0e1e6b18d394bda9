"""Which modules an image passes that is posted to the service with a box, and is searched with.

    python benchmarks/posted_image.py --index index --image slice.png --box 210,188,243,221

A module is counted when a function of it runs between the request and its answer: in the
service's threads, and in the process that decodes uploads. The request is sent twice and the
second is counted, when networks and index are loaded. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.testclient import TestClient

import retrieval
from service.decoding import decoder
from service.http.app import create_app
from service.http.settings import Settings

ROOT = Path(retrieval.__file__).parents[1]
PACKAGES = tuple(str(ROOT / name) + os.sep for name in ("retrieval", "index", "service"))
CHILD = """
import os, sys
told = os.environ.get("PASSED_MODULES", "")
roots = tuple(os.environ.get("PASSED_ROOTS", "").split(os.pathsep))
def note(frame, event, _, seen=set()):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(roots) and name not in seen and os.path.exists(told):
        seen.add(name)
        with open(told, "a") as file:
            file.write(name + "\\n")
if told:
    sys.setprofile(note)
"""
"""What a decoder's process does at its start: it notes what it passes once the file is there."""


class Passed:
    """Files of the project whose functions ran while it was listening."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.is_listening = False

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """The profile function of every thread."""
        code = frame.f_code
        is_call = self.is_listening and event == "call" and code.co_name != "<module>"
        if is_call and code.co_filename.startswith(PACKAGES):
            self.files.add(code.co_filename)


@contextmanager
def traced_decoders(folder: Path) -> Iterator[Path]:
    """Decoders started within write the files they pass into the one that is given."""
    (folder / "sitecustomize.py").write_text(CHILD)
    told = folder / "passed.txt"
    usual = decoder._environment

    def environment() -> dict[str, str]:
        found = dict(usual())
        paths = [str(folder), str(ROOT), found.get("PYTHONPATH", "")]
        passed = {"PASSED_MODULES": str(told), "PASSED_ROOTS": os.pathsep.join(PACKAGES)}
        return {**found, "PYTHONPATH": os.pathsep.join(paths), **passed}

    decoder._environment = environment
    try:
        yield told
    finally:
        decoder._environment = usual


def passed_modules(index: Path, image: Path, box: str, spacing: str) -> dict[str, Any]:
    """The modules in the service's process and in the decoder's, and how many a folder."""
    passed = Passed()
    threading.setprofile(passed.note)
    app = create_app(Settings(index=index))
    asked = {"box": box, "patient_id": "unknown", "spacing": spacing}
    with tempfile.TemporaryDirectory() as folder, traced_decoders(Path(folder)) as told:
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            while client.get("/readyz").status_code == 503:
                time.sleep(0.2)
            for is_counted in (False, True):
                passed.is_listening = is_counted
                if is_counted:
                    told.touch()
                answer = client.post(
                    "/v1/search", files={"file": (image.name, image.read_bytes())}, data=asked
                )
                if answer.status_code != 200:
                    raise SystemExit(f"the query was answered {answer.status_code}: {answer.text}")
            passed.is_listening = False
        child = set(told.read_text().split())
    threading.setprofile(None)
    both = sorted(_name(file) for file in passed.files | child)
    return {
        "modules": len(both),
        "in_the_service": len(passed.files),
        "in_the_decoder": len(child),
        "packages": dict(sorted(Counter(name.partition(".")[0] for name in both).items())),
        "folders": dict(sorted(Counter(name.rpartition(".")[0] for name in both).items())),
        "names": both,
        "only_in_the_decoder": sorted(_name(file) for file in child - passed.files),
    }


def _name(file: str) -> str:
    return ".".join(Path(file).relative_to(ROOT).with_suffix("").parts)


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--box", required=True)
    parser.add_argument("--spacing", default="0.8,0.8,5", help="of a picture without one, in mm")
    asked = parser.parse_args()
    json.dump(
        passed_modules(asked.index, asked.image, asked.box, asked.spacing), sys.stdout, indent=1
    )
    print()


if __name__ == "__main__":
    main()
