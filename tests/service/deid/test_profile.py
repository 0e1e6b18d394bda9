"""The basic profile of PS3.15, attribute by attribute: the table, the list, and a run."""

from __future__ import annotations

import io
import warnings
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from service.deid.image import ALLOWED, deidentify
from service.deid.pseudonyms import PseudonymKey
from tests.service.deid.profile_table import FULFILLING, rows, text
from tests.service.dicom_samples import SeriesLabels, ct_series

PAGE = Path(__file__).parents[3] / "docs" / "deidentification.md"
KEY = PseudonymKey(b"k" * 32)
LABELS = SeriesLabels("SECRET-1", "1", date(2020, 2, 3))

VALUES = {
    "AE": "SECRET",
    "AS": "066Y",
    "CS": "SECRET",
    "DA": "19500102",
    "DS": "19500102",
    "DT": "19500102101112",
    "IS": "19500102",
    "LO": "SECRET",
    "LT": "SECRET",
    "OB": b"SECRET",
    "OW": b"SECRET",
    "PN": "SECRET^X",
    "SH": "SECRET",
    "ST": "SECRET",
    "TM": "101112.1950",
    "UC": "SECRET",
    "UI": "1.2.840.19500102",
    "UN": b"SECRET",
    "UR": "SECRET",
    "UT": "SECRET",
}
"""Something telling for each VR."""


def test_the_page_is_what_the_program_does():
    assert PAGE.read_text() == text(), "python -m tests.service.deid.profile_table > " + str(PAGE)


def test_every_attribute_of_the_profile_is_dropped_or_replaced_as_it_asks():
    seen = 0
    for number, _, action, _ in rows():
        keyword = keyword_for_tag(number)
        if keyword in ALLOWED:
            seen += 1
            assert action in FULFILLING[ALLOWED[keyword]], keyword
    assert seen == 10
    assert len(list(rows())) > 640


def test_an_image_that_holds_every_attribute_of_the_profile_loses_them_all():
    hu = np.random.default_rng(0).normal(0, 200, (1, 24, 24))
    (image,) = ct_series(hu, LABELS, spacing_mm_px=(0.7, 0.8), interval_mm=2.5)
    replaced = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID")
    added = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, *_ in rows():
            keyword = keyword_for_tag(number)
            if not keyword or keyword in (*replaced, "PixelData") or number >> 16 == 2:
                continue
            vr = dictionary_VR(number)
            if vr == "SQ":
                item = Dataset()
                item.PatientName = "SECRET"
                value = Sequence([item])
            elif vr in VALUES:
                value = VALUES[vr]
            else:
                value = 7
            vr = "OB" if vr == "OB or OW" else vr
            image[Tag(number)] = DataElement(Tag(number), vr, value)
            added += 1
    # A conversion type or a burned-in annotation would be refused outright.
    assert added > 580
    made = deidentify(image, KEY)
    file = io.BytesIO()
    made.dataset.save_as(file, enforce_file_format=True)
    for telling in (b"SECRET", b"19500102", b"1.2.840.19500102", b"066Y", b"101112"):
        assert telling not in file.getvalue(), telling
    for number, _, action, _ in rows():
        keyword = keyword_for_tag(number)
        if keyword in ALLOWED or keyword in ("DeidentificationMethod", "PatientIdentityRemoved"):
            continue
        if keyword == "LongitudinalTemporalInformationModified":
            continue
        assert Tag(number) not in made.dataset, (keyword, action)
    assert len(made.dataset) <= len(ALLOWED) + 4
