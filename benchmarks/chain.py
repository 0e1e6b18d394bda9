"""The whole chain: marks mined, categories without labels, a detector trained on them, scored.

    python benchmarks/chain.py --out runs/chain
    python benchmarks/chain.py --out runs/chain --orthanc http://127.0.0.1:8042/dicom-web

Phantom patients lie as DICOM with their marks (SR, GSPS, SEG, RTSTRUCT in turn) in folders, or are
stored in an Orthanc, whose credentials are LESION_SEARCH_PACS_USER and _PASSWORD. From there each
step is a command of the product: mine, index build, categorize, train detector, evaluate detection.
Two detectors are trained at equal steps and seeds, with one class and with the categories as
classes; ``--hidden`` takes a share of the marks away, ``--set section.key=value`` changes both.
What is done is not run again. From the bundled detector's weights a few steps find lesions:

    python benchmarks/chain.py --out runs/chain --recipe small --hidden 0.5 --steps 100 \
        --set start=retrieval/weights/detector.safetensors --set start_partly=true \
        --set augment.crop_px=128 --set optimiser.backbone_rate=3e-5 --set optimiser.head_rate=3e-4

Writes OUT/chain.json (the commands, their seconds, what they answered) and OUT/chain.png (the
sheet of categories beside the sensitivities by category). The categories are found over all
lesions, those of the scored patients too, without a label; detectors see the train split alone.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import zlib
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import matplotlib.image
from matplotlib.figure import Figure
from pydicom.dataset import Dataset

from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.synthesis.phantom.patient import PhantomPatient, make_patient
from service.cli import main as run_command
from tests.service.dicom_samples import SeriesLabels, ct_series, write_files
from tests.service.jobs.mining.carriers import WRITERS, write_marks
from tests.service.jobs.mining.drawn import Drawn, uid_of
from tests.service.pacs.orthanc.phantom_study import stacked

CARRIERS = ("sr", "gsps", "seg", "rtstruct")
KINDS = ("one class", "categories")
RATES = (0.5, 1, 2, 4, 8, 16)
STUDY_DAYS = 60


def main() -> None:
    """Runs what is missing, step by step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--size", type=int, default=256, help="rows and columns of a phantom")
    parser.add_argument("--steps", type=int, default=200, help="of each detector's training")
    parser.add_argument("--recipe", default="tiny")
    parser.add_argument("--slices", type=int, default=4, help="of a batch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--count", type=int, default=4, help="categories")
    parser.add_argument("--hidden", type=float, default=0.0, help="share of marks taken away")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, of each")
    parser.add_argument("--orthanc", help="DICOMweb URL of a PACS to fill and mine")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    log = Log(chosen.out / "chain.json")
    source = hospital(chosen)
    archive, index, categories, sheet = (
        chosen.out / name for name in ("archive", "index", "categories.json", "categories.png")
    )
    log.step("mine", archive / "DL_info.csv", ["mine", *source, "--out", archive, *PLAIN])
    log.step(
        "index",
        index / "built",
        ["index", "build", "--archive", archive, "--out", index],
        done=True,
    )
    words = ["categorize", "--index", index, "--archive", archive, "--out", categories]
    log.step("categorize", sheet, [*words, "--count", chosen.count, "--figure", sheet])
    for seed in chosen.seeds:
        for kind in chosen.kinds:
            detect(log, chosen, kind, seed)
    if "categories" in chosen.kinds:
        draw(log.entries, chosen.seeds[0], sheet, chosen.out / "chain.png")


PLAIN = ("--own-ids", "--no-locate", "--no-propose")
"""Phantoms have no names to hide and no body like the atlas; their marks are drawn."""


class Log:
    """What was run; written after every step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def step(
        self, name: str, output: Path, words: Sequence[object], *, done: bool = False
    ) -> dict[str, Any]:
        """A command's answer; with ``done`` its output is marked by a file of this script."""
        if name not in self.entries or not output.exists():
            line = [str(word) for word in words]
            print("lesion-search", *line, flush=True)
            start = time.monotonic()
            with redirect_stdout(io.StringIO()) as printed:
                status = run_command([*line, "--json"])
            if status:
                raise SystemExit(status)
            answer = json.loads(printed.getvalue())
            if done:
                output.touch()
            self.entries[name] = {
                "command": " ".join(["lesion-search", *line]),
                "seconds": round(time.monotonic() - start, 1),
                "answer": answer,
            }
            self.path.write_text(json.dumps(self.entries, indent=1) + "\n", encoding="utf-8")
        return dict(self.entries[name]["answer"])


