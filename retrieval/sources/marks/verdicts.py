"""What becomes of a mark: one verdict each, kept or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from retrieval.lesion import BOX_PADDING_PX, Box, LesionType, Recist
from retrieval.sources.marks.mark import Carrier, Mark, MarkKind
from retrieval.sources.marks.planes import ImagePlane


class Verdict(StrEnum):
    """The words that ``mined.jsonl`` and the page use."""

    KEPT = "kept"
    KEPT_AS_POINT = "kept as point"
    """A point or arrow: shows a lesion, measures nothing (kept only where arrows are asked for)."""
    PROPOSAL_NEEDED = "proposal needed"
    """Words with lengths that name an image: its box is the detector's to propose."""
    PROPOSED = "proposed"
    """Such words, and the detector's nearest proposal was taken."""

    NO_PROPOSAL = "no proposal"
    """Such words, and the detector proposes no box of that size on the image."""
    SEVERAL_PROPOSALS = "several proposals"
    """Such words, and the detector proposes several boxes of that size alike."""

    SINGLE_LINE = "single line"
    NOT_PERPENDICULAR = "not perpendicular"
    POINT = "point"
    ARROW = "arrow"
    ANGLE = "angle"
    OPEN_LINE = "open line"
    TEXT = "text"

    NO_IMAGE = "no image"
    NOT_AXIAL_CT = "not axial CT"
    OTHER_FRAME = "other frame of reference"
    OFF_SLICE = "between slices"
    OFF_IMAGE = "outside the image"
    OTHER_PATIENT = "another patient's image"

    ANATOMY = "anatomy"
    NOT_A_LESION = "not a lesion"
    DUPLICATE = "duplicate of"
    REPLACED = "replaced by"

    NO_COORDINATES = "no coordinates"
    NOT_A_NUMBER = "not a number"
    TOO_MANY_POINTS = "too many points"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    CONTRADICTING_LENGTHS = "contradicting lengths"
    UNREADABLE = "unreadable"
    NOT_A_CARRIER = "no marks in it"

    @property
    def is_kept(self) -> bool:
        """Whether a lesion or point comes of it."""
        return self.is_lesion or self is Verdict.KEPT_AS_POINT

    @property
    def is_lesion(self) -> bool:
        """Whether a lesion comes of it."""
        return self in {Verdict.KEPT, Verdict.PROPOSED}


class LengthSource(StrEnum):
    """Where a kept mark's diameters come from."""

    POINTS = "points"
    STATED = "stated"


@dataclass(frozen=True)
class Refusal:
    """A file, or a part of one, from which no mark could be read.

    Attributes:
        mark_id: stable as a mark's own; of the file where nothing in it was read.
        verdict: the reason in one word.
        words: the reason in one line: what was wrong, with the value.
        source: the file's name.
        source_uid: the carrier's own UID, where it has one.
        carrier: None where the file is of none.
    """

    mark_id: str
    verdict: Verdict
    words: str
    source: str
    source_uid: str = ""
    carrier: Carrier | None = None


@dataclass(frozen=True, eq=False)
class JudgedMark:
    """A mark with its meaning.

    Attributes:
        mark: as it was read; of two paired lines, both as one mark of kind RECIST.
        verdict, words: what becomes of it and, unless it is plainly kept, why.
        plane: the image it lies on, None where it was not found.
        recist: four ends in pixels of the image, the longer line (in mm) first; of an outline, its
            longest diameter and the longest chord perpendicular to it. None where nothing measures.
        extent: of what was drawn, in pixels, without padding; unclipped.
        long_mm, short_mm: diameters; of a single line only the first.
        length_source: whether points or the stated lengths won.
        length_words: how stated lengths and points compare ("7.37 linear is cm: points give
            73.7 mm at 0.918 mm a pixel"); empty where nothing was stated.
        lesion_type: of the finding site; unknown where it is none of the eight.
        point: (x, y) of a point or arrow.
        is_doubtful: its carrier pairs two lines that do not stand to each other as a RECIST mark's
            do: kept, as DeepLesion keeps such rows with ``Possibly_noisy`` 1.
        parts: ids of the marks in it: the two lines of a pair, a report and the segment that it
            measured; its own id alone where it is one mark. Each mark that was read stands in the
            parts of exactly one JudgedMark.
        duplicate_of: mark id, where the verdict is DUPLICATE.
        proposal_score: probability of the detector's box, where the verdict is PROPOSED.
    """

    mark: Mark
    verdict: Verdict
    words: str = ""
    plane: ImagePlane | None = None
    recist: Recist | None = None
    extent: Box | None = None
    long_mm: float | None = None
    short_mm: float | None = None
    length_source: LengthSource | None = None
    length_words: str = ""
    lesion_type: LesionType = LesionType.UNKNOWN
    point: tuple[float, float] | None = None
    is_doubtful: bool = False
    parts: tuple[str, ...] = ()
    duplicate_of: str = ""
    proposal_score: float | None = None

    @property
    def box(self) -> Box | None:
        """DeepLesion's rule: the extent plus 5 pixels, unclipped; a drawn box stays as it is."""
        if self.extent is None or self.mark.kind is MarkKind.BOX:
            return self.extent
        return self.extent.padded(BOX_PADDING_PX)
