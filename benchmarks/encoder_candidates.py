"""Candidates for an encoder beside one another on nodules: worse scans, next slice, ratings.

    python benchmarks/encoder_candidates.py NODULES --split val --encoder steady --encoder A

NODULES is an archive of rated lung nodules (``lesion-search import lung-nodules``). An encoder is
what ``--encoder`` takes everywhere, ``bundled``, or a run's ``checkpoint.safetensors``. All see the
same patches. Each score has its 95 % interval over patients and, beside the first encoder named,
the interval of the paired difference (the same patients drawn for both). ``--keep`` is a folder of
vectors, so that an encoder is asked once. Prints and, with ``--out``, writes JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from retrieval.embedding.encoder import LesionEncoder, load_network, save_encoder
from retrieval.embedding.external.opening import open_encoder
from retrieval.evaluation.retrieval.degraded_views import EXTRA_DEPTH_MM, worse_scans
from retrieval.evaluation.retrieval.nodules import BENIGN, MALIGNANT, neighbour_ratings
from retrieval.evaluation.retrieval.pixels import EncoderMethod, LesionImages, same_view
from retrieval.evaluation.retrieval.rated_nodules import Nodules, rated_nodules
from retrieval.evaluation.retrieval.robustness import SEED_OF_SCANS, first_rank
from retrieval.evaluation.stats.metrics import auc
from retrieval.lesion import Lesion, Split
from retrieval.sources.archive import Archive, open_archive

WATCHED = (
    "coloured noise, 50 HU",
    "coloured noise, 100 HU",
    "blur, 4 mm full width",
    "sharp kernel, gain 2",
    "metal streaks, 100 HU",
    "metal streaks, 200 HU",
    "slices of 10 mm",
)
"""The steps of ``evaluate robustness`` that tell encoders apart."""

Values = NDArray[np.float64]
Statistic = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True)
class Asked:
    """What every encoder is shown.

    Attributes:
        known: the gallery of all nodules, each on its key slice.
        rows: places in it of those that are asked.
        nodules: those asked, with ratings and next slices.
    """

    archive: Archive
    known: Sequence[Lesion]
    rows: NDArray[np.int64]
    nodules: Nodules

    @classmethod
    def of(cls, archive: Archive, split: Split, most: int) -> Asked:
        """As ``evaluate robustness`` and ``evaluate nodules`` choose them."""
        attributes = archive.attributes
        known = [
            x for x in archive.lesions if attributes.get(x.lesion_id, {}).get("next_slice") != 1
        ]
        places = np.array([n for n, x in enumerate(known) if x.split is split])
        drawn = np.random.default_rng(0).permutation(places)[:most]
        return cls(archive, known, np.sort(drawn), rated_nodules(archive, [split]))

    def vectors(self, method: EncoderMethod) -> dict[str, NDArray[np.float32]]:
        """The encoder's vectors of gallery, worse scans and nodules with their next slices."""
        images = LesionImages(self.archive)
        queries = [self.known[row] for row in self.rows]
        rated = [*self.nodules.table.lesions, *self.nodules.next_slices]
        found = {
            "known": images.describe(self.known, [method], view=same_view)[0],
            "rated": images.describe(rated, [method])[0],
        }
        for scan in worse_scans(SEED_OF_SCANS):
            if scan.name in WATCHED:
                found[scan.name] = images.describe(
                    queries, [method], view=scan, reach_mm=EXTRA_DEPTH_MM
                )[0]
        return found

    def scores(self, found: dict[str, NDArray[np.float32]]) -> dict[str, tuple[Statistic, Values]]:
        """Score to its statistic over rows, and the patient of each row."""
        told: dict[str, tuple[Statistic, Values]] = {}
        patients = _codes([self.known[row].patient_id for row in self.rows])
        for name in WATCHED:
            hits = first_rank(found[name], found["known"], self.rows)
            told[f"{name}: recall@1"] = (_mean(hits), patients)
        table, following = self.nodules.table, self.nodules.next_slice_of
        count = len(table)
        asked, gallery = found["rated"][following], found["rated"][count:]
        own = first_rank(asked, gallery, np.arange(len(following)))
        told["next slice: recall@1"] = (_mean(own), table.patients[following])
        malignancy = self.nodules.ratings["malignancy"]
        decided = np.flatnonzero((malignancy <= BENIGN) | (malignancy >= MALIGNANT))
        said = neighbour_ratings(table, found["rated"][:count], malignancy)[decided]
        malignant = malignancy[decided] >= MALIGNANT
        told["malignancy AUC"] = (
            lambda drawn: auc(said[drawn], malignant[drawn]),
            table.patients[decided],
        )
        for name in ("texture", "spiculation"):
            ratings = self.nodules.ratings[name]
            off = np.abs(neighbour_ratings(table, found["rated"][:count], ratings) - ratings)
            told[f"{name} error"] = (_mean(off), table.patients)
        return told


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument(
        "--encoder", action="append", required=True, help="the first is compared to"
    )
    parser.add_argument("--queries", type=int, default=120)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="folder of vectors by fingerprint")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = Asked.of(open_archive(options.archive), Split(options.split), options.queries)
    every = {name: _scored(asked, name, options) for name in options.encoder}
    document: dict[str, dict[str, dict[str, str]]] = {}
    reference = every[options.encoder[0]]
    for score, (statistic, patients) in reference.items():
        document[score] = {}
        for name, scores in every.items():
            one, other = scores[score][0], statistic
            document[score][name] = {
                "value": _with_interval(one, patients, options.resamples),
                "beside the first": _with_interval(
                    lambda rows, one=one, other=other: one(rows) - other(rows),
                    patients,
                    options.resamples,
                ),
            }
            print(f"{score:35} {name[-40:]:40} {document[score][name]}")
    if options.out:
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _scored(
    asked: Asked, name: str, options: argparse.Namespace
) -> dict[str, tuple[Statistic, Values]]:
    encoder = _opened(name)
    method = EncoderMethod(name, lambda patches: encoder.embed(patches).vectors, encoder.spec)
    if options.keep is None:
        return asked.scores(asked.vectors(method))
    options.keep.mkdir(parents=True, exist_ok=True)
    path = options.keep / f"{options.split}-{options.queries}-{encoder.fingerprint}.npz"
    if not path.is_file():
        np.savez(path, **asked.vectors(method))
    with np.load(path) as kept:
        return asked.scores(dict(kept))


