"""categories.json: which lesion is in which category, and how a later lesion finds its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.categories.clustering import nearest_centres
from retrieval.labels.categories.features import (
    CategoryError,
    FeatureSpace,
    FloatArray,
    IntArray,
)
from retrieval.labels.categories.hierarchy import Join
from retrieval.labels.categories.naming import CategoryName
from retrieval.labels.categories.rounds import Round
from retrieval.lesion import Lesion

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Membership:
    """A lesion's category and how sure that is: the probability that a classifier which saw no
    lesion of its patient gives to it."""

    category: str
    confidence: float


@dataclass(frozen=True)
class CategoryFile:
    """The categories of an index.

    Attributes:
        encoder: fingerprint of the encoder whose vectors were clustered.
        names: a name by category id, with what earned it.
        members: lesion id -> category and confidence.
        centres: (k, d) means of the members' features, by category in the order of ``names``.
        space: turns lesions into features.
        tree: joins of categories, closest first.
        rounds: the convergence.
        settled: whether the loop ended by its rule.
        strengths: prediction strength by number of categories, where the number was chosen.
        seed: of every draw.
    """

    encoder: str
    names: Mapping[str, CategoryName]
    members: Mapping[str, Membership]
    centres: FloatArray
    space: FeatureSpace
    tree: tuple[Join, ...]
    rounds: tuple[Round, ...]
    settled: bool
    strengths: Mapping[int, float]
    seed: int

    def assign(self, lesions: Sequence[Lesion], vectors: NDArray[Any], encoder: str) -> list[str]:
        """The nearest category of lesions that were not clustered, by their encoder's vectors.

        Raises:
            CategoryError: vectors of another encoder.
        """
        if encoder != self.encoder:
            raise CategoryError(
                f"these categories were found with the encoder {self.encoder}, the vectors are of "
                f"{encoder}: run categorize on this index"
            )
        ids = list(self.names)
        nearest, _ = nearest_centres(self.space.rows(lesions, vectors), self.centres)
        return [ids[category] for category in nearest]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "format": FORMAT,
            "encoder": self.encoder,
            "categories": {key: asdict(name) for key, name in self.names.items()},
            "lesions": {key: asdict(one) for key, one in self.members.items()},
            "tree": [asdict(join) for join in self.tree],
            "rounds": [asdict(step) for step in self.rounds],
            "settled": self.settled,
            "strengths": {str(count): value for count, value in self.strengths.items()},
            "seed": self.seed,
            "centres": self.centres.round(6).tolist(),
            "space": self.space.to_json(),
        }

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        part = path.with_suffix(path.suffix + ".part")
        part.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A file that ``write`` wrote.

        Raises:
            CategoryError: there is none, or it is no such file.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            if fields["format"] != FORMAT:
                raise CategoryError(
                    f"{path} has the format {fields['format']}, this program reads {FORMAT}"
                )
            return cls(
                encoder=str(fields["encoder"]),
                names={key: _name(name) for key, name in fields["categories"].items()},
                members={key: Membership(**one) for key, one in fields["lesions"].items()},
                centres=np.array(fields["centres"], np.float64),
                space=FeatureSpace.from_json(fields["space"]),
                tree=tuple(Join(**join) for join in fields["tree"]),
                rounds=tuple(Round(**step) for step in fields["rounds"]),
                settled=bool(fields["settled"]),
                strengths={int(count): float(v) for count, v in fields["strengths"].items()},
                seed=int(fields["seed"]),
            )
        except OSError as error:
            raise CategoryError(f"{path} cannot be read: {error.strerror}") from None
        except CategoryError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise CategoryError(f"{path} is no file of categories ({error!r})") from None


def means_of(features: FloatArray, labels: IntArray, count: int) -> FloatArray:
    """(k, d) means of the rows of each category."""
    sums = np.zeros((count, features.shape[1]))
    np.add.at(sums, labels, features)
    held = np.bincount(labels, minlength=count)
    return sums / np.where(held > 0, held, 1)[:, None]


def _name(fields: Mapping[str, Any]) -> CategoryName:
    position = fields["mean_position"]
    return CategoryName(
        name=str(fields["name"]),
        share=float(fields["share"]),
        tracks=int(fields["tracks"]),
        typed_tracks=int(fields["typed_tracks"]),
        mean_position=None if position is None else (position[0], position[1], position[2]),
        tags=tuple(fields["tags"]),
    )
