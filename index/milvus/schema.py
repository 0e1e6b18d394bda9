"""What a Milvus collection of lesions holds, and whose vectors it says they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import EncoderBinding, LesionRecord
from index.errors import EncoderMismatchError, MilvusError
from index.milvus.expression import (
    LEAST_NUMBER,
    MISSING_CATEGORY,
    MISSING_DAY,
    MISSING_NUMBER,
    OWN_ROWS,
    sourced,
)
from retrieval.tag import Tag

SOFTWARE = "lesion-search"
FORM = 3
"""The version of the fields below."""

PARTITIONS = 16
"""Patients are spread over so many partitions; a search of one patient reads one of them."""

TEXT_BYTES = 65_535
"""Milvus' limit of a text."""

TAGS = 4_096
"""Milvus' limit of an array."""

MEASURED = ("measured_long_mm", "measured_short_mm", "volume_mm3")
"""Fields of what a mask measures."""

Entity = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """The index and the encoder a collection's vectors come from; its description."""

    identity: str
    fingerprint: str
    encoder_name: str
    dimension: int

    @classmethod
    def of(cls, identity: str, binding: EncoderBinding) -> Self:
        """The owner that an index itself is."""
        return cls(identity, binding.fingerprint, binding.name, binding.dimension)

    @classmethod
    def parse(cls, description: str, collection: str) -> Self:
        """The owner from a description; raises MilvusError where it is none of ours."""
        try:
            said = json.loads(description)
            if said["software"] != SOFTWARE:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise MilvusError(
                f"the collection {collection!r} was not made by {SOFTWARE}: name another one with "
                "--collection"
            ) from None
        if said["form"] != FORM:
            raise MilvusError(
                f"the collection {collection!r} has the form {said['form']}, this program writes "
                f"{FORM}: fill it anew with `lesion-search index sync --replace`"
            )
        return cls(
            str(said["index"]),
            str(said["fingerprint"]),
            str(said["encoder"]),
            int(said["dimension"]),
        )

    def to_description(self) -> str:
        """The collection's description, plain JSON."""
        return json.dumps(
            {
                "software": SOFTWARE,
                "form": FORM,
                "index": self.identity,
                "fingerprint": self.fingerprint,
                "encoder": self.encoder_name,
                "dimension": self.dimension,
            }
        )

    def refuse_other(self, held: Owner, collection: str) -> None:
        """Raises where a collection's vectors are of another encoder, or of another index.

        Raises:
            EncoderMismatchError: another encoder filled it.
            MilvusError: another index did.
        """
        remedy = (
            "name another collection with --collection, or fill this one anew with "
            "`lesion-search index sync --replace`"
        )
        if (held.fingerprint, held.dimension) != (self.fingerprint, self.dimension):
            raise EncoderMismatchError(
                f"the Milvus collection {collection!r} was filled by encoder {held.fingerprint} "
                f"({held.encoder_name}, {held.dimension} numbers), the index by "
                f"{self.fingerprint} ({self.encoder_name}, {self.dimension} numbers): {remedy}"
            )
        if held.identity != self.identity:
            raise MilvusError(
                f"the Milvus collection {collection!r} holds the lesions of another index: {remedy}"
            )


@dataclass(frozen=True, slots=True)
class SyncState:
    """The catalog's generation that a collection is level with, and the newest row of it.

    ``row`` is the collection's own row that says so; each sync state has the one below the last's.
    """

    generation: int = 0
    last_row: int = 0
    row: int = OWN_ROWS

    def to_entity(self, dimension: int) -> Entity:
        """The collection's own row, which every expression leaves out."""
        said = json.dumps({"generation": self.generation, "last_row": self.last_row})
        vector = np.zeros(dimension, dtype=np.float32)
        return {**_BLANK, "row": self.row, "lesion_id": said, "vector": vector}

    @classmethod
    def of(cls, entity: Mapping[str, Any]) -> Self:
        """The sync state that one of the collection's own rows says."""
        said = json.loads(entity["lesion_id"])
        return cls(int(said["generation"]), int(said["last_row"]), int(entity["row"]))


