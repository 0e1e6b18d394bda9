"""mine_marks: the marks of a source become an archive, with one verdict each; can be stopped."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.lesion import LesionSearchError
from retrieval.progress import ReportProgress
from retrieval.sources.folder_lock import alone_in
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.options import MarkJudge
from retrieval.sources.marks.verdicts import Verdict
from retrieval.sources.mining.patient import PatientMiner
from retrieval.sources.mining.planes import MarkedSource, SourceUnavailableError
from retrieval.sources.mining.proposing import BoxProposer
from retrieval.sources.mining.tools import (
    Locate,
    MiningOptions,
    MiningTools,
    is_archive,
    open_mined_archive,
)
from retrieval.sources.mining.verdict_line import Naming
from service.jobs.mining.header_index import HeaderIndex, open_work_file
from service.jobs.mining.journal import MiningJournal
from service.jobs.mining.layout import VERDICTS_NAME
from service.jobs.mining.tables import write_names, write_points, write_studies

WORK_NAME = "work.sqlite"

_AT_ONCE = 1000

_log = logging.getLogger(__name__)


class MiningRunError(LesionSearchError):
    """A run that cannot start now."""


@dataclass(frozen=True)
class MiningSetup:
    """How an archive is mined.

    Attributes:
        naming: of identifiers in the archive.
        judge: tells what marks mean.
        options: what a user chooses.
        locate: body positions; None leaves lesions without.
        proposer: loads what finds boxes for words that draw nothing; None leaves them waiting.
    """

    naming: Naming
    judge: MarkJudge
    options: MiningOptions = field(default_factory=MiningOptions)
    locate: Locate | None = None
    proposer: Callable[[], BoxProposer | None] | None = None


@dataclass(frozen=True)
class MiningReport:
    """What stands in the archive after a run.

    Attributes:
        lesions, patients, tracks: in the archive, those of earlier runs included.
        verdicts: how many marks came to which verdict.
        mined_now: patients that this run worked on; 0 where nothing had changed.
        failed: patients whose mining broke off; the next run tries them again.
    """

    lesions: int
    patients: int
    tracks: int
    verdicts: Mapping[str, int]
    mined_now: int
    failed: int = 0

    @property
    def marks(self) -> int:
        """All marks that were judged."""
        return sum(self.verdicts.values())

    def to_json(self) -> dict[str, Any]:
        """The counts by their names."""
        return {
            "lesions": self.lesions,
            "patients": self.patients,
            "tracks": self.tracks,
            "marks": self.marks,
            "verdicts": dict(self.verdicts),
            "patients_mined_now": self.mined_now,
            "patients_failed": self.failed,
        }


def mine_marks(
    source: MarkedSource,
    out: Path,
    work: Path,
    setup: MiningSetup,
    *,
    progress: ReportProgress | None = None,
) -> MiningReport:
    """Mines a source into an archive in DeepLesion's layout.

    Killed at any moment, the same call goes on where it was. Where neither marks nor images have
    changed it writes nothing. A patient with new marks is mined anew as a whole.

    Args:
        source: images and marks.
        out: the archive's folder.
        work: a folder of the run's own, outside of the archive: it holds DICOM's identifiers.
        setup: how.
        progress: told of carriers or files first, then of patients.

    Raises:
        ImporterError: ``out`` is an archive that was not mined with this work folder.
        ArchiveError: the work file is another program's.
        MiningRunError: another run works on the same archive.
    """
    work_file = work / WORK_NAME
    if is_archive(out) and not work_file.exists():
        raise ImporterError(
            f"{out} is an archive that was not mined with {work}: give a new folder, or the work "
            "folder that it was mined with"
        )
    busy = MiningRunError(f"another run of `mine` works in {work}: wait for it, or end it")
    with alone_in(work, busy), closing(open_work_file(work_file)) as connection:
        index, journal = HeaderIndex(connection), MiningJournal(connection)
        source.collect(index, journal, progress)
        _give_to_patients(index, journal, source)
        with open_mined_archive(out) as writer:
            tools = MiningTools(
                index,
                journal,
                source,
                writer,
                setup.naming,
                setup.judge,
                setup.locate,
                setup.proposer,
            )
            mined, failed = _mine_patients(journal, tools, setup.options, progress)
        _write_verdicts(out / VERDICTS_NAME, journal)
        write_studies(out, read_verdicts(journal.verdict_lines()))
        write_points(out, read_verdicts(journal.verdict_lines()))
        write_names(work, journal.all_sketches())
        return _report(journal, mined, failed)


def _give_to_patients(index: HeaderIndex, journal: MiningJournal, source: MarkedSource) -> None:
    """Marks without a patient's id get that of their image, where it is known by now."""
    if "" in journal.patients_with_marks():
        with index.batch():
            journal.take_back("")
    while waiting := journal.without_patient(_AT_ONCE):
        owners = []
        for mark_id, carrier, mark in waiting:
            patient = mark.patient_id.strip() if isinstance(mark, Mark) else ""
            if isinstance(mark, Mark) and not patient and mark.image.sop_uid:
                source.find(mark.image)
                found = index.image(mark.image.sop_uid)
                patient = "" if found is None else found.plane.patient_id.strip()
            owners.append((patient, mark_id, carrier))
        with index.batch():
            journal.give(owners)


