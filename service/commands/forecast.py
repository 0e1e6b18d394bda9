"""``lesion-search forecast``: what is likely to happen to a lesion, and the cases behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from retrieval.lesion import LesionSearchError
from service.commands.options import IndexOption, JsonFlag, MatcherOption
from service.console import answer, answer_json, say, warn

if TYPE_CHECKING:
    from index.lesion_index import LesionIndex
    from retrieval.tracking.growth.answers import GrowthForecast
    from retrieval.tracking.growth.outlooks import DoublingTime, SizeOutlook
    from retrieval.tracking.matcher import MatcherModel
    from service.engine.growth import ForecastRequest, GrowthLibrary, LesionForecast


class ForecastOptionsError(LesionSearchError):
    """Options of ``forecast`` that do not go together."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("forecast")(forecast)


def forecast(
    index: IndexOption,
    lesion: Annotated[str | None, typer.Option(help="One indexed lesion.")] = None,
    patient: Annotated[
        str | None, typer.Option(help="Every lesion of a patient, after its last study.")
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help="Days after the lesion's study, up to ten years. Default: next study."),
    ] = None,
    measure: Annotated[
        str, typer.Option(help="Which size: long_mm, or volume_mm3 where it was measured.")
    ] = "long_mm",
    matcher: MatcherOption = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also draw a patient's timeline with fans: .png, .svg or .pdf."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Forecast the size of a lesion at its next study, with its ranges and the similar cases.

    Learned from lesions that were found again, of patients whose treatment is not known. Research
    use only.
    """
    from index.lesion_index import LesionIndex
    from retrieval.tracking.matcher import load_matcher
    from service.engine.growth import GrowthLibrary

    if (lesion is None) == (patient is None):
        raise ForecastOptionsError("give either --lesion or --patient")
    if figure is not None and patient is None:
        raise ForecastOptionsError("a figure shows one patient: name one with --patient")
    wanted = _request(days, measure)
    if figure is not None and measure != "long_mm":
        raise ForecastOptionsError(
            f"a figure shows long diameters in mm: leave out --measure {measure} or --figure"
        )
    model = load_matcher(matcher)
    with LesionIndex.open(index, read_only=True) as opened:
        found = _found(GrowthLibrary(opened, model), lesion, patient, wanted)
        if figure is not None and patient is not None:
            _save(opened, patient, model, found, figure)
    warn(warning for one in found for warning in one.warnings)
    if not as_json:
        _show(found)
    elif patient is None:
        answer_json(found[0].to_json())
    else:
        answer_json({"patient_id": patient, "forecasts": [one.to_json() for one in found]})


def _request(days: float | None, measure: str) -> ForecastRequest:
    from retrieval.tracking.growth.courses import SizeMeasure
    from service.engine.growth import ForecastRequest

    known = [one.value for one in SizeMeasure]
    if measure not in known:
        raise ForecastOptionsError(f"--measure {measure!r} is unknown: {' or '.join(known)}")
    return ForecastRequest(days, SizeMeasure(measure))


def _save(
    index: LesionIndex,
    patient: str,
    model: MatcherModel,
    found: list[LesionForecast],
    path: Path,
) -> None:
    from service.engine.patient_tracks import report_of
    from service.figures.pictures import LesionPictures
    from service.figures.query import save_figure
    from service.figures.timeline import draw_timeline

    report = report_of(index, patient, model=model)
    save_figure(draw_timeline(report, LesionPictures(index), forecasts=found), path)
    say(f"figure: {path}")


def _found(
    library: GrowthLibrary, lesion: str | None, patient: str | None, wanted: ForecastRequest
) -> list[LesionForecast]:
    if lesion is not None:
        return [library.forecast(lesion, wanted)]
    assert patient is not None
    return [library.forecast(one, wanted) for one in library.latest(patient)]


def _show(found: list[LesionForecast]) -> None:
    from retrieval.tracking.growth.answers import CAVEATS
    from retrieval.tracking.track_types import RESEARCH_USE

    for one in found:
        title = f"Lesion {one.lesion.lesion_id}, {one.lesion.lesion_type.value}"
        if one.forecast is None:
            answer(title, f"no forecast: {one.reason}\n")
        else:
            answer(title, *_told(one.forecast), "")
    answer(*CAVEATS, RESEARCH_USE)


def _told(found: GrowthForecast) -> list[Table | str]:
    unit = found.course.measure.unit
    sizes = ", ".join(f"{point.size:.1f}" for point in found.course.points)
    days = "" if found.horizon.days is None else f", {found.horizon.days:.0f} days ahead"
    parts: list[Table | str] = [f"{found.course.measure.words} so far: {sizes} {unit}"]
    parts += [f"left out: {one}" for one in found.course.left_out]
    if found.outlook is None:
        parts.append(f"no forecast: {found.reason}")
        parts.append(_outlook("what all lesions of that size and type did", found, unit))
        parts.append(f"(fitted on {found.population.fitted_on})")
        return parts
    parts.append(_ranges(f"{found.horizon.kind}{days}", found.outlook, unit))
    parts.append(
        f"rests on {found.neighbours} similar lesions of other patients (effective number "
        f"{found.effective_neighbours:.1f}); weights "
        + ", ".join(f"{one.name} {one.weight:.2f}" for one in found.components if one.weight)
    )
    parts.append(_cases(found, unit))
    if found.doubling is not None:
        parts.append(_doubling_words(found.doubling))
    return parts


def _outlook(title: str, found: GrowthForecast, unit: str) -> Table:
    return _ranges(title, found.population.outlook, unit)


def _ranges(title: str, outlook: SizeOutlook, unit: str) -> Table:
    table = Table(title=title, title_justify="left")
    for head in ("", unit, "change"):
        table.add_column(head, justify="right")
    table.add_row("median", f"{outlook.median:.1f}", f"{outlook.median_pct:+.0f} %")
    for one in outlook.ranges:
        table.add_row(
            f"{one.level_pct} %",
            f"{one.low:.1f} to {one.high:.1f}",
            f"{one.low_pct:+.0f} to {one.high_pct:+.0f} %",
        )
    table.add_row(f"growth of {outlook.growth_pct:.0f} %", "", _share(outlook.growth_probability))
    table.add_row(
        f"shrinkage of {outlook.shrinkage_pct:.0f} %", "", _share(outlook.shrinkage_probability)
    )
    return table


def _cases(found: GrowthForecast, unit: str) -> Table:
    table = Table(title="the nearest of them", title_justify="left")
    for head in ("lesion", "type", "weight", "cosine", f"course, {unit}", "change"):
        table.add_column(head, justify="left" if head in {"lesion", "type"} else "right")
    for case in found.cases:
        table.add_row(
            case.lesion_id,
            case.lesion_type,
            f"{case.weight:.2f}",
            "" if case.similarity is None else f"{case.similarity:.2f}",
            ", ".join(f"{point.size:.1f}" for point in case.course),
            f"{case.change_pct:+.0f} %",
        )
    return table


def _doubling_words(doubling: DoublingTime) -> str:
    fast = "never" if doubling.fastest_days is None else f"{doubling.fastest_days:.0f} days"
    slow = "never" if doubling.slowest_days is None else f"{doubling.slowest_days:.0f} days"
    return (
        f"volume doubles in {fast} to {slow} (95 % range) by {doubling.sizes} dated sizes; it "
        f"grows with a probability of {doubling.growing_probability:.2f}"
    )


def _share(probability: float) -> str:
    return f"{100 * probability:.0f} %"
