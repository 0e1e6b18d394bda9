"""LesaNet's spreadsheet of its ontology into the vocabulary file that this project ships.

    python -m retrieval.labels.vocabulary.freezing lesion_ontology_181022.xlsx > lesanet.json

The spreadsheet has a row a term: id, class, term, synonyms, how often it was found, exclusive
terms, parents, children; lists are separated by `` | ``. It names six parents that have no row of
their own; they become terms that are only ever implied. What it calls exclusive and has no row is
left out.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from retrieval.labels.vocabulary.terms import VocabularyError

_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_KINDS = {"bodypart": "body part", "type": "type", "attribute": "attribute"}
_IMPLIED = {"neoplasm": "type"}
"""The kind of a parent without a row; every other one is a body part."""

SOURCE = (
    "LesaNet's lesion ontology (lesion_ontology_181022.xlsx); Yan et al., Holistic and "
    "Comprehensive Annotation of Clinically Significant Findings on Diverse CT Images, CVPR 2019; "
    "licence in lesanet_license.txt"
)


def frozen(spreadsheet: Path) -> dict[str, Any]:
    """The vocabulary file of a spreadsheet; raises VocabularyError for another file."""
    try:
        header, *rows = _rows(spreadsheet)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise VocabularyError(f"{spreadsheet} is not LesaNet's ontology ({error})") from error
    columns = {name: letter for letter, name in header.items()}
    terms: list[dict[str, Any]] = [
        {
            "id": int(row[columns["id"]]),
            "name": row[columns["term"]].strip(),
            "kind": _KINDS[row[columns["class"]]],
            "synonyms": _listed(row.get(columns["synonyms"], "")),
            "parents": _listed(row.get(columns["term_parents"], "")),
            "exclusive": _listed(row.get(columns["term_exclusive"], "")),
        }
        for row in rows
    ]
    names = {term["name"] for term in terms}
    lacking = {name for term in terms for name in term["parents"] if name not in names}
    implied = [{"name": name, "kind": _IMPLIED.get(name, "body part")} for name in sorted(lacking)]
    for term in terms:
        term["exclusive"] = [name for name in term["exclusive"] if name in names | lacking]
    return {"source": SOURCE, "terms": terms, "implied": implied}


def _listed(cell: str) -> list[str]:
    parts = (" ".join(part.split()) for part in cell.split("|"))
    return list(dict.fromkeys(part for part in parts if part))


def _rows(spreadsheet: Path) -> list[dict[str, str]]:
    """Cells by column letter, row by row."""
    with zipfile.ZipFile(spreadsheet) as parts:
        texts = [
            "".join(text.text or "" for text in one.iter(f"{_SPACE}t"))
            for one in ElementTree.fromstring(parts.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(parts.read("xl/worksheets/sheet1.xml"))
    found = []
    for row in sheet.iter(f"{_SPACE}row"):
        cells = {}
        for cell in row.iter(f"{_SPACE}c"):
            value = cell.find(f"{_SPACE}v")
            letters = re.match(r"[A-Z]+", cell.get("r", ""))
            if value is not None and value.text is not None and letters is not None:
                shared = cell.get("t") == "s"
                cells[letters[0]] = texts[int(value.text)] if shared else value.text
        found.append(cells)
    return found


def text_of(vocabulary: dict[str, Any]) -> str:
    """The file's text: a term a line."""
    lines = [f'{{"source": {json.dumps(vocabulary["source"])},']
    for key, end in (("terms", "],"), ("implied", "]}")):
        listed = ",\n".join(json.dumps(term, ensure_ascii=False) for term in vocabulary[key])
        lines += [f'"{key}": [', listed, end]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text_of(frozen(Path(sys.argv[1]))))
