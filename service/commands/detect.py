"""``lesion-search detect``: where lesions may be, on one slice or in a whole series."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.detection.proposals import LEAST_SHOWN_SCORE, SHOWN
from retrieval.grid import Grid
from retrieval.lesion import Box, LesionSearchError
from service.commands.option_groups import with_groups
from service.commands.options import DetectorOption, ImageOptions, JsonFlag
from service.console import answer, answer_json, progress_bar, say, warn

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.detection.proposals import SliceDetector
    from retrieval.image import Slab

MOST_PROPOSALS = 100
"""More than a detector gives on a slice."""

SHOWN_OF_SERIES = 10

WHOLE_SERIES_MM = 1e6
"""A depth that no series reaches."""


class DetectCommandError(LesionSearchError):
    """Options of ``detect`` that cannot be followed."""


@dataclass(frozen=True)
class ReadSlab:
    """An image on disk as CT, and the milliseconds that reading took."""

    slab: Slab
    read_ms: float


@dataclass(frozen=True)
class _Shown:
    """How many proposals are answered, and from which score on."""

    limit: int
    min_score: float

    @classmethod
    def of(cls, limit: int | None, min_score: float | None, *, usual: int, every: bool) -> _Shown:
        """What is asked for; ``usual`` is the limit where none is."""
        return cls(
            limit=limit or usual,
            min_score=min_score if min_score is not None else (0.0 if every else LEAST_SHOWN_SCORE),
        )


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("detect")(with_groups(detect))


def detect(
    *,
    image: Annotated[
        Path,
        typer.Argument(
            help="A 16-bit PNG (HU + 32768) or a folder of them, a DICOM file or a folder with "
            "one series, or a volume: NIfTI, NRRD, MetaImage."
        ),
    ],
    reading: ImageOptions,
    all_slices: Annotated[
        bool, typer.Option("--all-slices", help="Scan the whole series; join boxes across slices.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Answer every proposal, however unlikely.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Largest number of proposals; default {SHOWN}, of a series 10."),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help=f"Leave out proposals below this score; default {LEAST_SHOWN_SCORE}.",
        ),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(help="Only proposals of this category or lesion type; the detector needs it."),
    ] = None,
    detector: DetectorOption = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the slices: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose boxes that may hold a lesion, best first. Many proposals are no lesions.

    A score is the probability that the box is a lesion, as far as validation patients tell it.
    Coordinates are 0-based: (0, 0) is the centre of the top-left pixel.
    """
    from retrieval.sources.query_image import open_query_image
    from service.engine.detectors import detector_in_use, of_one_kind

    if all_slices and reading.key_slice is not None:
        raise DetectCommandError("--all-slices looks at every slice: leave --key-slice out")
    proposer = detector_in_use(detector)
    if proposer is None:
        raise DetectCommandError(
            "no detector is bundled with this installation: give one with --detector"
        )
    if category is not None:
        proposer = of_one_kind(proposer, category)
    choice = reading.choice()
    start = time.perf_counter()
    slab = open_query_image(
        image,
        key_slice_index=choice.key_slice_index,
        spacing_mm=choice.spacing_mm,
        half_depth_mm=WHOLE_SERIES_MM if all_slices else proposer.half_depth_mm,
        series=choice.series,
        assume_hu=choice.assume_hu,
    )
    read = ReadSlab(slab, (time.perf_counter() - start) * 1000)
    usual = SHOWN_OF_SERIES if all_slices else SHOWN
    shown = _Shown.of(limit, min_score, usual=MOST_PROPOSALS if every else usual, every=every)
    if all_slices:
        document, found, boxes = _scanned(proposer, read, shown)
    else:
        document, found, boxes = _on_key_slice(proposer, read, shown)
    warn(slab.notes)
    document["warnings"] = list(slab.notes)
    if figure is not None:
        _save_figure(slab, boxes, proposer.name, figure)
    answer_json(document) if as_json else answer(found, _footer(document))


Numbered = dict[int, list[tuple[int, Box, float]]]
"""Position in the slab -> rank, box and score of what lies there."""


def _on_key_slice(
    proposer: SliceDetector, read: ReadSlab, shown: _Shown
) -> tuple[dict[str, Any], Table, Numbered]:
    from service.engine.results import Candidate, Timing
    from service.figures.tables.result import candidate_table

    start = time.perf_counter()
    proposals = [one for one in proposer.detect(read.slab) if one.score >= shown.min_score]
    proposals = proposals[: shown.limit]
    spent = (time.perf_counter() - start) * 1000
    found = [Candidate.of(one, read.slab.file_spacing_mm_px) for one in proposals]
    document = {
        "grid": Grid.FILE.value,
        "candidates": [candidate.to_json() for candidate in found],
        "detector": {"name": proposer.name, "fingerprint": proposer.fingerprint},
        "key_slice_index": read.slab.key_slice_index,
        "timing_ms": Timing(read=read.read_ms, detect=spent).to_json(),
    }
    boxes = [(rank, one.box, one.score) for rank, one in enumerate(found, start=1)]
    return document, candidate_table(found), {read.slab.key_slice: boxes}


def _scanned(
    proposer: SliceDetector, read: ReadSlab, shown: _Shown
) -> tuple[dict[str, Any], Table, Numbered]:
    from retrieval.detection.volumes import LinkOptions, scan_volume
    from service.engine.results import Timing
    from service.figures.tables.result import volume_table

    start = time.perf_counter()
    options = LinkOptions(min_score=shown.min_score, limit=shown.limit)
    with progress_bar("slices") as progress:
        found = scan_volume(proposer, read.slab, options, progress=progress)
    spent = (time.perf_counter() - start) * 1000
    document = {
        "grid": Grid.FILE.value,
        "candidates": [candidate.to_json() for candidate in found],
        "detector": {"name": proposer.name, "fingerprint": proposer.fingerprint},
        "slices": len(read.slab.hu),
        "timing_ms": Timing(read=read.read_ms, detect=spent).to_json(),
    }
    boxes: Numbered = {}
    for rank, one in enumerate(found, start=1):
        position = read.slab.grid.to_display_slice(one.key_slice_index)
        boxes.setdefault(position, []).append((rank, one.box, one.score))
    return document, volume_table(found), boxes


def _footer(document: dict[str, Any]) -> str:
    where = (
        f"slice {document['key_slice_index']}"
        if "key_slice_index" in document
        else f"{document['slices']} slices"
    )
    time_ms = document["timing_ms"]
    return (
        f"{len(document['candidates'])} proposals on {where} by detector "
        f"{document['detector']['name']} in {time_ms['detect']:.0f} ms (read "
        f"{time_ms['read']:.0f} ms). Not a medical device: a proposal is no finding"
    )


def _save_figure(slab: Slab, boxes: Numbered, detector: str, path: Path) -> None:
    from service.figures.detection import draw_proposals
    from service.figures.query import save_figure

    save_figure(draw_proposals(slab, boxes, note=f"detector {detector}"), path)
    say(f"figure: {path}")
