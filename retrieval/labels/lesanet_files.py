"""LesaNet's files of labels: which lesion has which terms, by the row of DeepLesion's table.

``text_mined_labels_171_and_split.json`` has ``term_list`` and, for each of its own three splits,
``..._lesion_idxs`` (0-based rows of the full DL_info.csv) with ``..._relevant_labels`` and
``..._uncertain_labels``; the training split alone has ``train_irrelevant_labels``. Labels are
numbers into ``term_list``; lists may repeat a label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.lesion import LesionSearchError
from retrieval.sources.deeplesion.table import read_lesion_table
from retrieval.tag import UNCERTAIN, Tag, TagSource, strongest

PARTS = ("train", "val", "test")
MODEL = "LesaNet labels"
"""What imported tags call their origin."""


class LabelFileError(LesionSearchError):
    """A file that holds no labels of lesions."""


@dataclass(frozen=True)
class MinedLabels:
    """The labels of one lesion, as terms.

    Attributes:
        row: 0-based row of the lesion in the full table.
        part: train, val or test of LesaNet's own split.
        relevant: terms that its report states.
        uncertain: terms that it is unsure of.
        irrelevant: terms that it mentions of something else.
    """

    row: int
    part: str
    relevant: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    irrelevant: tuple[str, ...] = ()

    def tags(self, vocabulary: Vocabulary) -> tuple[Tag, ...]:
        """Stated terms with what they imply at 1, uncertain ones at 0.5; of a report.

        What is said of something else is no tag: it denies nothing of this lesion.
        """
        known = [term for term in self.relevant if term in vocabulary]
        stated = sorted({*self.relevant, *vocabulary.expand(known)})
        doubted = [term for term in dict.fromkeys(self.uncertain) if term not in stated]
        return strongest(
            [
                *(Tag(term, UNCERTAIN, TagSource.TEXT, MODEL) for term in doubted),
                *(Tag(term, 1.0, TagSource.TEXT, MODEL) for term in stated),
            ]
        )


def load_labels(file: Path) -> list[MinedLabels]:
    """Every lesion of a label file; raises LabelFileError."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        terms = [str(term) for term in document["term_list"]]
        return [one for part in PARTS for one in _part(document, part, terms)]
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise LabelFileError(
            f"{file} holds no labels ({type(error).__name__}: {error}): LesaNet's "
            "text_mined_labels_171_and_split.json is needed"
        ) from error


def lesion_ids_of_rows(table: Path) -> dict[int, str]:
    """The lesion id of each 0-based row of a table that could be read.

    Raises ArchiveError for a file that is no table.
    """
    parsed = read_lesion_table(table)
    # Line 1 is the header, so that the first row stands on line 2.
    return {row.line - 2: row.lesion.lesion_id for row in parsed.rows}


def _part(document: Mapping[str, Any], part: str, terms: Sequence[str]) -> list[MinedLabels]:
    rows = document[f"{part}_lesion_idxs"]
    relevant = document[f"{part}_relevant_labels"]
    uncertain = document.get(f"{part}_uncertain_labels") or [[]] * len(rows)
    irrelevant = document.get(f"{part}_irrelevant_labels") or [[]] * len(rows)

    def named(numbers: Sequence[int]) -> tuple[str, ...]:
        if any(number < 0 for number in numbers):
            raise IndexError("a label below 0")
        return tuple(dict.fromkeys(terms[number] for number in numbers))

    return [
        MinedLabels(int(row), part, named(said), named(doubted), named(other))
        for row, said, doubted, other in zip(rows, relevant, uncertain, irrelevant, strict=True)
    ]
