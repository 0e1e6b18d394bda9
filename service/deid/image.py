"""One DICOM CT image without its patient: an allow-list of attributes, all else is dropped.

The rule is the other way round from the standard's profiles (PS3.15 Annex E lists what to remove):
nothing passes but what the product reads, each element checked for what it may hold. Pixels are
decoded and written plainly, so that neither a codec's comments nor bits beyond those stored nor
bytes after the last pixel go along.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from retrieval.lesion import LesionSearchError
from retrieval.sources.dicom.objects import SCREEN_WORDS
from service.deid.burned_in import shows_text
from service.deid.numbers import plain_numbers
from service.deid.pseudonyms import PseudonymError, PseudonymKey

METHOD = "Lesion Search allow-list 2; pseudonyms HMAC-SHA256"
IMPLEMENTATION_UID = "2.25.12467360734912357392478160221704035455"


class Rule(StrEnum):
    """What becomes of an allowed attribute."""

    UID = "new UID under 2.25"
    STANDARD_UID = "kept: a UID of the standard"
    PATIENT = "pseudonym"
    DATE = "moved by the patient's own number of days"
    NUMBER = "kept within its range, to the decimals that it needs"
    CODE = "kept if it is one of the known words"


ALLOWED: Mapping[str, Rule] = {
    "SOPClassUID": Rule.STANDARD_UID,
    "SOPInstanceUID": Rule.UID,
    "StudyInstanceUID": Rule.UID,
    "SeriesInstanceUID": Rule.UID,
    "FrameOfReferenceUID": Rule.UID,
    "PatientID": Rule.PATIENT,
    "PatientName": Rule.PATIENT,
    "StudyDate": Rule.DATE,
    "SeriesDate": Rule.DATE,
    "AcquisitionDate": Rule.DATE,
    "ContentDate": Rule.DATE,
    "Modality": Rule.CODE,
    "ImageType": Rule.CODE,
    "PatientPosition": Rule.CODE,
    "PhotometricInterpretation": Rule.CODE,
    "LossyImageCompression": Rule.CODE,
    "RecognizableVisualFeatures": Rule.CODE,
    "SeriesNumber": Rule.NUMBER,
    "AcquisitionNumber": Rule.NUMBER,
    "InstanceNumber": Rule.NUMBER,
    "SliceThickness": Rule.NUMBER,
    "SpacingBetweenSlices": Rule.NUMBER,
    "SliceLocation": Rule.NUMBER,
    "ImagePositionPatient": Rule.NUMBER,
    "ImageOrientationPatient": Rule.NUMBER,
    "PixelSpacing": Rule.NUMBER,
    "KVP": Rule.NUMBER,
    "SamplesPerPixel": Rule.NUMBER,
    "Rows": Rule.NUMBER,
    "Columns": Rule.NUMBER,
    "BitsAllocated": Rule.NUMBER,
    "BitsStored": Rule.NUMBER,
    "HighBit": Rule.NUMBER,
    "PixelRepresentation": Rule.NUMBER,
    "PixelPaddingValue": Rule.NUMBER,
    "PixelPaddingRangeLimit": Rule.NUMBER,
    "RescaleIntercept": Rule.NUMBER,
    "RescaleSlope": Rule.NUMBER,
    "WindowCenter": Rule.NUMBER,
    "WindowWidth": Rule.NUMBER,
}
"""Every attribute that passes, beside the pixels; the table of docs/pacs.md."""

NEEDED = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PixelData")

KNOWN_WORDS: Mapping[str, frozenset[str]] = {
    "Modality": frozenset({"CT"}),
    "ImageType": frozenset(
        {"ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "VOLUME"}
        | {"REFORMATTED", "MPR", "AVERAGE", "RESAMPLED", "HELICAL", "ROTATED"}
    ),
    "PatientPosition": frozenset({"HFS", "HFP", "FFS", "FFP", "HFDR", "HFDL", "FFDR", "FFDL"}),
    "PhotometricInterpretation": frozenset({"MONOCHROME1", "MONOCHROME2"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "RecognizableVisualFeatures": frozenset({"YES", "NO"}),
}

TEXT_SEEN = "text seems to be burned into the pixels near the border: look at it"
FACE = "a face may be recognised on a reconstruction of these slices: deface them before sharing"
HEAD_PARTS = frozenset({"HEAD", "BRAIN", "SKULL", "FACE", "SINUS", "ORBIT", "JAW", "HEADNECK"})
"""Values of BodyPartExamined (PS3.16 Annex L) whose slices may show a face."""

_UNDECODABLE = (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError, TypeError)


class DeidentifyError(LesionSearchError):
    """An image that is not let through."""


@dataclass(frozen=True)
class Deidentified:
    """An image that passed.

    Attributes:
        dataset: what may be written; its file meta is new.
        kept: keywords of the attributes that passed.
        dropped: how many elements of each kind did not: ``public``, ``private``, ``overlay``,
            ``sequence``, and ``unfit`` for allowed attributes that were empty or held something
            else than they may.
        flags: what a reader should look at.
    """

    dataset: Dataset
    kept: tuple[str, ...]
    dropped: Mapping[str, int]
    flags: tuple[str, ...]


def deidentify(dataset: Dataset, key: PseudonymKey) -> Deidentified:
    """A CT image with the allowed attributes alone, its identifiers as pseudonyms.

    Raises:
        DeidentifyError: not a CT image, without the ids a pseudonym is made of, burned-in
            annotation known or likely, or pixels that cannot be decoded.
    """
    flags = check_burned_in(dataset)
    patient_id = patient_id_of(dataset)
    missing = [name for name in NEEDED if not dataset.get(name)]
    if missing:
        raise DeidentifyError(f"there is no {missing[0]}: the image cannot be told from others")
    made = Dataset()
    dropped: Counter[str] = Counter()
    for tag in sorted(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if keyword == "PixelData":
            continue
        if keyword not in ALLOWED:
            dropped[_kind(dataset, tag)] += 1
            continue
        value = _checked(dataset, keyword, key, patient_id)
        if value is None:
            dropped["unfit"] += 1
        else:
            made.add(DataElement(tag, _vr(dataset, tag), value))
    kept = tuple(element.keyword for element in made)
    if shows_text(_put_pixels(dataset, made)):
        flags = (*flags, TEXT_SEEN)
    if _shows_a_face(dataset):
        flags = (*flags, FACE)
    _declare(made, key.patient(patient_id))
    return Deidentified(made, kept, dict(dropped), flags)


def patient_id_of(dataset: Dataset) -> str:
    """The patient's id; raises DeidentifyError where there is none to make a pseudonym of."""
    patient_id = str(dataset.get("PatientID") or "").strip()
    if not patient_id:
        raise DeidentifyError("there is no PatientID: its patient would be mixed up with others")
    return patient_id


