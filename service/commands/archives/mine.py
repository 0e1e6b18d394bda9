"""``lesion-search mine``: marks that readers left become an archive, with one verdict each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.option_groups import with_groups
from service.commands.options import DetectorOption, JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar, say, warn

if TYPE_CHECKING:
    from retrieval.sources.marks.meaning.options import JudgingOptions
    from retrieval.sources.marks.reading import ReadingOptions
    from retrieval.sources.mining.planes import MarkedSource
    from service.jobs.mining.run import MiningReport
    from service.pacs.client import PacsClient


class MineCommandError(LesionSearchError):
    """Options of ``mine`` that do not go together."""


@dataclass(frozen=True)
class MeaningOptions:
    """What marks are taken for where no rule tells."""

    singles: Annotated[
        str,
        typer.Option(
            help="A line without a perpendicular partner: reject, square (its length each way), or "
            "ellipse (the usual ratio of DeepLesion's diameters)."
        ),
    ] = "reject"
    arrows: Annotated[
        bool, typer.Option("--arrows", help="Keep arrows and points: they measure nothing.")
    ] = False
    segments: Annotated[
        str,
        typer.Option(
            help="Names of segments and regions that are lesions although no code says so, as "
            "'GTV*,tumour'."
        ),
    ] = ""
    columns: Annotated[
        str | None,
        typer.Option(
            help="What the columns of CSV tables hold, as sop_uid=SOP,points=xy,unit=unit; "
            "origin=1 where pixels count from 1."
        ),
    ] = None

    def judging(self) -> JudgingOptions:
        """The options of what marks mean; raises MineCommandError."""
        from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy

        try:
            policy = SinglesPolicy(self.singles)
        except ValueError:
            accepted = ", ".join(one.value for one in SinglesPolicy)
            raise MineCommandError(f"--singles {self.singles!r} is none of {accepted}") from None
        names = tuple(name.strip() for name in self.segments.split(",") if name.strip())
        return JudgingOptions(policy, self.arrows, names)

    def reading(self) -> ReadingOptions:
        """The options of how files are read; raises MineCommandError."""
        from retrieval.sources.marks.reading import CsvColumns, ReadingOptions

        if self.columns is None:
            return ReadingOptions()
        pairs = [part.partition("=") for part in self.columns.split(",")]
        if not all(name.strip() and column.strip() for name, _, column in pairs):
            raise MineCommandError(
                f"--columns {self.columns!r} is not of the form field=column,..."
            )
        told = {name.strip(): column.strip() for name, _, column in pairs}
        try:
            origin = float(told.pop("origin", "0"))
        except ValueError:
            raise MineCommandError("--columns: origin is a number: 0, 0.5 or 1") from None
        return ReadingOptions(CsvColumns(told, origin))


@dataclass(frozen=True)
class IdentityOptions:
    """Whose marks, and how they are called in the archive."""

    pacs: Annotated[
        str | None,
        typer.Option(
            help="URL of a DICOMweb service to mine instead of folders. Credentials come from "
            "LESION_SEARCH_PACS_USER and ..._PASSWORD, or ..._TOKEN."
        ),
    ] = None
    patient: Annotated[
        str | None, typer.Option(help="With --pacs: one PatientID instead of all patients.")
    ] = None
    key: Annotated[
        Path | None,
        typer.Option(help="The pseudonym key. Default: one of its own in OUT.mining."),
    ] = None
    own_ids: Annotated[
        bool,
        typer.Option("--own-ids", help="Keep identifiers: for sources without patients' names."),
    ] = False

    def source(self, folders: list[Path], reading: ReadingOptions) -> MarkedSource:
        """Folders, or the PACS; raises MineCommandError for both or neither."""
        if (self.pacs is None) == (not folders):
            raise MineCommandError("give SOURCE folders, or --pacs URL")
        if self.pacs is None:
            from retrieval.sources.mining.folder import FolderSource

            return FolderSource(folders, reading)
        from service.pacs.mining import PacsSource

        return PacsSource(self.client(), patient_id=self.patient)

    def client(self) -> PacsClient:
        """The client of ``--pacs``."""
        from service.extras import Extra, need_extra

        need_extra(Extra.DICOM)
        from service.pacs.client import PacsClient
        from service.pacs.settings import PacsSettings

        return PacsClient(PacsSettings(url=self.pacs))


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("mine")(with_groups(mine))


def mine(
    *,
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders with CT as DICOM and marks: SR, GSPS, SEG, RTSTRUCT, AIM, CSV."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The archive's folder.")],
    identity: IdentityOptions,
    meaning: MeaningOptions,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Write no slices: images need no pixels then.")
    ] = False,
    locate: Annotated[
        bool,
        typer.Option("--locate/--no-locate", help="Estimate each lesion's body position."),
    ] = True,
    propose: Annotated[
        bool,
        typer.Option(
            "--propose/--no-propose",
            help="Where words name an image and lengths but nothing is drawn, take the detector's "
            "box of that size, marked as proposed.",
        ),
    ] = True,
    detector: DetectorOption = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Write a picture of what was mined and refused here (PNG)."),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(help="Write the kept marks as DICOM SR here, under the source's own ids."),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="With --pacs: store the reports in the PACS.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Turn what readers measured into an archive in DeepLesion's layout, one verdict a mark.

    Every verdict stands in OUT/mined.jsonl. OUT.mining holds the source's identifiers: keep it
    where they may be. Run again, it goes on where it was, and takes in what is new.
    """
    from retrieval.sources.mining.tools import MiningOptions
    from service.engine.detectors import detector_in_use
    from service.engine.lesion_location import PositionLocator
    from service.jobs.mining.work import MiningJob, identities_of

    if store and identity.pacs is None:
        raise MineCommandError("--store needs --pacs: it stores the reports there")
    chosen = identity.source(source or [], meaning.reading())
    job = MiningJob(
        out,
        identities_of(out, identity.key, own_ids=identity.own_ids),
        MiningOptions(meaning.judging(), not table_only, propose and not table_only),
        PositionLocator() if locate and not table_only else None,
        partial(detector_in_use, detector) if propose and not table_only else None,
    )
    with progress_bar("mine") as progress:
        report = job.run(chosen, progress=progress)
    if report.failed:
        warn([f"{report.failed} patients could not be mined; the next run tries them again"])
    if figure is not None:
        from service.jobs.mining.pictures import draw_mined

        draw_mined(chosen, job.work, report, figure)
        say(f"picture: {figure}")
    made = 0
    if reports is not None or store:
        made = _report(chosen, job.work, reports, identity.client() if store else None)
    if as_json:
        answer_json({"archive": str(out), **report.to_json(), "reports": made})
    else:
        _show(out, report)


