"""The basic profile of DICOM PS3.15 (Table E.1-1), attribute by attribute, beside what we do.

python -m tests.service.deid.profile_table > docs/deidentification.md
"""

from __future__ import annotations

from collections.abc import Iterator

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as profile
from pydicom.datadict import dictionary_description, keyword_for_tag
from pydicom.tag import Tag

from service.deid.image import ALLOWED, Rule

EDITION = "2026c"

ACTIONS = {
    "D": profile.D_TAGS,
    "Z": profile.Z_TAGS,
    "X": profile.X_TAGS,
    "U": profile.U_TAGS,
    "Z/D": profile.Z_D_TAGS,
    "X/Z": profile.X_Z_TAGS,
    "X/D": profile.X_D_TAGS,
    "X/Z/D": profile.X_Z_D_TAGS,
    "X/Z/U*": profile.X_Z_U_STAR_TAGS,
}
"""The standard's codes: D a dummy value, Z zero length, X removed, U another UID."""

REPEATING = {
    (0x5000, 0x0000): "(50xx,xxxx) Curve Data",
    (0x6000, 0x4000): "(60xx,4000) Overlay Comments",
    (0x6000, 0x3000): "(60xx,3000) Overlay Data",
}

FULFILLING = {
    Rule.UID: {"U"},
    Rule.PATIENT: {"Z", "Z/D", "D"},
    Rule.DATE: {"Z", "Z/D", "X/D", "X/Z", "D", "X/Z/D", "X"},
}
"""Which actions a rule fulfils; dates by the option of retained intervals with modified dates."""

HEAD = f"""# De-identification, attribute by attribute

`lesion-search deidentify` passes the attributes of one list and drops all else
([PACS](pacs.md), De-identification). This page holds that against the Basic Application Level
Confidentiality Profile of DICOM PS3.15 {EDITION}, Table E.1-1: every attribute that the profile
names, the profile's action, and what becomes of the attribute here. It is written by
`python -m tests.service.deid.profile_table`. A test compares both, and runs an image that holds
every one of these attributes through the program.

The profile's actions: X remove, Z zero length, D a dummy value, U another UID; a stroke means that
either may be needed, depending on the type of the attribute in its module. Here an attribute is
dropped also where the profile asks for zero length or a dummy value: attributes of type 2, as
PatientBirthDate, are then absent instead of empty.

Beyond the profile:

* Numbers pass within the range of their attribute on CT, with no more decimals than geometry needs,
  so that a series number cannot be a date of birth (`service/deid/numbers.py`).
* `RecognizableVisualFeatures` is kept. An image that says YES, or is of a head and does not say NO,
  is flagged: a face may be recognised. Faces themselves are neither looked for nor removed.
* Glyphs burned into the air around the body are looked for and flagged
  (`service/deid/burned_in.py`). Measured once: of 640 real slices without text 2 were flagged; of
  300 texts drawn near the border of real slices 275 were found. Text over the body is not looked
  for.

| tag | attribute | profile | here |
| --- | --- | --- | --- |
"""


def rows() -> Iterator[tuple[int, str, str, str]]:
    """(tag, name, action, what becomes of it) of every attribute of the profile, by tag."""
    found = {}
    for action, tags in ACTIONS.items():
        for tag in tags:
            if len(tag) == 2:
                number = int(Tag(tag))
                found[number] = (_name(number), action, _fate(keyword_for_tag(number)))
            else:
                name = REPEATING[tag[0], tag[1]]
                found[(tag[0] << 16) | tag[1]] = (name, action, "dropped")
    for number, row in sorted(found.items()):
        yield number, *row


def text() -> str:
    """The page."""
    lines = [
        f"| {'' if name.startswith('(') else str(Tag(number)).replace(', ', ',')} | {name} "
        f"| {action} | {fate} |"
        for number, name, action, fate in rows()
    ]
    return HEAD + "\n".join(lines) + "\n"


def _fate(keyword: str) -> str:
    return ALLOWED[keyword].value if keyword in ALLOWED else "dropped"


def _name(number: int) -> str:
    try:
        return str(dictionary_description(number))
    except KeyError:
        return "(an attribute newer than pydicom's dictionary)"


if __name__ == "__main__":
    print(text(), end="")