def _mine_patients(
    journal: MiningJournal,
    tools: MiningTools,
    options: MiningOptions,
    progress: ReportProgress | None,
) -> tuple[int, int]:
    writer = tools.writer
    miner = PatientMiner(tools, options)
    patients = journal.patients_with_marks()
    mined = failed = 0
    for done, patient in enumerate(patients, start=1):
        state = journal.state_of(patient)
        is_there = state.kept == 0 or state.number in writer.patients_done()
        if is_there and state.digest == journal.digest_of(patient, repr(options)):
            continue
        try:
            found = miner.mine(patient)
        except SourceUnavailableError:
            writer.give_up_patient()
            raise
        except Exception:
            # One patient's images or marks must not keep the others out.
            _log.exception("a patient could not be mined; its marks are tried again next time")
            writer.give_up_patient()
            failed += 1
            continue
        if not found.kept and state.number is not None:
            writer.give_up_patient()
            writer.reopen(state.number)
        digest = journal.digest_of(patient, repr(options))
        with tools.index.batch():
            journal.finish(patient, digest, found)
        mined += 1
        if progress is not None:
            progress(done, len(patients))
    return mined, failed


def _write_verdicts(path: Path, journal: MiningJournal) -> None:
    """All lines or none; an unchanged file is left as it is."""
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for line in journal.verdict_lines():
            file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    if path.exists() and _same(path, unfinished):
        unfinished.unlink()
    else:
        unfinished.replace(path)


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        return all(a == b for a, b in zip(first, second, strict=False))


def _report(journal: MiningJournal, mined: int, failed: int) -> MiningReport:
    verdicts: Counter[str] = Counter()
    lesions = 0
    patients: set[str] = set()
    tracks: set[str] = set()
    for told in read_verdicts(journal.verdict_lines()):
        verdicts[told["verdict"]] += 1
        if lesion_id := told["lesion_id"]:
            lesions += 1
            patients.add(lesion_id.split("_", 1)[0])
            tracks.update(filter(None, [told.get("track_id")]))
    order = {Verdict.KEPT.value: 0, Verdict.PROPOSED.value: 1}
    ordered = dict(
        sorted(verdicts.items(), key=lambda one: (order.get(one[0], 2), -one[1], one[0]))
    )
    return MiningReport(lesions, len(patients), len(tracks), ordered, mined, failed)


def read_verdicts(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The documents of lines of ``mined.jsonl``."""
    for line in lines:
        yield json.loads(line)