def _opened(name: str) -> LesionEncoder:
    """An encoder by name; a checkpoint's network is written beside it first."""
    if name == "bundled":
        return open_encoder(None)
    if Path(name).name != "checkpoint.safetensors":
        return open_encoder(name)
    network, _ = load_network(Path(name).with_name("start.safetensors"))
    with safe_open(name, framework="pt") as stored:
        begin = "weights/network."
        names = [key for key in stored.keys() if key.startswith(begin)]  # noqa: SIM118
        network.load_state_dict({key.removeprefix(begin): stored.get_tensor(key) for key in names})
        step = (stored.metadata() or {})["step"]
    path = Path(name).with_name(f"step-{step}.safetensors")
    save_encoder(network, path, name=f"step {step}")
    return open_encoder(str(path))


def _with_interval(statistic: Statistic, patients: Values, resamples: int) -> str:
    """The statistic and its 95 % interval over patients, the same ones for every encoder."""
    generator = np.random.default_rng(0)
    rows_of = [np.flatnonzero(patients == one) for one in np.unique(patients)]
    value = statistic(np.arange(len(patients)))
    results = [
        statistic(np.concatenate([rows_of[n] for n in drawn]))
        for drawn in generator.integers(0, len(rows_of), (resamples, len(rows_of)))
    ]
    low, high = np.nanpercentile(results, (2.5, 97.5))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _mean(values: Values) -> Statistic:
    return lambda rows: float(np.nanmean(values[rows]))


def _codes(names: Sequence[str]) -> Values:
    return np.unique(names, return_inverse=True)[1]


if __name__ == "__main__":
    main()
