"""A client of the killed service: it adds and removes its lesions, and notes what it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import cv2
import numpy as np

from benchmarks.service_process import BOUNDARY, form
from retrieval.sources.deeplesion.coding import to_pixels

LESIONS = 8
"""Lesions of each client."""

SIDE = 96

Told = dict[int, str | None]
"""Lesion number to the tag it was last added with; None where it is not there."""


@dataclass
class Client:
    """One client: its lesions, what it was told of them, and what it does not know."""

    number: int
    port: int
    told: Told
    rng: np.random.Generator
    in_flight: tuple[int, str | None] | None = None
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    is_stopped: bool = False

    def run(self) -> None:
        """Adds and removes until the service is gone."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        step = 0
        while not self.is_stopped:
            lesion = int(self.rng.integers(LESIONS)) + self.number * LESIONS
            step += 1
            wanted = f"v{step}-{self.rng.integers(1 << 30)}" if self.rng.random() < 0.6 else None
            self.in_flight = (lesion, wanted)
            try:
                status = self._ask(connection, lesion, wanted)
            except (OSError, HTTPException):
                return
            self._note(status, lesion, wanted)
            self.in_flight = None

    def _ask(self, connection: HTTPConnection, lesion: int, wanted: str | None) -> int:
        if wanted is None:
            connection.request("DELETE", f"/v1/lesions/{lesion_id(lesion)}")
        else:
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            connection.request(
                "POST", "/v1/lesions", body=addition(lesion, wanted), headers=headers
            )
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def _note(self, status: int, lesion: int, wanted: str | None) -> None:
        self.answers[f"{'add' if wanted else 'remove'} {status}"] += 1
        if status in (201, 204):
            self.told[lesion] = wanted
        elif status == 404 and self.told.get(lesion) is not None:
            self.unexpected.append(f"lesion {lesion} was acknowledged and not found")
        elif status not in (404, 503, 507):
            self.unexpected.append(f"status {status}")


def lesion_id(number: int) -> str:
    """The id that the service makes of a lesion's series, slice and box."""
    return f"S{number}_001_x48_y50"


def addition(number: int, tag: str) -> bytes:
    """The form that adds a lesion; its pixels follow from its number and tag."""
    encoded, png = cv2.imencode(".png", to_pixels(slice_of(number, tag)))
    assert encoded
    fields: dict[str, str | bytes] = {
        "file": png.tobytes(),
        "box": "40,42,56,58",
        "spacing": "0.9,0.9,2.5",
        "patient_id": f"P{number % 3}",
        "study_id": f"P{number % 3}_{number}",
        "series_id": f"S{number}",
        "tags": tag,
    }
    return form(fields)


def slice_of(number: int, tag: str) -> np.ndarray:
    """A slice like CT (96, 96), in whole HU, that no other lesion or version has."""
    rng = np.random.default_rng([number, *tag.encode()])
    rows, columns = np.mgrid[:SIDE, :SIDE]
    body = ((columns - 48) / 44) ** 2 + ((rows - 48) / 36) ** 2 < 1
    lesion = ((columns - 48) / 7) ** 2 + ((rows - 50) / 7) ** 2 < 1
    plane = np.where(body, 40.0, -1000.0) + np.where(lesion, 60.0, 0.0)
    return np.rint(plane + rng.normal(0, 20, plane.shape) * body)
