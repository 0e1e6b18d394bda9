"""generate_archive: phantom patients to disk, in DeepLesion's own layout."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from retrieval.sources.deeplesion.writer import DeepLesionWriter
from retrieval.sources.errors import ArchiveError
from retrieval.sources.folder_lock import alone_in
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.synthesis.phantom.patient import PhantomPatient, make_patient


@dataclass(frozen=True, slots=True)
class PhantomProgress:
    """How far a generation is: patients on disk, patients asked for, lesions so far."""

    patients_done: int
    patients: int
    lesions: int
    seconds: float


ProgressCallback = Callable[[PhantomProgress], None]


def generate_archive(
    root: Path,
    *,
    patients: int,
    seed: int,
    first_patient: int = 1,
    progress: ProgressCallback | None = None,
    workers: int = 1,
) -> None:
    """Writes an archive of phantom patients to ``root``; goes on where a killed run stopped.

    Args:
        root: folder of the archive; made if it is not there.
        patients: how many patients.
        seed: of everything random. The same seed gives the same bytes.
        first_patient: number of the first patient.
        progress: called after each patient.
        workers: processes; the result does not depend on their number.

    Raises:
        PhantomError: a number that cannot be.
        ArchiveError: ``root`` holds tables of another layout, or another run writes to it.
    """
    config = PhantomConfig(patients=patients, seed=seed, first_patient=first_patient)
    write_archive(root, config, progress=progress, workers=workers)


def write_archive(
    root: Path,
    config: PhantomConfig,
    *,
    progress: ProgressCallback | None = None,
    workers: int = 1,
) -> None:
    """The same from a PhantomConfig."""
    started = time.monotonic()
    busy = ArchiveError(
        f"another run draws phantoms into {root}: wait for it, or name another folder"
    )
    with alone_in(root, busy), DeepLesionWriter(root) as writer:
        done = writer.patients_done()
        missing = [number for number in config.patient_numbers if number not in done]
        finished, lesions = config.patients - len(missing), 0
        for patient in _made(config, missing, workers):
            for images in patient.images:
                writer.write_slices(images)
            for marked in patient.lesions:
                writer.add_row(marked.row, track_id=marked.track_id, attributes=marked.attributes)
            finished, lesions = finished + 1, lesions + len(patient.lesions)
            if progress is not None:
                seconds = time.monotonic() - started
                progress(PhantomProgress(finished, config.patients, lesions, seconds))


def _made(config: PhantomConfig, numbers: list[int], workers: int) -> Iterator[PhantomPatient]:
    """The patients in the order of their numbers."""
    if workers <= 1 or len(numbers) < 2:
        yield from (make_patient(config, number) for number in numbers)
        return
    # Spawned, not forked: the caller may hold threads (torch, OpenCV) that a fork would break.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_begin_work) as pool:
        yield from pool.imap(partial(make_patient, config), numbers)


def _begin_work() -> None:
    """One thread each; Ctrl-C is for the process that started them, which ends them."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