def check_burned_in(dataset: Dataset) -> tuple[str, ...]:
    """What speaks of text in the pixels of a CT image, as flags; none is the usual answer.

    Raises:
        DeidentifyError: BurnedInAnnotation says YES, or says nothing on what looks like a picture
            of a screen: secondary capture, a colour image, a telling ImageType.
    """
    stated = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if stated == "YES":
        raise DeidentifyError("BurnedInAnnotation is YES: the pixels show text")
    sop_class = UID(str(dataset.get("SOPClassUID") or ""))
    if sop_class != CTImageStorage or dataset.get("Modality") != "CT":
        raise DeidentifyError(
            f"{sop_class.name or 'an unnamed class'}, modality {dataset.get('Modality')!r}: CT "
            "images alone pass"
        )
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "ConversionType" in dataset:
        raise DeidentifyError("a colour image or a secondary capture: it may show text")
    words = " ".join(_texts(dataset.get("ImageType"))).upper()
    if stated == "NO":
        return ()
    if SCREEN_WORDS.search(words):
        raise DeidentifyError(
            "ImageType is that of a picture of a screen and BurnedInAnnotation does not say NO"
        )
    if "SECONDARY" in words:
        return ("derived image that does not say whether text is burned in: look at it",)
    return ()


def _checked(dataset: Dataset, keyword: str, key: PseudonymKey, patient_id: str) -> Any:
    """The value an allowed attribute passes with, None if it does not."""
    with warnings.catch_warnings():
        # A value that breaks its VR's rules is judged here, by what it holds.
        warnings.simplefilter("ignore")
        try:
            value = dataset[keyword].value
        except _UNDECODABLE:
            return None
    return _PASSES[ALLOWED[keyword]](keyword, value, key, patient_id)


