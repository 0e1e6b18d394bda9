"""Which lesions are queries and which may be found: the released split, the paper's, or all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.stats.metrics import IntArray
from retrieval.lesion import Split
from retrieval.sources.lesion_table import LesionTable
from retrieval.training.paper_split import paper_part


class SplitProtocol(StrEnum):
    """How an archive is divided for scores by lesion type.

    ALL: every typed lesion queries all typed lesions of other patients.
    RELEASED: the official test rows query the typed official train and validation rows.
    PAPER: 25 % seeds / 25 % validation / 50 % test of the typed rows, by patient (Yan et al.,
        CVPR 2018); the division itself was never published: it is that of
        ``retrieval.training.paper_split``, which training with ``paper_seeds`` keeps to.
    """

    ALL = "all"
    RELEASED = "released"
    PAPER = "paper"


@dataclass(frozen=True)
class SplitRows:
    """Rows of a table: ``gallery`` may be found, ``queries`` ask, ``validation`` chooses k."""

    gallery: IntArray
    validation: IntArray
    queries: IntArray


def split_rows(table: LesionTable, protocol: SplitProtocol, *, seed: int) -> SplitRows:
    """The rows of each part; raises EvaluationError if one is empty or shares a patient.

    Only the paper's split depends on ``seed``.
    """
    none = np.empty(0, np.int64)
    if protocol is SplitProtocol.ALL:
        return SplitRows(table.typed_rows, none, table.typed_rows)
    if protocol is SplitProtocol.RELEASED:
        gallery = table.rows_in(Split.TRAIN, Split.VALIDATION)
        parts = SplitRows(gallery, none, table.rows_in(Split.TEST))
    else:
        parts = _paper_rows(table, seed)
    if len(parts.gallery) == 0 or len(parts.queries) == 0:
        raise EvaluationError(
            f"the {protocol.value} split has {len(parts.gallery)} typed lesions to find and "
            f"{len(parts.queries)} typed queries: both are needed; choose the split 'all'"
        )
    check_patients_apart(table, parts)
    return parts


def check_patients_apart(table: LesionTable, parts: SplitRows) -> None:
    """Raises EvaluationError if any patient stands in two parts."""
    for first, second in (
        (parts.gallery, parts.queries),
        (parts.gallery, parts.validation),
        (parts.validation, parts.queries),
    ):
        shared = np.intersect1d(table.patients[first], table.patients[second])
        if len(shared):
            row = int(np.flatnonzero(table.patients == shared[0])[0])
            raise EvaluationError(
                f"{len(shared)} patients stand on both sides of the split, patient "
                f"{table.lesions[row].patient_id} among them: give each patient one split"
            )


def _paper_rows(table: LesionTable, seed: int) -> SplitRows:
    typed = table.typed_rows
    parts = np.array([paper_part(table.lesions[row].patient_id, seed=seed).code for row in typed])
    seeds, validation, test = (
        typed[parts == part.code] for part in (Split.TRAIN, Split.VALIDATION, Split.TEST)
    )
    return SplitRows(seeds, validation, test)
