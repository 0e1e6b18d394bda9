"""An index tagged: body parts from type and position, terms of the image, labels of reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from index.tags import add_tags
from retrieval.labels.appearance.prediction import features_of_patches, predicted_tags
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.labels.lesanet_files import lesion_ids_of_rows, load_labels
from retrieval.labels.place import place_tags
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.patch import PatchSpec, extract_patch
from retrieval.progress import ReportProgress
from retrieval.tag import Tag, TagSource, strongest
from service.figures.pictures import LesionPictures

PAGE = 500
MODELS = (TagSource.PREDICTED, TagSource.UNLIKELY)
"""Sources that a model's new word replaces."""


@dataclass(frozen=True)
class TaggingReport:
    """What was done.

    Attributes:
        lesions: looked at.
        changed: whose tags are others now.
        predicted: lesions with a term of the image.
        without_pixels: lesions of the head's types whose pixels could not be read.
        unknown: labels of lesions that the index does not hold.
    """

    lesions: int
    changed: int
    predicted: int = 0
    without_pixels: int = 0
    unknown: int = 0

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


def tag_index(
    index: LesionIndex,
    head: TagHead | None,
    vocabulary: Vocabulary,
    progress: ReportProgress | None = None,
) -> TaggingReport:
    """Predicts the tags of every lesion anew; other tags stay, and win.

    Without a head there are body parts alone.

    Raises TagHeadError for a head of another encoder's vectors.
    """
    if head is not None:
        head.check_encoder(index.binding.fingerprint)
    spec = PatchSpec.from_dict(index.binding.patch_spec) if head is not None else None
    pictures, total = LesionPictures(index), index.count()
    changed = seen = predicted = unread = 0
    for page in _pages(index):
        tags = {one.lesion_id: place_tags(one, vocabulary) for one in page}
        if head is not None and spec is not None:
            wanted = [one.lesion_id for one in page if one.lesion_type in head.types]
            found = _of_images(index.records(wanted), pictures, spec, (head, vocabulary))
            unread += len(wanted) - len(found)
            predicted += sum(any(tag.holds for tag in told) for told in found.values())
            for lesion_id, told in found.items():
                tags[lesion_id] = strongest([*tags[lesion_id], *told])
        changed += add_tags(index, tags, replacing=MODELS)
        seen += len(page)
        if progress is not None:
            progress(seen, total)
    return TaggingReport(seen, changed, predicted, unread)


def import_labels(
    index: LesionIndex, labels: Path, table: Path, vocabulary: Vocabulary
) -> TaggingReport:
    """Takes LesaNet's labels over: those of lesions that the index holds; earlier ones go.

    ``table`` is the full DL_info.csv, whose rows the labels name.

    Raises LabelFileError, ArchiveError.
    """
    ids = lesion_ids_of_rows(table)
    tags: dict[str, tuple[Tag, ...]] = {}
    unknown = 0
    for one in load_labels(labels):
        if one.row in ids:
            tags[ids[one.row]] = one.tags(vocabulary)
        else:
            unknown += 1
    held = index.known(list(tags))
    changed = add_tags(
        index,
        {name: found for name, found in tags.items() if name in held},
        replacing=[TagSource.TEXT],
    )
    return TaggingReport(len(held), changed, unknown=unknown + len(tags) - len(held))


def _pages(index: LesionIndex) -> Iterator[list[Lesion]]:
    after = ""
    while page := index.page(after, PAGE):
        yield page
        after = page[-1].lesion_id


def _of_images(
    records: Sequence[LesionRecord],
    pictures: LesionPictures,
    spec: PatchSpec,
    told_by: tuple[TagHead, Vocabulary],
) -> dict[str, tuple[Tag, ...]]:
    """The tags of the lesions whose pixels can be read."""
    read: list[LesionRecord] = []
    patches: list[Any] = []
    for record in records:
        try:
            slab = pictures.slab(record.lesion.lesion_id)
            patches.append(extract_patch(slab, record.lesion.box, spec))
            read.append(record)
        except LesionSearchError:
            continue
    if not read:
        return {}
    features = features_of_patches(np.stack([one.vector for one in read]), patches)
    found = predicted_tags(told_by[0], features, told_by[1])
    return {one.lesion.lesion_id: tags for one, tags in zip(read, found, strict=True)}
