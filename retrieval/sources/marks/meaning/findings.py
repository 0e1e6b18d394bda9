"""What a mark's words say it is: a lesion, anatomy, or nothing; and which of the lesion types.

What was measured with a diameter is a lesion unless it is called anatomy. Segments and regions
are mostly organs: they are lesions only where their category or name says so.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from retrieval.lesion import LesionType
from retrieval.sources.marks.mark import Carrier, Concept, Mark

MORPHOLOGICALLY_ABNORMAL = frozenset({"49755003", "M-01000"})
"""Property category of segments that are lesions, in SCT and SRT."""

_ANATOMY_CATEGORIES = frozenset(
    {"85756007", "123037004", "91723000", "T-D0050", "T-D000A", "309825002", "T-D0060"}
)
"""Tissue, anatomical structure, body structure, spatial concept."""

_LESION = re.compile(
    r"lesion|nodul|\bmass(es)?\b|tumou?r|neoplas|metasta|\bmets?\b|cancer|carcino|sarcom|lymphom|"
    r"melanom|adenom|h[ae]+mangiom|hamartom|cyst(?!ic artery|ic duct)|abscess|adenopath|"
    r"\blymph ?nodes?\b|\bnodes?\b|\bln\d*\b|\bgtv|target|non-?target|recist|malign|abnormal|"
    r"\bfinding\b|granulom|infiltrat|consolidat|opacit",
    re.IGNORECASE,
)
_ANATOMY = re.compile(
    r"aort|arter|\bvein|venous|vena\b|vessel|spinal|\bcord\b|vertebra|\bspine|carina|trache|"
    r"bronch(us|i)\b|esophag|oesophag|heart|cardiac|ventric|atri(um|al)|pericard|\blungs?\b|"
    r"\blobe\b|liver|hepatic|spleen|kidney|renal|bladder|pancreas|stomach|bowel|colon|rectum|"
    r"duoden|uter|ovar|prostate|thyroid|adrenal|muscle|\bfat\b|\bskin\b|\bbones?\b|\brib|femur|"
    r"humer|pelvis|skull|brain(?!.{0,60}met)|\beyes?\b|\blens\b|parotid|mandib|\bbody\b|external|"
    r"couch|table|contour|background|capillar|\bduct\b|diaphragm|thorax|abdomen|organ\b|tissue\b",
    re.IGNORECASE,
)
_SURE_ANATOMY = re.compile(
    r"aort|arter|\bvein|vena\b|vessel|spinal|\bcord\b|vertebra|carina|trache|heart|cardiac|"
    r"ventric|atri(um|al)",
    re.IGNORECASE,
)
"""Free text and sites that name one of these are of anatomy; "liver" there is where a lesion is."""

_MARGIN = re.compile(r"\b(ctv|ptv|itv|isodose|dose|ring|avoid|prv)", re.IGNORECASE)
_MARGIN_TYPES = frozenset({"CTV", "PTV", "TREATED_VOLUME", "IRRAD_VOLUME", "DOSE_REGION"})
_ANATOMY_TYPES = frozenset(
    {"ORGAN", "EXTERNAL", "AVOIDANCE", "SUPPORT", "BOLUS", "CAVITY", "FIXATION"}
)

_TYPE_OF_CODE: Mapping[str, LesionType] = {
    **dict.fromkeys(("272673000", "T-11100", "RID13197"), LesionType.BONE),
    **dict.fromkeys(
        ("818981001", "818983003", "T-D4000", "RID56", "RID170", "15776009", "T-65000"),
        LesionType.ABDOMEN,
    ),
    **dict.fromkeys(("72410000", "T-D3300", "RID1384"), LesionType.MEDIASTINUM),
    **dict.fromkeys(("10200004", "T-62000", "RID58"), LesionType.LIVER),
    **dict.fromkeys(("39607008", "T-28000", "RID1301"), LesionType.LUNG),
    **dict.fromkeys(("64033007", "T-71000", "RID205"), LesionType.KIDNEY),
    **dict.fromkeys(("87784001", "T-1A500", "RID6260"), LesionType.SOFT_TISSUE),
    **dict.fromkeys(("816092008", "T-D6000", "RID2507"), LesionType.PELVIS),
}
_TYPE_OF_WORDS: Sequence[tuple[re.Pattern[str], LesionType]] = tuple(
    (re.compile(pattern, re.IGNORECASE), lesion_type)
    for pattern, lesion_type in (
        (r"liver|hepat", LesionType.LIVER),
        (r"kidney|renal\b|\brenal", LesionType.KIDNEY),
        (r"mediastin|hilar|hilum|thymus|paratrache|subcarin", LesionType.MEDIASTINUM),
        (r"\blungs?\b|pulmon|bronch|pleura", LesionType.LUNG),
        (r"pelvi|prostat|bladder|uter|ovar|rectum|rectal|iliac|inguin", LesionType.PELVIS),
        (r"bone|osseous|vertebra|\brib\b|femur|sacrum|skelet|spine\b", LesionType.BONE),
        (r"soft.tissue|muscle|subcutan|breast|axill|\bskin\b", LesionType.SOFT_TISSUE),
        (
            r"abdom|pancrea|spleen|splenic|adrenal|bowel|stomach|gastric|mesenter|retroperiton|"
            r"colon|gallbladder|duoden|omentum|periton",
            LesionType.ABDOMEN,
        ),
    )
)


_WORD = re.compile(r"[^\W\d_]+")
_PLAIN_WORDS = frozenset(
    {"left", "right", "upper", "lower", "middle", "anterior", "posterior", "total", "both", "and"}
    | {"of", "the", "in", "segment", "region", "roi", "new", "old", "primary", "small", "large"}
    | {"l", "r", "lt", "rt", "gtv", "ctv", "ptv", "itv", "prv", "node", "sinistra", "dextra"}
    | {"organ", "lesion", "tissue", "mass", "low", "mid", "hilar", "lobe", "gross", "volume"}
)
_STEMS = (_LESION, _ANATOMY)


def is_vocabulary(name: str) -> bool:
    """Whether a name holds only words of the body, of lesions and of planning, and numbers.

    Whole words must match: "Liverpool" is none of them, and a person's name is none either.
    """
    words = _WORD.findall(name)
    return bool(words) and all(
        word.lower() in _PLAIN_WORDS or any(_is_whole(stem, word) for stem in _STEMS)
        for word in words
    )


def _is_whole(stem: re.Pattern[str], word: str) -> bool:
    """A word of a stem and at most an ending of three letters: vertebra, vertebrae."""
    found = stem.match(word)
    return found is not None and len(word) - found.end() <= MOST_ENDING


MOST_ENDING = 3


class Subject(StrEnum):
    """What a mark is of, by its words."""

    LESION = "lesion"
    ANATOMY = "anatomy"
    MARGIN = "margin"
    """A treatment volume: wider than the lesion by intention."""
    UNSAID = "unsaid"


def subject_of(mark: Mark, names: Sequence[str] = ()) -> tuple[Subject, str]:
    """What a mark is of, and the words that say so.

    ``names`` are labels that a user declared to be lesions, ``*`` standing for anything.
    """
    if any(fnmatch.fnmatchcase(mark.label.lower(), name.lower()) for name in names):
        return Subject.LESION, mark.label
    if mark.carrier is Carrier.RTSTRUCT:
        return _of_region(mark)
    return _of_mark(mark)


def lesion_type_of_mark(mark: Mark) -> LesionType:
    """The lesion type of a mark's site, else of what its words name; unknown where neither does."""
    known = _TYPE_OF_CODE.get(mark.site.value)
    if known is not None:
        return known
    for words in (mark.site.meaning, mark.finding.meaning, mark.label):
        for pattern, lesion_type in _TYPE_OF_WORDS:
            if pattern.search(words):
                return lesion_type
    return LesionType.UNKNOWN


