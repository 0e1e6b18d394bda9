"""Mining as a job: where its work is kept, under which names, and how lesions are located."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.detection.proposals import SliceDetector
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.progress import ReportProgress
from retrieval.sources.mining.planes import MarkedSource
from retrieval.sources.mining.proposing import BoxProposer, SizedBox
from retrieval.sources.mining.tools import Locate, MiningOptions
from retrieval.sources.mining.verdict_line import Naming
from service.deid.pseudonyms import Identities, OwnIdentities, PseudonymKey
from service.engine.lesion_location import LesionLocator
from service.jobs.mining.layout import work_folder
from service.jobs.mining.run import MiningReport, MiningRunError, MiningSetup, mine_marks

if TYPE_CHECKING:
    from retrieval.sources.mining.tools import Triple

KEY_NAME = "pseudonyms.key"


@dataclass(frozen=True)
class MiningJob:
    """Where and how marks are mined.

    Attributes:
        out: the archive's folder.
        options: what a user chooses.
        identities: names of patients, UIDs and days in the archive.
        locator: estimates body positions; None leaves lesions without.
        detector: loads what proposes boxes for words that draw nothing, when such words first
            come; None leaves them waiting.
    """

    out: Path
    identities: Identities
    options: MiningOptions = field(default_factory=MiningOptions)
    locator: LesionLocator | None = None
    detector: Callable[[], SliceDetector | None] | None = None

    @property
    def work(self) -> Path:
        """The folder beside the archive with all that names patients."""
        return work_folder(self.out)

    def run(self, source: MarkedSource, *, progress: ReportProgress | None = None) -> MiningReport:
        """Mines a source; errors are those of ``mine_marks``.

        Raises MiningRunError too where a folder or the disk cannot be written.
        """
        from retrieval.sources.marks.meaning.judging import judge_marks

        plain = isinstance(self.identities, OwnIdentities)
        setup = MiningSetup(
            Naming(self.identities, plain),
            judge_marks,
            self.options,
            _locating(self.locator),
            _proposing(self.detector),
        )
        try:
            return mine_marks(source, self.out, self.work, setup, progress=progress)
        except (OSError, sqlite3.OperationalError) as wrong:
            raise _unwritable(self.out, wrong) from wrong


def identities_of(out: Path, key: Path | None, *, own_ids: bool = False) -> Identities:
    """The names of an archive: under a key, under the work folder's own key, or none.

    Without ``key`` a key is made in the work folder at the first run and found there by the next.

    Raises PseudonymError for a key that cannot be used, MiningRunError for a folder that cannot.
    """
    if own_ids:
        return OwnIdentities()
    if key is not None:
        return PseudonymKey.load(key)
    folder = work_folder(out)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = folder / KEY_NAME
        return PseudonymKey.load(kept) if kept.exists() else PseudonymKey.create(kept)
    except OSError as wrong:
        raise _unwritable(out, wrong) from wrong


def _unwritable(out: Path, wrong: OSError | sqlite3.OperationalError) -> MiningRunError:
    why = " ".join(str(wrong).split())
    return MiningRunError(
        f"{out} and {work_folder(out).name} beside it cannot be read or written ({why}): choose "
        "another --out, or free space; the next run goes on where this one was"
    )


def _locating(locator: LesionLocator | None) -> Locate | None:
    if locator is None:
        return None

    def locate(slab: Slab, box: Box) -> tuple[Triple, Triple] | None:
        found = locator.locate_lesion(slab, box)
        return None if found is None else (found.location, found.error)

    return locate


def _proposing(
    load: Callable[[], SliceDetector | None] | None,
) -> Callable[[], BoxProposer | None] | None:
    if load is None:
        return None

    @cache
    def proposer() -> BoxProposer | None:
        detector = load()
        if detector is None:
            return None
        return BoxProposer(partial(_boxes, detector), detector.half_depth_mm)

    return proposer


def _boxes(detector: SliceDetector, slab: Slab) -> list[SizedBox]:
    return [
        SizedBox(one.box, one.score, one.long_mm)
        for one in detector.detect(slab)
        if one.long_mm is not None
    ]
