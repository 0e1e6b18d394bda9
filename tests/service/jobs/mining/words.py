"""Lesions told in words alone: a report's text, and a text beside an image."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
)

from tests.service.jobs.mining.drawn import CORNER, uid_of


def text_report(header: Dataset, texts: Sequence[str], name: str = "words") -> Dataset:
    """A basic text SR in the study of an image."""
    made = _in_study(header, BasicTextSRStorage, "SR", name)
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic Imaging Report")]
    items = []
    for words in texts:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
        item.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
        item.TextValue = words
        items.append(item)
    made.ContentSequence = items
    return made


def text_on_image(
    header: Dataset, words: str, place: tuple[float, float] | None, name: str = "note"
) -> Dataset:
    """A presentation state with one text, its anchor at a pixel."""
    made = _in_study(header, GrayscaleSoftcopyPresentationStateStorage, "PR", name)
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = (
        header.SOPClassUID,
        header.SOPInstanceUID,
    )
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = header.SeriesInstanceUID, [image]
    made.ReferencedSeriesSequence = [series]
    text = Dataset()
    text.UnformattedTextValue = words
    if place is not None:
        text.AnchorPointAnnotationUnits = "PIXEL"
        text.AnchorPoint = [place[0] + CORNER, place[1] + CORNER]
        text.AnchorPointVisibility = "Y"
    annotation = Dataset()
    annotation.ReferencedImageSequence, annotation.GraphicLayer = [image], "A"
    annotation.TextObjectSequence = [text]
    made.GraphicAnnotationSequence = [annotation]
    return made


def _in_study(header: Dataset, sop_class: str, modality: str, name: str) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = sop_class, modality
    made.SOPInstanceUID = uid_of(name, header.SOPInstanceUID)
    made.SeriesInstanceUID = uid_of(name, "series", header.SOPInstanceUID)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
        setattr(made, keyword, header.get(keyword, ""))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made
