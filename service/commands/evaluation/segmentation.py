"""``lesion-search evaluate segmentation``: masks and measurements against masks of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.evaluation.giving import give
from service.commands.options import JsonFlag, ResamplesOption, SeedOption, parse_splits
from service.console import progress_bar


def segmentation(
    nodules: Annotated[
        Path | None, typer.Option(help="The folder of lung nodules with masks (LIDC-IDRI).")
    ] = None,
    sarcomas: Annotated[
        Path | None, typer.Option(help="The folder of soft-tissue sarcomas with masks.")
    ] = None,
    marked: Annotated[
        Path | None,
        typer.Option(help="A DeepLesion archive whose index.csv names a mask for each lesion."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split of nodules and sarcomas: train, val or test.")
    ] = "test",
    model: Annotated[
        Path | None, typer.Option(help="A mask network (.safetensors). Default: the bundled one.")
    ] = None,
    in_3d: Annotated[bool, typer.Option("--3d/--2d", help="Score volumes too.")] = True,
    jitters: Annotated[
        str, typer.Option(help="Jitters of the marks' end points, mm, comma-separated.")
    ] = "0,0.6,1.2",
    seed: SeedOption = 0,
    resamples: ResamplesOption = 1000,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate masks and measurements: Dice, boundary, diameters, volume, coverage of intervals."""
    from retrieval.evaluation.segmentation.cohort import CohortError, CohortFolders, read_cohort
    from retrieval.evaluation.segmentation.protocol import ProtocolOptions, score_cohort
    from retrieval.evaluation.segmentation.report import SegmentationReport
    from retrieval.lesion import parse_numbers
    from retrieval.segmentation.intervals import bundled_calibration
    from retrieval.segmentation.segmenter import LesionSegmenter

    splits = parse_splits(split)
    if len(splits) != 1:
        raise CohortError(f"--split {split!r}: one of train, val and test is scored at a time")
    cases = read_cohort(CohortFolders(nodules, sarcomas, marked, splits[0]))
    count = jitters.count(",") + 1
    amounts = parse_numbers(jitters, count=count, name="jitters", form="numbers in mm")
    segmenter = LesionSegmenter.load(model)
    with progress_bar("lesions") as progress:
        options = ProtocolOptions(seed, in_3d, progress, amounts)
        rows = score_cohort(cases, segmenter, bundled_calibration(), options)
    settings = {"split": splits[0].value, "seed": seed, "in_3d": in_3d, "jitters_mm": amounts}
    report = SegmentationReport(segmenter.fingerprint, rows, resamples, settings)
    give(report, out, as_json=as_json)
