"""import_masks: CT with masks of one's own becomes an archive, with one verdict for everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.image import Slab
from retrieval.lesion import LesionSearchError, LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.importers.masks.components import MaskLesion, lesions_of
from retrieval.sources.importers.masks.found import FoundMask, find_images, find_masks
from retrieval.sources.importers.masks.labels import label_masks
from retrieval.sources.importers.masks.numbering import Numbering, SeriesNumber
from retrieval.sources.importers.masks.pairing import MaskedImage, pair
from retrieval.sources.importers.masks.placed import LabelMask, PlacedImage, place_image
from retrieval.sources.importers.masks.types import LabelTypes
from retrieval.sources.importers.source import ImporterError, counted
from retrieval.sources.importers.splits import split_patients

DEFAULT_MIN_MM = 2.0


@dataclass(frozen=True)
class MaskOptions:
    """What a user chooses.

    Attributes:
        types: labels to lesion types.
        min_mm: components with a shorter longest diameter are left out.
        assume_hu: images are HU whatever their values say.
    """

    types: LabelTypes = field(default_factory=LabelTypes)
    min_mm: float = DEFAULT_MIN_MM
    assume_hu: bool = False


@dataclass(frozen=True)
class MaskVerdict:
    """What became of a file, of a label, or of one component.

    Attributes:
        source: the image's or mask's path below the folder that was given.
        label: of the mask; empty where the verdict is of the whole file.
        lesion_id: in the archive; empty where nothing was written.
        reason: why it was left out, or a warning about what was written; empty for neither.
    """

    source: str
    label: str = ""
    lesion_id: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields by their names, with ``verdict``: lesion or left out."""
        return {"verdict": "lesion" if self.lesion_id else "left out", **vars(self)}


@dataclass(frozen=True)
class MasksReport:
    """What an import did."""

    verdicts: tuple[MaskVerdict, ...]
    already_there: int = 0
    notes: tuple[str, ...] = ()

    @property
    def lesions(self) -> int:
        """Written now."""
        return sum(bool(verdict.lesion_id) for verdict in self.verdicts)

    @property
    def patients(self) -> int:
        """With a lesion written now."""
        ids = (verdict.lesion_id for verdict in self.verdicts if verdict.lesion_id)
        return len({lesion_id.split("_", 1)[0] for lesion_id in ids})

    @property
    def left_out(self) -> tuple[MaskVerdict, ...]:
        """The verdicts of all that was not written."""
        return tuple(verdict for verdict in self.verdicts if not verdict.lesion_id)

    def to_json(self) -> dict[str, Any]:
        """Counts, why things were left out with how often, and every verdict."""
        reasons = Counter(verdict.reason for verdict in self.left_out)
        return {
            "lesions": self.lesions,
            "patients": self.patients,
            "images_already_there": self.already_there,
            "left_out": dict(reasons.most_common()),
            "warnings": list(self.notes),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }


def import_masks(
    images: Path,
    masks: Path,
    out: Path,
    options: MaskOptions,
    *,
    progress: ReportProgress | None = None,
) -> MasksReport:
    """Writes every component of every mask as a lesion, in DeepLesion's layout.

    Patients that ``out`` holds already are kept, so that a second run goes on where the first one
    was stopped. Nothing is written where nothing can be.

    Raises:
        ImporterError: no image, no mask, no pair, or no lesion in any of them.
    """
    others: list[Path] = []
    found = pair(
        find_images(images, others.append),
        find_masks(masks, others.append),
        one_tree=images.resolve() == masks.resolve(),
    )
    if not found.pairs:
        why = "; ".join(f"{name}: {reason}" for name, reason in found.left_out[:3])
        raise ImporterError(
            f"no image of {images} has a mask in {masks} ({why or 'neither holds any'}): volumes "
            "(NIfTI, NRRD, MetaImage) or DICOM series, and volumes, SEG or RTSTRUCT of the same "
            "name or patient folder"
        )
    run = _Run(out, options, found.pairs)
    verdicts = [MaskVerdict(str(name), reason=reason) for name, reason in found.left_out]
    verdicts += run.all(progress)
    if not run.is_anything_there:
        first = next((one for one in verdicts if one.reason), MaskVerdict("", reason="no lesion"))
        raise ImporterError(f"no lesion was found in {masks}; {first.source}: {first.reason}")
    unused = options.types.unused(run.labels)
    notes = [f"no mask has the label {label!r} of --types" for label in unused if run.labels]
    return MasksReport(tuple(verdicts), run.already_there, tuple(notes))