def hospital(chosen: argparse.Namespace) -> list[str]:
    """The phantoms as DICOM with marks; where ``mine`` finds them."""
    folder, config = chosen.out / "hospital", PhantomConfig(chosen.patients, 900, 1, chosen.size)
    for number in range(1, chosen.patients + 1):
        stored = folder / f"{number}.stored"
        if stored.exists():
            continue
        for place, (images, drawn) in enumerate(studies(number, make_patient(config, number))):
            carrier = CARRIERS[(number + place) % len(CARRIERS)]
            if chosen.orthanc:
                _store(chosen.orthanc, [*images, *WRITERS[carrier](drawn)])
            else:
                write_files(images, folder / f"{number}-{place}")
                write_marks(carrier, drawn, folder / f"{number}-{place}")
        folder.mkdir(exist_ok=True)
        stored.touch()
    return ["--pacs", chosen.orthanc] if chosen.orthanc else [str(folder)]


def studies(number: int, patient: PhantomPatient) -> list[tuple[list[Dataset], list[Drawn]]]:
    """Each study of a phantom patient: its slices, and its lesions drawn, a UID a track."""
    found = []
    for study in sorted({run.study for run in patient.images}):
        lesions = [one for one in patient.lesions if one.row.study == study]
        if not lesions:
            continue
        numbers, hu = stacked(patient, study)
        row = lesions[0].row
        day = date(2021, 1, 5) + timedelta(days=STUDY_DAYS * study)
        labels = SeriesLabels(f"CHAIN-{number}", str(study), day)
        spacing, interval = row.spacing_mm_px, row.slice_interval_mm
        images = ct_series(hu, labels, spacing_mm_px=spacing, interval_mm=interval)
        for image, slice_number in zip(images, numbers, strict=True):
            image.ImagePositionPatient[2] = -900.0 - interval * slice_number
        drawn = [
            Drawn(
                images[numbers.index(one.row.key_slice)],
                one.row.recist,
                one.track_id,
                uid_of("track", one.track_id),
                one.row.lesion_type,
            )
            for one in lesions
        ]
        found.append((images, drawn))
    return found


def _store(url: str, datasets: Sequence[Dataset]) -> None:
    from service.pacs.client import PacsClient
    from service.pacs.settings import PacsSettings

    PacsClient(PacsSettings(url=url)).store(datasets)


def detect(log: Log, chosen: argparse.Namespace, kind: str, seed: int) -> None:
    """Trains a detector and scores it on the patients that it did not see."""
    archive, categories = chosen.out / "archive", chosen.out / "categories.json"
    told = f", {' '.join(chosen.set)}" if chosen.set else ""
    which = f"-{zlib.crc32(told.encode()):08x}" if told else ""
    run = chosen.out / f"{kind.replace(' ', '-')}-{seed}-{chosen.steps}-{chosen.hidden:g}{which}"
    changes = {
        "seed": seed,
        "optimiser.steps": chosen.steps,
        "optimiser.slices": chosen.slices,
        "data.hidden": chosen.hidden,
        "data.backgrounds": "[]",
        "missing.remedy": "ignore" if chosen.hidden else "none",
    }
    if kind == "categories":
        changes["data.categories"] = categories
    changes |= dict(change.split("=", 1) for change in chosen.set)
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    words = ["train", "detector", "--archive", archive, "--recipe", chosen.recipe, "--out", run]
    weights = run / "detector.safetensors"
    name = f"{kind}, seed {seed}, {chosen.steps} steps, {chosen.hidden:g} hidden{told}"
    log.step(f"train {name}", weights, [*words, "--device", "cpu", *sets])
    words = ["evaluate", "detection", "--archive", archive, "--detector", weights]
    words += ["--split", "val,test", "--categories", categories, "--figure", run / "froc.png"]
    report = log.step(f"evaluate {name}", run / "froc.png", words)
    for method, scores in report["methods"].items():
        print(name, method, scores["groups"]["all"]["mean of 0.5, 1, 2, 4"], flush=True)


def draw(entries: dict[str, Any], seed: int, sheet: Path, out: Path) -> None:
    """The sheet of categories, and sensitivity over false positives by category."""
    figure = Figure(figsize=(17, 7))
    left = figure.add_axes((0.0, 0.02, 0.6, 0.94))
    left.imshow(matplotlib.image.imread(sheet))
    left.set_axis_off()
    key = next(x for x in reversed(entries) if x.startswith(f"evaluate categories, seed {seed}"))
    report = entries[key]["answer"]
    groups = report["methods"][report["detector"]]["groups"]
    axes = figure.add_axes((0.66, 0.12, 0.32, 0.78))
    for name, scores in groups.items():
        if name == "all" or name.startswith("category"):
            values = [scores[f"at {rate:g} FP"]["value"] for rate in RATES]
            axes.plot(RATES, values, "-o", lw=3 if name == "all" else 1.2, label=name)
    axes.set_xscale("log", base=2)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("false positives a key slice")
    axes.set_ylabel("sensitivity (IoU 0.5)")
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.set_title("Detector of mined categories on unseen phantoms", fontsize=10)
    axes.legend(fontsize=8)
    figure.text(0.66, 0.02, "Phantoms. Research use only. Not a medical device.", fontsize=8)
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