def _pass_uid(keyword: str, value: Any, key: PseudonymKey, _: str) -> str:
    try:
        return key.uid(str(value))
    except PseudonymError:
        raise DeidentifyError(f"{keyword} is no UID") from None


def _pass_date(_: str, value: Any, key: PseudonymKey, patient_id: str) -> str | None:
    text = str(value or "").strip()
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
        return None if day is None else key.day(patient_id, day).strftime("%Y%m%d")
    except ValueError:
        return None


def _pass_number(keyword: str, value: Any, _: PseudonymKey, __: str) -> list[Any] | None:
    plain = plain_numbers(keyword, _texts(value))
    if plain is None or dictionary_VR(keyword) in {"DS", "IS"}:
        return plain
    return [int(text) for text in plain]


def _pass_code(keyword: str, value: Any, _: PseudonymKey, __: str) -> list[str] | None:
    return [text for text in _texts(value) if text in KNOWN_WORDS[keyword]] or None


_PASSES: Mapping[Rule, Callable[[str, Any, PseudonymKey, str], Any]] = {
    Rule.UID: _pass_uid,
    Rule.STANDARD_UID: lambda _keyword, value, _key, _patient: str(value),
    Rule.PATIENT: lambda _keyword, _value, key, patient_id: key.patient(patient_id),
    Rule.DATE: _pass_date,
    Rule.NUMBER: _pass_number,
    Rule.CODE: _pass_code,
}


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [str(one).strip() for one in values if one is not None and str(one).strip()]


def _kind(dataset: Dataset, tag: BaseTag) -> str:
    if tag.is_private:
        return "private"
    if tag.group & 0xFF01 == 0x6000:
        return "overlay"
    return "sequence" if dataset.get_item(tag).VR == "SQ" else "public"


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    """The dictionary's VR, whatever the file claims; US or SS as its pixels are."""
    vr = dictionary_VR(tag)
    if vr == "US or SS":
        return "SS" if dataset.get("PixelRepresentation") == 1 else "US"
    return vr


def _shows_a_face(dataset: Dataset) -> bool:
    """Whether the image says so, or is of a head and does not say that it shows none."""
    stated = str(dataset.get("RecognizableVisualFeatures") or "").strip().upper()
    part = str(dataset.get("BodyPartExamined") or "").strip().upper()
    return stated == "YES" or (stated != "NO" and part in HEAD_PARTS)


def _put_pixels(dataset: Dataset, made: Dataset) -> NDArray[np.int32]:
    """The pixels as 16 (or 8) bits, little-endian, nothing in the bits that are not stored.

    Returns them as (rows, columns).
    """
    stored, allocated = int(made.get("BitsStored", 0)), int(made.get("BitsAllocated", 0))
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise DeidentifyError(f"{stored} of {allocated} bits a pixel: 8 or 16 are read")
    if int(made.get("HighBit", stored - 1)) != stored - 1:
        raise DeidentifyError("HighBit is not BitsStored - 1: the pixels' bits are unclear")
    signed = int(made.get("PixelRepresentation", 0)) == 1
    pixels = _decoded(dataset)
    if pixels.shape != (made.get("Rows"), made.get("Columns")):
        raise DeidentifyError(f"pixels have the shape {pixels.shape}: one slice a file is read")
    values = pixels.astype(np.int32) & ((1 << stored) - 1)
    if signed:
        values = np.where(values >> (stored - 1), values - (1 << stored), values)
    kind = f"<{'i' if signed else 'u'}{allocated // 8}"
    raw = values.astype(kind).tobytes()
    made.PixelData = raw + b"\0" * (len(raw) % 2)
    made["PixelData"].VR = "OW" if allocated == 16 else "OB"
    return values


def _decoded(dataset: Dataset) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(dataset.pixel_array)
        except _UNDECODABLE as wrong:
            reason = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
            raise DeidentifyError(f"pixels cannot be decoded: {reason}") from None


def _declare(made: Dataset, pseudonym: str) -> None:
    """What the standard wants to be said, and a file meta that knows nothing of the old file."""
    made.PatientName = pseudonym
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = METHOD
    made.LongitudinalTemporalInformationModified = "MODIFIED"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