class _Run:
    """One import: the archive is made when the first lesion is at hand."""

    def __init__(self, out: Path, options: MaskOptions, pairs: tuple[MaskedImage, ...]) -> None:
        self.labels: set[str] = set()
        self.already_there = 0
        self._out = out
        self._options = options
        self._numbering = Numbering.open(out)
        self._series = self._numbering.numbered([one.image for one in pairs])
        self._pairs = sorted(pairs, key=lambda one: self._series[one.image.name])
        names = {number.patient_name for number in self._series.values()}
        self._splits = split_patients(names, source="masks")
        self._writer: DeepLesionWriter | None = None
        self._stack = ExitStack()

    @property
    def is_anything_there(self) -> bool:
        return self._writer is not None or self.already_there > 0

    def all(self, progress: ReportProgress | None) -> list[MaskVerdict]:
        verdicts: list[MaskVerdict] = []
        done = self._numbering.patients_done
        with self._stack:
            for one in counted(self._pairs, len(self._pairs), progress):
                if self._series[one.image.name].patient in done:
                    self.already_there += 1
                    continue
                verdicts += self._image(one)
        return verdicts

    def _image(self, one: MaskedImage) -> list[MaskVerdict]:
        try:
            image = place_image(one.image, assume_hu=self._options.assume_hu)
        except LesionSearchError as wrong:
            return [MaskVerdict(str(one.image.name), reason=str(wrong))]
        found = [part for mask in one.masks for part in self._lesions(mask, image)]
        kept = [part for part in found if isinstance(part, _Found)]
        verdicts = [part for part in found if isinstance(part, MaskVerdict)]
        if kept:
            verdicts += self._write(self._series[one.image.name], image, kept)
        return verdicts

    def _lesions(self, mask: FoundMask, image: PlacedImage) -> Iterator[_Found | MaskVerdict]:
        try:
            labels = label_masks(mask, image)
        except LesionSearchError as wrong:
            yield MaskVerdict(str(mask.name), reason=str(wrong))
            return
        if not labels:
            yield MaskVerdict(str(mask.name), reason="the mask is empty")
        for one in labels:
            self.labels.add(one.label)
            yield from self._of_label(str(mask.name), one, image)

    def _of_label(
        self, source: str, one: LabelMask, image: PlacedImage
    ) -> Iterator[_Found | MaskVerdict]:
        kind = self._options.types.of(one.label)
        if kind is None:
            yield MaskVerdict(source, one.label, reason="--types leaves this label out")
            return
        if not one.mask.any():
            reason = one.note or f"it covers nothing of {image.name}"
            yield MaskVerdict(source, one.label, reason=reason)
            return
        slab = image.slab
        shown = image.on_display(one.mask)
        for lesion in lesions_of(shown, slab.spacing_mm_px, slab.slice_interval_mm):
            if lesion.long_mm < self._options.min_mm:
                reason = f"{lesion.long_mm:.1f} mm long, under --min-mm {self._options.min_mm:g}"
                yield MaskVerdict(source, one.label, reason=reason)
            else:
                yield _Found(source, one.label, kind, lesion, one.note)

    def _write(
        self, number: SeriesNumber, image: PlacedImage, found: list[_Found]
    ) -> list[MaskVerdict]:
        if self._writer is None:
            self._writer = self._stack.enter_context(DeepLesionWriter(self._out))
            self._numbering.save()
        slab = image.slab
        place = (number.patient, number.study, number.series)
        images = SeriesImages.of_slab(place, slab.hu)
        self._writer.write_slices(images)
        verdicts = []
        for one in found:
            row = _row(images, slab, one, self._splits[number.patient_name])
            try:
                lesion_id = self._writer.add_row(row, None, {"volume_ml": one.lesion.volume_ml})
            except LesionSearchError as wrong:
                verdicts.append(MaskVerdict(one.source, one.label, reason=str(wrong)))
                continue
            verdicts.append(
                MaskVerdict(
                    one.source,
                    one.label,
                    lesion_id,
                    "; ".join((*filter(None, [one.note]), *slab.notes)),
                )
            )
        return verdicts


@dataclass(frozen=True)
class _Found:
    source: str
    label: str
    lesion_type: LesionType
    lesion: MaskLesion
    note: str


def _row(images: SeriesImages, slab: Slab, found: _Found, split: Split) -> ArchiveRow:
    return ArchiveRow(
        patient=images.patient,
        study=images.study,
        series=images.series,
        key_slice=images.number_of(found.lesion.key_slice),
        recist=found.lesion.recist,
        box=found.lesion.box,
        location=None,
        lesion_type=found.lesion_type,
        split=split,
        spacing_mm_px=slab.spacing_mm_px,
        slice_interval_mm=slab.slice_interval_mm,
        slice_range=images.slice_range,
        image_size=(slab.rows, slab.columns),
    )
