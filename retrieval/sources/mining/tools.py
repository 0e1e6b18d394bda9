"""What mining a patient needs, and what a user chooses of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.sources.deeplesion.coding import TABLE_NAME
from retrieval.sources.deeplesion.writer import DeepLesionWriter
from retrieval.sources.marks.meaning.options import JudgingOptions, MarkJudge
from retrieval.sources.mining.planes import ImageProvider
from retrieval.sources.mining.proposing import BoxProposer
from retrieval.sources.mining.stores import HeaderStore, MarkStore
from retrieval.sources.mining.verdict_line import Naming

PROPOSAL_SCORE = "proposal_score"
"""Attribute of a lesion whose box a detector proposed: the probability of that box."""

Triple = tuple[float, float, float]

Locate = Callable[[Slab, Box], tuple[Triple, Triple] | None]
"""Body position of a box on a slab's key slice with its standard error, None without a body."""


@dataclass(frozen=True)
class MiningOptions:
    """What a user chooses.

    Attributes:
        judging: what marks mean.
        pixels: slices are written; without them the archive is its table alone.
        propose: a detector's box stands for words that draw nothing.
    """

    judging: JudgingOptions = field(default_factory=JudgingOptions)
    pixels: bool = True
    propose: bool = False


def is_archive(out: Path) -> bool:
    """Whether a folder holds an archive's table."""
    return (out / TABLE_NAME).exists()


def open_mined_archive(out: Path) -> DeepLesionWriter:
    """The writer of an archive of marks: who marked one lesion may have left others unmarked."""
    return DeepLesionWriter(out, marks_complete=False)


@dataclass(frozen=True)
class MiningTools:
    """What mining a patient needs.

    Attributes:
        index, journal: what is kept between runs.
        source: where images are read.
        writer: of the archive.
        naming: of identifiers in the archive.
        judge: tells what marks mean.
        locate: body positions; None leaves lesions without.
        proposer: loads what finds boxes for words that draw nothing, when such words first come;
            None leaves them waiting.
    """

    index: HeaderStore
    journal: MarkStore
    source: ImageProvider
    writer: DeepLesionWriter
    naming: Naming
    judge: MarkJudge
    locate: Locate | None = None
    proposer: Callable[[], BoxProposer | None] | None = None