_BLANK: Entity = {
    "stamp": 0,
    "patient_id": "",
    "study_id": "",
    "lesion_type": -1,
    "split": -1,
    "long_mm": MISSING_NUMBER,
    "short_mm": MISSING_NUMBER,
    "location_x": MISSING_NUMBER,
    "location_y": MISSING_NUMBER,
    "location_z": MISSING_NUMBER,
    "study_day": MISSING_DAY,
    "tags": [],
    "tag_sources": [],
    "category": MISSING_CATEGORY,
    **dict.fromkeys(MEASURED, MISSING_NUMBER),
}


def stamp(lesion_checksum: int, vector_checksum: int) -> int:
    """One number for both of a row's checksums, positive in 64 bits."""
    return (lesion_checksum << 31) ^ vector_checksum


def entity(row: int, record: LesionRecord, checksum: int) -> Entity:
    """A catalog's row with everything that a filter may ask for."""
    lesion = record.lesion
    vector: NDArray[np.float32] = np.ascontiguousarray(record.vector)
    held = [tag for tag in lesion.tags if tag.holds]
    x, y, z = (None, None, None) if lesion.location is None else lesion.location
    return {
        "row": row,
        "stamp": checksum,
        "patient_id": lesion.patient_id,
        "study_id": lesion.study_id,
        "lesion_id": lesion.lesion_id,
        "lesion_type": lesion.lesion_type.code,
        "split": lesion.split.code,
        "long_mm": _number(lesion.long_mm),
        "short_mm": _number(lesion.short_mm),
        "location_x": _number(x),
        "location_y": _number(y),
        "location_z": _number(z),
        "study_day": MISSING_DAY if lesion.study_date is None else lesion.study_date.toordinal(),
        "tags": [tag.term for tag in held],
        "tag_sources": _sources(held),
        "category": MISSING_CATEGORY if lesion.category is None else lesion.category,
        **dict(zip(MEASURED, map(_number, lesion.measured_numbers), strict=True)),
        "vector": vector,
    }


def collection_schema(client: Any, data_type: Any, owner: Owner) -> Any:
    """The schema; ``client`` and ``data_type`` are pymilvus' MilvusClient and DataType."""
    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=owner.to_description()
    )
    schema.add_field("row", data_type.INT64, is_primary=True)
    schema.add_field("stamp", data_type.INT64)
    schema.add_field("patient_id", data_type.VARCHAR, max_length=TEXT_BYTES, is_partition_key=True)
    for name in ("study_id", "lesion_id", "category"):
        schema.add_field(name, data_type.VARCHAR, max_length=TEXT_BYTES)
    for name in ("lesion_type", "split"):
        schema.add_field(name, data_type.INT8)
    for name in ("long_mm", "short_mm", "location_x", "location_y", "location_z", *MEASURED):
        schema.add_field(name, data_type.DOUBLE)
    schema.add_field("study_day", data_type.INT32)
    for name in ("tags", "tag_sources"):
        schema.add_field(
            name,
            data_type.ARRAY,
            element_type=data_type.VARCHAR,
            max_capacity=TAGS,
            max_length=TEXT_BYTES,
        )
    schema.add_field("vector", data_type.FLOAT_VECTOR, dim=owner.dimension)
    return schema


def _sources(held: Sequence[Tag]) -> list[str]:
    """What ``tag_sources`` holds: each source by itself, and with each of its terms."""
    sources = dict.fromkeys(sourced(tag.source.value) for tag in held)
    return [*sources, *(sourced(tag.source.value, tag.term) for tag in held)]


def _number(value: float | None) -> float:
    """A number as Milvus takes it: unknown as the mark for that, infinity as the largest."""
    if value is None:
        return MISSING_NUMBER
    return float(min(max(value, LEAST_NUMBER), -LEAST_NUMBER))
