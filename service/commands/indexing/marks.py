"""``lesion-search index marks``: in which studies every lesion is marked."""

from __future__ import annotations

from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import IndexOption, JsonFlag
from service.console import answer, answer_json


class MarksCommandError(LesionSearchError):
    """Studies whose marks cannot be declared complete."""


def marks(
    index: IndexOption,
    patient: Annotated[str | None, typer.Option(help="One patient. Default: all.")] = None,
    study: Annotated[
        str | None, typer.Option(help="One study of the patient. Default: every study.")
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Take the declaration back.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Declare that every lesion of the studies is marked: one without a mark is then absent.

    Without this a lesion that is not marked in a study is never called new or vanished.
    """
    from index.lesion_index import LesionIndex

    if study is not None and patient is None:
        raise MarksCommandError(f"--study {study} needs its --patient: a study is one patient's")
    with LesionIndex.open(index) as opened:
        patients = opened.patients() if patient is None else [patient]
        studies = sorted(
            {
                (record.lesion.patient_id, record.lesion.study_id)
                for one in patients
                for record in opened.patient(one)
                if study is None or record.lesion.study_id == study
            }
        )
        if not studies:
            wanted = f"patient {patient}" + ("" if study is None else f", study {study}")
            raise MarksCommandError(f"the index {index} holds no lesion of {wanted}: check the id")
        opened.declare_marks(studies, complete=not incomplete)
    word = "incomplete" if incomplete else "complete"
    if as_json:
        answer_json({"marks": word, "studies": [list(one) for one in studies]})
    else:
        answer(f"marks of {len(studies)} studies are {word}")
