"""``--types``: which lesion type a label means, and which labels are no lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retrieval.lesion import LesionType
from retrieval.sources.importers.source import ImporterError

SKIP = "skip"
EVERY_LABEL = "*"
FORM = "LABEL=TYPE,... as 1=liver,2=skip or 'GTV=lung,*=skip'; or one TYPE for every label"


@dataclass(frozen=True)
class LabelTypes:
    """Label, in small letters -> lesion type; None where the label is no lesion."""

    types: Mapping[str, LesionType | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> LabelTypes:
        """The mapping that ``FORM`` writes; raises ImporterError or LesionError."""
        if "=" not in text:
            return cls({EVERY_LABEL: _type(text)})
        types: dict[str, LesionType | None] = {}
        for part in text.split(","):
            label, equals, name = part.rpartition("=")
            label = label.strip().lower()
            if not equals or not label or not name.strip():
                raise ImporterError(f"--types {text!r} has the part {part!r}: write {FORM}")
            if label in types:
                raise ImporterError(f"--types {text!r} names the label {label!r} twice")
            types[label] = _type(name)
        return cls(types)

    def of(self, label: str) -> LesionType | None:
        """The type of a label, unknown where nothing was said of it; None to leave it out."""
        every = self.types.get(EVERY_LABEL, LesionType.UNKNOWN)
        return self.types.get(label.strip().lower(), every)

    def unused(self, labels: set[str]) -> list[str]:
        """Labels that were named and never met: misspelt, or of other masks."""
        met = {label.strip().lower() for label in labels}
        return sorted(label for label in self.types if label not in met and label != EVERY_LABEL)


def _type(name: str) -> LesionType | None:
    return None if name.strip().lower() == SKIP else LesionType.parse(name)
