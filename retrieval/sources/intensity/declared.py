"""What a file declares of its values, before any of them is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.sources.intensity.histogram import IntensityKind, IntensityVerdict

HU_RESCALE_TYPES = frozenset({"", "HU"})
"""CT without a RescaleType is in HU (DICOM PS3.3, C.11.1.1.2)."""

_DOUBTFUL_RESCALE_TYPES = frozenset({"US", "HU_MOD"})
"""Unspecified, and Hounsfield units that were modified: the values decide."""

_MAPS = {
    "EFF_ATOMIC_NUM": "effective atomic numbers",
    "Z_EFF": "effective atomic numbers",
    "ZEFF": "effective atomic numbers",
    "ELECTRON_DENSITY": "electron densities",
    "MAT_SPECIFIC": "one material's amount",
    "MAT_FRACTIONAL": "one material's part",
    "MAT_VALUE_BASED": "one material's values",
    "IODINE": "iodine concentrations",
    "PERFUSION": "perfusion values",
    "CBF": "blood flow",
    "RCBF": "blood flow",
    "CBV": "blood volume",
    "RCBV": "blood volume",
    "MTT": "transit times",
    "TTP": "times to peak",
    "TTD": "times to drain",
    "TMAX": "times to maximum",
    "TTS": "times to start",
    "PBV": "blood volume",
    "PERM": "permeability",
    "FLOW_EXTRACTION": "flow extraction",
}
"""Value of ImageType (PS3.3, C.8.15.2 and makers' own) -> what such pixels are."""

_MONOENERGETIC = frozenset({"VMI", "MONOENERGETIC", "MONOENERGETIC_PLUS", "MONO", "MONO_E"})
_MIN_BITS = 10
"""HU of fat, soft tissue and air do not fit into fewer."""


@dataclass(frozen=True, slots=True)
class DeclaredIntensity:
    """What a header says of the values; empty where it says nothing.

    Attributes:
        modality: ``CT``, ``MR`` and so on.
        rescale_type: DICOM RescaleType, or the unit that another format names.
        image_type: the values of DICOM ImageType.
        stored_bits: bits of a stored value, None if not known.
        is_scaled: the stored values are multiplied by a slope other than 1.
    """

    modality: str = ""
    rescale_type: str = ""
    image_type: tuple[str, ...] = ()
    stored_bits: int | None = None
    is_scaled: bool = False


UNDECLARED = DeclaredIntensity()
"""A file that says nothing of its values: they alone decide."""


def judge_declared(declared: DeclaredIntensity) -> IntensityVerdict:
    """What the header alone decides: HU where it says nothing against them."""
    if (seen := _against_hu(declared)) is not None:
        return IntensityVerdict(IntensityKind.OTHER, seen)
    if (seen := _doubtful(declared)) is not None:
        return IntensityVerdict(IntensityKind.UNSURE, seen)
    return IntensityVerdict(IntensityKind.HOUNSFIELD)


def _against_hu(declared: DeclaredIntensity) -> str | None:
    if declared.modality.strip().upper() not in {"", "CT"}:
        return f"are declared as {declared.modality!r}, another modality than CT"
    if _unit(declared) not in HU_RESCALE_TYPES | _DOUBTFUL_RESCALE_TYPES:
        return f"are declared as {declared.rescale_type!r}"
    for value in _image_type(declared):
        if value in _MAPS:
            return f"are declared as {_MAPS[value]} (ImageType {value})"
    if declared.stored_bits is not None and declared.stored_bits < _MIN_BITS:
        scaled = " with a slope" if declared.is_scaled else ""
        return f"are stored in {declared.stored_bits} bits{scaled}: too few for HU"
    return None


def _doubtful(declared: DeclaredIntensity) -> str | None:
    if _unit(declared) in _DOUBTFUL_RESCALE_TYPES:
        return f"are declared as {declared.rescale_type!r}, not as HU"
    for value in _image_type(declared):
        if value in _MONOENERGETIC:
            return (
                f"are HU at one energy (ImageType {value}): contrast medium looks denser or "
                "fainter than in usual CT"
            )
    return None


def _unit(declared: DeclaredIntensity) -> str:
    unit = declared.rescale_type.strip().upper()
    return "HU" if unit in {"HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS"} else unit


def _image_type(declared: DeclaredIntensity) -> list[str]:
    return [value.strip().upper() for value in declared.image_type]
