"""read_marks: a file of any carrier -> its marks, and what could not be read, in words.

A carrier has one reader, entered in ``READERS``. A reader takes the opened file and yields marks
and refusals in the file's own order; it never raises for what is in the file.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from retrieval.sources.dicom.sniffing import is_dicom_head
from retrieval.sources.marks.aim import read_annotations
from retrieval.sources.marks.csv import read_table
from retrieval.sources.marks.gsps import read_presentation
from retrieval.sources.marks.mark import Carrier, Mark, MarkError, mark_id_of, short_text
from retrieval.sources.marks.rtstruct import read_structures
from retrieval.sources.marks.seg import read_segmentation
from retrieval.sources.marks.sr import read_report
from retrieval.sources.marks.verdicts import Refusal, Verdict

MOST_BYTES = 1 << 30
"""A file larger than this is refused unread."""

HEAD_BYTES = 4096

_SOP_CLASSES: Mapping[str, Carrier] = {
    "1.2.840.10008.5.1.4.1.1.88": Carrier.SR,
    "1.2.840.10008.5.1.4.1.1.11": Carrier.GSPS,
    "1.2.840.10008.5.1.4.1.1.66.4": Carrier.SEG,
    "1.2.840.10008.5.1.4.1.1.66.7": Carrier.SEG,
    "1.2.840.10008.5.1.4.1.1.481.3": Carrier.RTSTRUCT,
}
_MODALITIES: Mapping[str, Carrier] = {
    "SR": Carrier.SR,
    "PR": Carrier.GSPS,
    "SEG": Carrier.SEG,
    "RTSTRUCT": Carrier.RTSTRUCT,
}


@dataclass(frozen=True)
class CsvColumns:
    """Which columns of a table hold what; the mapping that a user declares.

    Attributes:
        names: field of the table reader -> the column's header. Fields: ``sop_uid``,
            ``series_uid``, ``study_uid``, ``frame``, ``kind``, ``points`` (all numbers of a mark,
            separated by commas, semicolons or blanks), or ``x1`` ``y1`` ... one by one;
            ``long``, ``short``, ``length``, ``unit``, ``finding``, ``site``, ``label``,
            ``tracking_uid``, ``tracking_id``, ``reader``, ``date``, ``patient_id``, ``text``.
        origin: where the table counts pixels from: 0 the centre of the first pixel, 0.5 its
            corner, 1 as DeepLesion's own table does.
        kind: of rows whose column ``kind`` is not declared or empty.
        unit: of lengths without one.
    """

    names: Mapping[str, str]
    origin: float = 0.0
    kind: str = "recist"
    unit: str = "mm"


@dataclass(frozen=True)
class ReadingOptions:
    """What a user declares about files that do not describe themselves.

    Attributes:
        columns: of CSV tables; without it a table is refused.
    """

    columns: CsvColumns | None = None


@dataclass(frozen=True)
class OpenedFile:
    """A file as its reader gets it.

    Attributes:
        name: for messages and ``Mark.source``.
        dataset: of DICOM carriers (pixels not decoded), else None.
        content: of the others, else empty.
        options: what the user declared.
    """

    name: str
    dataset: Any = None
    content: bytes = b""
    options: ReadingOptions = field(default_factory=ReadingOptions)

    @property
    def uid(self) -> str:
        """The carrier's own UID, or a hash of its content."""
        if self.dataset is not None:
            return str(self.dataset.get("SOPInstanceUID", "") or "")
        return hashlib.sha256(self.content).hexdigest()


MarkReader = Callable[[OpenedFile], Iterator[Mark | Refusal]]
"""What a carrier's module gives: marks and refusals of one opened file, in its order."""

READERS: Mapping[Carrier, MarkReader] = {
    Carrier.SR: read_report,
    Carrier.GSPS: read_presentation,
    Carrier.SEG: read_segmentation,
    Carrier.RTSTRUCT: read_structures,
    Carrier.AIM: read_annotations,
    Carrier.CSV: read_table,
}
"""One reader a carrier."""


def read_marks(
    source: Path | bytes | Dataset, *, name: str = "", options: ReadingOptions | None = None
) -> Iterator[Mark | Refusal]:
    """The marks of one file, and a refusal for each part (or the whole) that holds none.

    Nothing that a file contains makes it raise: a file that cannot be read is one refusal. Memory
    is bounded by the one file.

    Args:
        source: a path, a file's bytes, or a DICOM dataset.
        name: what messages and ``Mark.source`` call it; the path's own name where it is one.
        options: the declared mapping of a CSV table.
    """
    shown = short_text(name or (source.name if isinstance(source, Path) else ""))
    with warnings.catch_warnings():
        # Values that break the rules of their kind are told by verdicts, not by pydicom's warnings.
        warnings.simplefilter("ignore")
        found = _found(source, shown, options or ReadingOptions())
    yield from found


def _found(
    source: Path | bytes | Dataset, shown: str, options: ReadingOptions
) -> list[Mark | Refusal]:
    """What a file's reader yields; whatever it stumbles over is one more refusal, the last."""
    found: list[Mark | Refusal] = []
    carrier, uid = None, ""
    try:
        opened = _opened(source, shown, options)
        uid = opened.uid
        carrier = carrier_of(opened)
        if carrier is None:
            words = "holds no marks that are read"
            return [_refusal(shown, Verdict.NOT_A_CARRIER, words, uid)]
        for one in READERS[carrier](opened):
            found.append(one)
    except Exception as wrong:
        # pydicom decodes values when they are asked for, so that anything may come up here.
        reason = short_text(wrong) or type(wrong).__name__
        words = reason if carrier is None else f"{carrier.value} stops being readable: {reason}"
        found.append(_refusal(shown, Verdict.UNREADABLE, words, uid, carrier))
    return found


def carrier_of(opened: OpenedFile) -> Carrier | None:
    """The carrier of an opened file by what is in it, None where it is none."""
    if opened.dataset is not None:
        sop_class = str(opened.dataset.get("SOPClassUID", "") or "")
        for root, carrier in _SOP_CLASSES.items():
            if sop_class == root or sop_class.startswith(f"{root}."):
                return carrier
        return _MODALITIES.get(str(opened.dataset.get("Modality", "") or ""))
    head = opened.content[:HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] in {b"<", b"{", b"["}:
        return Carrier.AIM if b"ImageAnnotation" in opened.content else None
    return Carrier.CSV if opened.options.columns is not None else None


def _opened(source: Path | bytes | Dataset, name: str, options: ReadingOptions) -> OpenedFile:
    if isinstance(source, Dataset):
        return OpenedFile(name, dataset=source, options=options)
    if isinstance(source, Path):
        try:
            if source.stat().st_size > MOST_BYTES:
                raise MarkError(f"{name} has {source.stat().st_size} bytes: at most {MOST_BYTES}")
            content = source.read_bytes()
        except OSError as wrong:
            raise MarkError(f"{name} cannot be opened: {wrong.strerror}") from None
    else:
        content = source
    if not is_dicom_head(content[:HEAD_BYTES]):
        return OpenedFile(name, content=content, options=options)
    try:
        dataset = dcmread(io.BytesIO(content), force=True)
    except Exception as wrong:
        raise MarkError(f"{name} is DICOM that cannot be parsed: {short_text(wrong)}") from None
    return OpenedFile(name, dataset=dataset, options=options)


def _refusal(
    name: str, verdict: Verdict, words: str, uid: str = "", carrier: Carrier | None = None
) -> Refusal:
    mark_id = mark_id_of(carrier or Carrier.CSV, uid or name, ("file",))
    return Refusal(mark_id, verdict, words, name, uid, carrier)
