"""Requests that nobody would send on purpose: mutated files, and whatever OpenAPI allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from numpy.random import Generator
from pydicom.uid import JPEG2000Lossless, RLELossless

from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import Box
from tests.service import hostile as h
from tests.service.detectors import FixedDetector

ROUTES = ("/v1/search", "/v1/uploads", "/v1/detect", "/v1/lesions")
NOT_THERE = "LESION_SEARCH_PACS_URL"
"""The fuzzed service has no PACS: it says so with 503, and is right."""

Send = Callable[..., Any]


class OverTheWire:
    """Sends to a service on loopback as the test client sends to an application."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._session = requests.Session()

    def __call__(self, method: str, url: str, **parts: Any) -> Any:
        """The answer; status 0 where the connection ended or the request could not be written."""
        if "content" in parts:
            parts["data"] = parts.pop("content")
        try:
            return self._session.request(method, self._address + url, timeout=60, **parts)
        except (requests.RequestException, UnicodeError):
            unanswered = requests.Response()
            unanswered.status_code = 0
            return unanswered


class ForgetfulDetector(FixedDetector):
    """Proposes one box whatever it is shown, and keeps none of it."""

    def __init__(self) -> None:
        super().__init__(Proposal(Box(*(float(edge) for edge in h.BOX.split(","))), 0.9))

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        return self._proposals


@dataclass
class FuzzReport:
    """What was answered: statuses, and every answer that must not be."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, what: str, answer: Any) -> None:
        """Counts an answer; 5xx is a failure but where the service says that it cannot serve."""
        self.statuses[answer.status_code] += 1
        # Busy is said with 503 and when to come back; no PACS with its setting's name.
        is_told = NOT_THERE in answer.text or "retry-after" in answer.headers
        unserved = answer.status_code == 503 and is_told
        if answer.status_code >= 500 and not unserved:
            self.failures.append(f"{answer.status_code} to {what}: {answer.text[:300]}")
        elif answer.status_code >= 400 and "problem+json" not in answer.headers["content-type"]:
            self.failures.append(f"{answer.status_code} to {what} is no problem document")


def honest_files() -> dict[str, bytes]:
    """One file of every accepted kind."""
    compressed = {}
    for name, syntax in (("rle", RLELossless), ("jpeg 2000", JPEG2000Lossless)):
        dataset = h.image()
        dataset.compress(syntax)
        compressed[name] = h.dicom(dataset)
    jpeg = h.with_syntax("1.2.840.10008.1.2.4.70", h.jpeg_lossless(h.plane().view("uint16")))
    return compressed | {
        "jpeg": jpeg,
        "png": h.png(),
        "dicom": h.dicom(),
        "zip": h.zipped({f"{n}.dcm": file for n, file in enumerate(h.series())}),
        "nifti": h.nifti(),
        "nifti.gz": h.gzipped(h.nifti()),
    }


def mutated(content: bytes, others: Mapping[str, bytes], rng: Generator) -> bytes:
    """The file after one to four accidents, most of them near its beginning."""
    spoilt = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        near = min(len(spoilt), int(rng.choice([64, 512, 4096, len(spoilt) or 1])))
        place = int(rng.integers(0, max(near, 1)))
        accident = rng.integers(0, 7)
        if accident == 0 and spoilt:
            spoilt[place % len(spoilt)] ^= 1 << int(rng.integers(0, 8))
        elif accident == 1:
            spoilt[place : place + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
        elif accident == 2:
            del spoilt[int(rng.integers(0, len(spoilt) + 1)) :]
        elif accident == 3:
            spoilt[place:place] = rng.bytes(int(rng.integers(1, 64)))
        elif accident == 4:
            del spoilt[place : place + int(rng.integers(1, 64))]
        elif accident == 5:
            spoilt += spoilt[place : place + 4096]
        else:
            other = others[str(rng.choice(sorted(others)))]
            spoilt[place:] = other[place:]
    return bytes(spoilt)


def fuzz_files(
    send: Send, report: FuzzReport, *, count: int, rng: Generator, files: Mapping[str, bytes]
) -> None:
    """Sends mutated files to every route that takes files."""
    names = sorted(files)
    for _ in range(count):
        name, route = str(rng.choice(names)), str(rng.choice(ROUTES))
        parts = 1 if rng.random() < 0.8 else int(rng.integers(2, 5))
        key = "file" if parts == 1 else "files"
        sent = [(key, ("../x\0", mutated(files[name], files, rng))) for _ in range(parts)]
        fields = dict(_fields(name, route, rng))
        report.note(f"{route} with a spoilt {name}", send("POST", route, files=sent, data=fields))


def _fields(name: str, route: str, rng: Generator) -> Iterator[tuple[str, str]]:
    if "png" in name or rng.random() < 0.05:
        yield "spacing", h.SPACING
    if route in {"/v1/search", "/v1/lesions"}:
        yield "box", h.BOX
    if route == "/v1/lesions":
        yield "patient_id", f"fuzz{rng.integers(0, 9)}"
        yield "study_id", f"fuzz_{rng.integers(0, 9)}"


def fuzz_schema(
    send: Send, report: FuzzReport, *, document: dict[str, Any], examples: int, seeded: int
) -> None:
    """Sends what schemathesis makes of every operation, ``examples`` each."""
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        operation = found.ok()

        @seed(seeded)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(operation.as_strategy())
        def send_one(case: Any) -> None:
            wanted = case.as_transport_kwargs(base_url="http://testserver")
            names = ("method", "url", "params", "headers", "json", "data", "files")
            request = requests.Request(**{n: wanted[n] for n in names if n in wanted}).prepare()
            headers = {n: v for n, v in request.headers.items() if n.lower() != "content-length"}
            url = str(request.url).removeprefix("http://testserver")
            what = f"{request.method} {url[:120]} {(request.body or b'')[:200]!r}"
            report.note(what, send(request.method, url, content=request.body, headers=headers))

        send_one()
