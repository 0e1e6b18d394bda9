"""The map of thousands of lesions: what the server needs for it, and how smoothly it moves.

    python -m benchmarks.map_page [--lesions 5000 20000] [--out REPORT.json]

Fills an index with made-up vectors in clusters, serves it, and opens the page's map in headless
Chromium without a GPU at 1280 x 800. Reported are the first answer of ``GET /v1/map`` (the points
are computed) and a later one, the time until the page shows the map, and the time from frame to
frame while the wheel zooms in and out, and while the pointer passes over the points. A screen that
shows 60 frames a second has one every 16.7 ms; what is longer is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from service.engine.search_engine import binding_of, open_engine
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.browser import ARGUMENTS, CHROMIUM, serving

RESULT = Path(__file__).parent / "results" / "map_page.json"
FRAMES = 120
TYPES = list(LesionType)
WIDTH, HEIGHT = 1280, 800

TIME_FRAMES = """
async ([gesture, frames]) => {
  const canvas = document.querySelector("canvas[aria-label^='Map']");
  const box = canvas.getBoundingClientRect();
  const across = (share) => ({
    clientX: box.x + box.width * share, clientY: box.y + box.height / 2,
    bubbles: true, cancelable: true,
  });
  const gestures = {
    zoom: (n) => new WheelEvent("wheel", { ...across(0.5), deltaY: n < frames / 2 ? -40 : 40 }),
    point: (n) => new PointerEvent("pointermove", across(0.2 + 0.6 * n / frames)),
  };
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < frames; n += 1) {
    canvas.dispatchEvent(gestures[gesture](n));
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}
"""


def main() -> None:
    """Measures each size and writes the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lesions", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    report: dict[str, Any] = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for count in options.lesions:
            with tempfile.TemporaryDirectory() as folder:
                report[str(count)] = measured(Path(folder) / "index", count, browser)
        browser.close()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def measured(folder: Path, count: int, browser: Browser) -> dict[str, Any]:
    """The times of one index of that many lesions."""
    with LesionIndex.create(folder, binding_of(LesionEncoder.load())) as index:
        index.add(made_up(count, index.binding.dimension))
    engine = open_engine(folder)
    with engine.index, serving(create_app(Settings(index=folder), engine=engine)) as address:
        first, size = asked(address)
        later, _ = asked(address)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        start = time.perf_counter()
        page.goto(f"{address}/#/map")
        page.wait_for_selector(".legend-row")
        shown = time.perf_counter() - start
        zooming = frame_times(page.evaluate(TIME_FRAMES, ["zoom", FRAMES]))
        pointing = frame_times(page.evaluate(TIME_FRAMES, ["point", FRAMES]))
        page.close()
    return {
        "first_answer_ms": round(first * 1000),
        "later_answer_ms": round(later * 1000),
        "answer_kb": size >> 10,
        "page_shown_ms": round(shown * 1000),
        "frame_ms_while_zooming": zooming,
        "frame_ms_while_pointing": pointing,
    }


def asked(address: str) -> tuple[float, int]:
    """Seconds and bytes of one answer of ``GET /v1/map``."""
    start = time.perf_counter()
    with urllib.request.urlopen(f"{address}/v1/map") as answer:
        size = len(answer.read())
    return time.perf_counter() - start, size


def frame_times(times: list[float]) -> dict[str, float]:
    """Milliseconds from frame to frame."""
    return {f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 95, 100)}


def made_up(count: int, dimension: int) -> Iterator[LesionRecord]:
    """Lesions of eight types, each type a cloud of vectors of its own, eight to a patient."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(TYPES), dimension))
    for number in range(count):
        kind = int(rng.integers(len(TYPES)))
        vector = centres[kind] + rng.normal(size=dimension)
        vector /= np.linalg.norm(vector)
        patient = f"{number // 8:06d}"
        lesion = Lesion(
            lesion_id=f"{patient}_{number:07d}",
            patient_id=patient,
            study_id=f"{patient}_01",
            series_id=f"{patient}_01_01",
            key_slice_index=number,
            box=Box(100, 100, 130, 128),
            long_mm=float(rng.uniform(5, 80)),
            short_mm=5.0,
            lesion_type=TYPES[kind],
        )
        source = ImageSource("none", "none.png", (0.8, 0.8), 5.0)
        yield LesionRecord(lesion, vector.astype(np.float32), source)


if __name__ == "__main__":
    main()
