"""``lesion-search locate``: the body position of every slice of an image, with its error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.option_groups import with_groups
from service.commands.options import ImageOptions, JsonFlag
from service.console import answer, answer_json, progress_bar, warn

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.position.locator import SeriesPosition, SlicePosition

WHOLE_SERIES_MM = 1e6
"""A depth that no series reaches."""

DIGITS = 4


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("locate")(with_groups(locate))


def locate(
    *,
    image: Annotated[
        Path,
        typer.Argument(
            help="A 16-bit PNG (HU + 32768) or a folder of them, a DICOM file or a folder with "
            "one series, a volume (NIfTI, NRRD, MetaImage), or with --assume-hu one 8-bit PNG."
        ),
    ],
    reading: ImageOptions,
    as_json: JsonFlag = False,
) -> None:
    """Tell where in the body each slice lies: DeepLesion's x, y, z in [0, 1], z from head to feet.

    x and y are those of the middle of the body on the slice. Half of all estimates lie within the
    stated error of the truth, nine of ten within the second one. Slices that run against the
    order that the image states are reported as reversed. With --assume-hu an 8-bit picture's black
    is taken for -175 HU and its white for 275 HU.
    """
    from retrieval.position.locator import BodyLocator
    from retrieval.sources.query_image import open_query_image

    choice = reading.choice()
    slab = open_query_image(
        image,
        key_slice_index=choice.key_slice_index,
        spacing_mm=choice.spacing_mm,
        half_depth_mm=WHOLE_SERIES_MM,
        series=choice.series,
        assume_hu=choice.assume_hu,
    )
    locator = BodyLocator.load()
    with progress_bar("slices") as progress:
        found = locator.locate(slab, progress=progress)
    warnings = [*slab.notes, *_faults(found)]
    document = {
        "slices": [_slice_json(one, found) for one in _in_file_order(found)],
        "order_by_anatomy": found.check.order.value,
        "breaks_before": [found.slices[at].index for at in found.check.jumps],
        "slice_interval_doubtful": found.check.interval_doubtful,
        "position": {"fingerprint": locator.calibration.fingerprint},
        "warnings": warnings,
    }
    if as_json:
        answer_json(document)
    else:
        answer(_table(found))
    warn(warnings)


def _in_file_order(found: SeriesPosition) -> list[SlicePosition]:
    return sorted(found.slices, key=lambda one: one.index)


def _faults(found: SeriesPosition) -> list[str]:
    faults = []
    if found.is_reversed:
        faults.append(
            "by the anatomy the slices run against the order that the image states: check its "
            "orientation"
        )
    for at in found.check.jumps:
        faults.append(
            f"the series breaks before slice {found.slices[at].index}: slices are missing, or two "
            "series are mixed"
        )
    if found.check.interval_doubtful:
        faults.append(
            f"the body passes at {abs(found.check.slope):.2f} of the pace that the slice interval "
            "states: check the interval"
        )
    unseen = [one.index for one in found.slices if one.place is None]
    if unseen:
        faults.append(f"{len(unseen)} slices show no body, the first is {unseen[0]}")
    return faults


def _slice_json(one: SlicePosition, found: SeriesPosition) -> dict[str, Any]:
    place = one.place
    return {
        "index": one.index,
        "location": None if place is None else _rounded(place.location),
        "error": None if place is None else _rounded(place.location_error),
        "error_90": None if place is None else _rounded(place.location_error_90),
        "reversed": found.is_reversed,
    }


def _rounded(values: tuple[float, float, float]) -> list[float]:
    return [round(value, DIGITS) for value in values]


def _table(found: SeriesPosition) -> Table:
    from rich.table import Table

    table = Table(title="Body position", title_justify="left")
    for column in ("slice", "x", "y", "z", "z within (half)", "z within (90 %)", "reversed"):
        table.add_column(column, justify="right")
    for one in _in_file_order(found):
        if one.place is None:
            table.add_row(str(one.index), *["no body"] * 3, "", "", "")
            continue
        numbers = (*one.place.location, one.place.location_error[2], one.place.location_error_90[2])
        cells = [f"{value:.3f}" for value in numbers]
        table.add_row(str(one.index), *cells, "yes" if found.is_reversed else "")
    return table
