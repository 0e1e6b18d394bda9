"""``lesion-search evaluate categories``: classes found without labels, against the types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.evaluation.giving import give
from service.commands.options import IndexOption, JsonFlag, ResamplesOption, SeedOption
from service.console import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.lesion_index import LesionIndex
    from retrieval.evaluation.labels.categories import JudgedTracks
    from retrieval.labels.categories.features import FloatArray
    from retrieval.labels.categories.file import CategoryFile
    from retrieval.lesion import Lesion
    from retrieval.sources.archive import Archive


def categories(
    index: IndexOption,
    file: Annotated[
        Path, typer.Option("--categories", help="The categories.json that categorize wrote.")
    ],
    archive: Annotated[
        list[Path] | None,
        typer.Option(
            help="An archive of the index: its tracks, and frozen ImageNet features; may be given "
            "again."
        ),
    ] = None,
    seed: SeedOption = 0,
    resamples: ResamplesOption = 200,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate how categories agree with lesion types and with the source, beside baselines."""
    import numpy as np

    from index.lesion_index import LesionIndex
    from retrieval.evaluation.labels.categories import evaluate_categories
    from retrieval.labels.categories.file import CategoryFile

    found = CategoryFile.read(file)
    with LesionIndex.open(index, read_only=True) as opened:
        judged, vectors = _judged(opened, found, archive or [])
    report = evaluate_categories(
        judged, len(found.names), vectors, np.random.default_rng(seed), resamples=resamples
    )
    give(report, out, as_json=as_json)


def _judged(
    index: LesionIndex, found: CategoryFile, archives: Sequence[Path]
) -> tuple[JudgedTracks, dict[str, FloatArray]]:
    """One lesion a track with its category, and the vectors whose clusters stand beside."""
    import numpy as np

    from retrieval.evaluation.labels.categories import JudgedTracks
    from retrieval.labels.categories.features import CategoryError, by_track
    from retrieval.sources.archive import open_archive
    from service.jobs.categories import linked_tracks, read_lesions, tracks_of

    held = read_lesions(index)
    opened = [open_archive(one) for one in archives]
    tracks = tracks_of(opened) if opened else linked_tracks(index)
    rows = by_track(held.lesions, held.vectors.astype(np.float64), tracks)
    first = [held.lesions[place] for place in rows.first]
    numbers = {key: number for number, key in enumerate(found.names)}
    unknown = [one.lesion_id for one in first if one.lesion_id not in found.members]
    if unknown:
        raise CategoryError(
            f"{len(unknown)} lesions of the index are in no category (the first is "
            f"{unknown[0]!r}): run categorize on this index"
        )
    labels = [numbers[found.members[one.lesion_id].category] for one in first]
    records = {one.lesion.lesion_id: one for one in index.records([one.lesion_id for one in first])}
    sources = [
        "" if (source := records[one.lesion_id].source) is None else source.archive for one in first
    ]
    vectors = {"encoder": rows.features}
    if opened:
        vectors |= _frozen(opened, first)
    return JudgedTracks(first, np.array(labels, np.int64), sources), vectors


def _frozen(archives: Sequence[Archive], lesions: Sequence[Lesion]) -> dict[str, FloatArray]:
    """Frozen ImageNet features of lesions, NaN where no archive holds them; (n, d) a method."""
    import numpy as np

    from retrieval.evaluation.retrieval.frozen import FrozenFeatures
    from retrieval.evaluation.retrieval.pixels import cut_patches

    method = FrozenFeatures.imagenet()
    found: dict[str, FloatArray] = {}
    for archive in archives:
        held = {one.lesion_id for one in archive.lesions}
        places = [place for place, one in enumerate(lesions) if one.lesion_id in held]
        if not places:
            continue
        own = [lesions[place] for place in places]
        with progress_bar("frozen features") as progress:
            patches = cut_patches(archive, own, method.spec, progress=progress)
        for name, values in method.vectors(method.describe(patches)).items():
            whole = found.setdefault(name, np.full((len(lesions), values.shape[1]), np.nan))
            whole[places] = values
    return found
