"""``lesion-search measure``: a marked lesion's mask, diameters and volume, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.option_groups import with_groups
from service.commands.options import BoxOptions, ImageOptions, JsonFlag
from service.console import answer, answer_json, say, warn

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.image import Slab

WORDS = {
    "long_mm": "long diameter",
    "short_mm": "short diameter",
    "who_mm2": "long x short (WHO)",
    "area_mm2": "area on the key slice",
    "volume_mm3": "volume",
    "mean_hu": "mean HU",
    "sd_hu": "spread of HU",
}


class MeasureCommandError(LesionSearchError):
    """Options of ``measure`` that cannot be followed."""


@dataclass(frozen=True)
class ClickOptions(BoxOptions):
    """A lesion's mark on its key slice, in 0-based pixels."""

    point: Annotated[
        str | None, typer.Option(help="x,y: a click inside the lesion, in 0-based pixels.")
    ] = None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("measure")(with_groups(measure))


def measure(
    *,
    image: Annotated[
        Path,
        typer.Argument(
            help="A 16-bit PNG (HU + 32768) or a folder of them, a DICOM file or a folder with "
            "one series, or a volume (NIfTI, NRRD, MetaImage)."
        ),
    ],
    mark: ClickOptions,
    reading: ImageOptions,
    in_3d: Annotated[
        bool,
        typer.Option("--3d/--2d", help="Follow the lesion through the slices, for its volume."),
    ] = True,
    mask_out: Annotated[
        Path | None,
        typer.Option(
            help="Write the mask on the image's own voxels: .nii, .nii.gz, .nrrd, or .dcm (DICOM "
            "SEG, for DICOM images)."
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw outline and lines on the key slice: .png.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure one lesion from a box, a RECIST mark or a click, on its key slice and in 3D.

    A box is taken to stand about 5 pixels off its lesion, as DeepLesion's do. Half of all lesions
    lie within the first interval, nine of ten within the second. The diameters of a RECIST mark
    stand beside the measured ones. Research software, not a medical device.
    """
    from retrieval.grid import Grid
    from retrieval.segmentation.answer import measurement_json
    from service.engine.measuring import measure_marked
    from service.engine.query import LesionQuery

    if sum(one is not None for one in (mark.box, mark.recist, mark.point)) != 1:
        raise MeasureCommandError("give exactly one of --box, --recist and --point")
    query = LesionQuery.parse(box=mark.box, recist=mark.recist, point=mark.point)
    if mask_out is not None:
        from service.figures.measurement.files import check_kind

        check_kind(mask_out, image)
    slab = _read(image, reading)
    found = measure_marked(query, slab, in_3d=in_3d)
    document = measurement_json(found, Grid.FILE)
    if mask_out is not None:
        from service.figures.measurement.files import write_mask

        write_mask(mask_out, found, image)
        say(f"mask: {mask_out}")
    if figure is not None:
        from service.figures.measurement.picture import save_measurement

        save_measurement(found, figure)
        say(f"figure: {figure}")
    warnings = [*slab.notes, *(flag["text"] for flag in document["flags"])]
    if as_json:
        answer_json({**document, "warnings": list(slab.notes)})
    else:
        answer(_table(document), _summary(document))
    warn(warnings)


def _read(image: Path, reading: ImageOptions) -> Slab:
    from retrieval.sources.query_image import open_query_image
    from service.engine.measuring import MEASURED_DEPTH_MM

    choice = reading.choice()
    return open_query_image(
        image,
        key_slice_index=choice.key_slice_index,
        spacing_mm=choice.spacing_mm,
        half_depth_mm=MEASURED_DEPTH_MM,
        series=choice.series,
        assume_hu=choice.assume_hu,
    )


def _table(document: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(title=f"Slice {document['key_slice_index']}", title_justify="left")
    for column in ("", "measured", "half within", "90 % within", "as marked"):
        table.add_column(column, justify="left" if not column else "right")
    marked = document["marked"] or {}
    for name, value in document["measurements"].items():
        own = marked.get(name)
        own = own["value"] if isinstance(own, dict) else own
        table.add_row(
            WORDS[name],
            f"{value['value']:.1f} {value['unit']}",
            _range(value["interval_50"]),
            _range(value["interval_90"]),
            "" if own is None else f"{own:.1f}",
        )
    return table


def _range(ends: list[float] | None) -> str:
    return "not known" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def _summary(document: dict[str, Any]) -> str:
    first, last = document["slices"]
    what = "the network's mask" if document["method"] == "network" else "the mark's ellipse"
    marked = document["marked"]
    volume = f" Volume as marked: {marked['volume_mm3']['text']}." if marked else ""
    return (
        f"{what} on slices {first} to {last}; lengths {document['convention']}.{volume} "
        f"{document['notice']}"
    )