def _of_mark(mark: Mark) -> tuple[Subject, str]:
    if mark.category.value in MORPHOLOGICALLY_ABNORMAL:
        return Subject.LESION, mark.category.meaning
    subject = _of_concept(mark.finding)
    if subject is not Subject.UNSAID:
        return subject, mark.finding.meaning or mark.finding.value
    for words in (mark.label, mark.tracking_id):
        if _LESION.search(words):
            return Subject.LESION, words
    if mark.category.value in _ANATOMY_CATEGORIES:
        return Subject.ANATOMY, mark.category.meaning
    told = (mark.label, mark.tracking_id, mark.site.meaning if not mark.finding else "")
    sure = next((words for words in told if _SURE_ANATOMY.search(words)), None)
    if sure is not None:
        return Subject.ANATOMY, sure
    return Subject.UNSAID, mark.finding.meaning or mark.label


def _of_region(mark: Mark) -> tuple[Subject, str]:
    """Of a structure set's region: its name first, because planning systems call all ORGAN."""
    name, kind = mark.label.replace("_", " "), mark.category.value
    if kind in _MARGIN_TYPES or _MARGIN.search(name):
        return Subject.MARGIN, mark.label
    if kind == "GTV" or _LESION.search(name):
        return Subject.LESION, mark.label
    if _ANATOMY.search(name):
        return Subject.ANATOMY, mark.label
    subject = _of_concept(mark.finding)
    if subject is not Subject.UNSAID:
        return subject, mark.finding.meaning
    return (Subject.ANATOMY, kind.lower()) if kind in _ANATOMY_TYPES else (Subject.UNSAID, name)


def _of_concept(concept: Concept) -> Subject:
    words = concept.meaning.replace("_", " ")
    if _LESION.search(words):
        return Subject.LESION
    # Old SNOMED codes tell the axis: T topography, M morphology, D disease.
    if concept.value.startswith("T-") or _ANATOMY.search(words):
        return Subject.ANATOMY
    return Subject.LESION if concept.value.startswith(("M-", "D-")) else Subject.UNSAID
