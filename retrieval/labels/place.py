"""Body-part tags from a lesion's type and position: nothing of the image is looked at.

The lesion type names its organ. The side of lung and kidney follows from the normalised x: on
DeepLesion's official rows whose reports name a side (LesaNet's mined labels), the half of the
picture is the side's in ``SIDE_SHARE`` of the lesions.
"""

from __future__ import annotations

from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.lesion import Lesion, LesionType
from retrieval.tag import Tag, TagSource

MODEL = "type and position"
"""What these tags call their model."""

TYPE_SHARE = 0.95
"""The probability of the organ that a type names."""

SIDE_SHARE = {LesionType.LUNG: 0.825, LesionType.KIDNEY: 0.847}
"""Right half is right side: 974 lung and 157 kidney lesions of the validation and test splits."""

_SIDED = {LesionType.LUNG: "lung", LesionType.KIDNEY: "kidney"}
_MIDDLE_X = 0.5


def place_tags(lesion: Lesion, vocabulary: Vocabulary) -> tuple[Tag, ...]:
    """The body parts of a lesion, with all that they imply; none for an unknown type.

    The patient's right is on the left of the picture, so that x below 0.5 is the right side.
    """
    kind = lesion.lesion_type
    if kind is LesionType.UNKNOWN or kind.value not in vocabulary:
        return ()
    shares = dict.fromkeys(sorted(vocabulary.expand([kind.value])), TYPE_SHARE)
    if kind in _SIDED and lesion.location is not None:
        side = "right" if lesion.location[0] < _MIDDLE_X else "left"
        shares[f"{side} {_SIDED[kind]}"] = SIDE_SHARE[kind]
    return tuple(
        Tag(term, share, TagSource.PREDICTED, MODEL)
        for term, share in shares.items()
        if term in vocabulary
    )