def _report(source: MarkedSource, work: Path, folder: Path | None, pacs: PacsClient | None) -> int:
    """Writes or stores the reports of all patients; returns how many there are."""
    from service.extras import Extra, need_extra

    need_extra(Extra.DICOM)
    from service.jobs.mining.kept import kept_marks
    from service.pacs.reports.files import names_of, write_anew
    from service.pacs.reports.mined import reports_of_marks

    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = 0
    for patient in kept_marks(work):
        headers = {sketch.mark_id: header for sketch, header in patient.marks}
        datasets = reports_of_marks(
            [sketch for sketch, _ in patient.marks],
            lambda mark: source.attributes(headers[mark.mark_id]),  # noqa: B023
        )
        made += len(datasets)
        if folder is not None:
            names = names_of(datasets, f"{patient.number:06d}")
            for name, dataset in zip(names, datasets, strict=True):
                write_anew(dataset, folder / name)
        if pacs is not None and datasets:
            pacs.store(datasets)
    return made


def _show(out: Path, report: MiningReport) -> None:
    from rich.table import Table

    facts = {
        "archive": str(out),
        "lesions": report.lesions,
        "patients": report.patients,
        "tracks": report.tracks,
        "patients mined now": report.mined_now,
    }
    answer_fields(facts, title="Mined")
    table = Table("verdict", "marks", title="What became of the marks", title_justify="left")
    for verdict, count in report.verdicts.items():
        table.add_row(verdict, str(count))
    answer(table)
