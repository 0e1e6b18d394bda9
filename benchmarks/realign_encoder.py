"""Encoders of one ancestor added up and aligned with it: a candidate for the bundled one.

    python benchmarks/realign_encoder.py ANCESTOR --add ENCODER 0.7 --add ENCODER 0.7 \
        --cache RUN/cache --archive phantom --archive lung_nodules ... --out encoder.safetensors

ANCESTOR is the encoder that all were trained from, and the teacher. RUN is a run of the recipe
``steady`` over the same archives in the same order, whose patch cache is used. Lesions of the
train split are shown as they are and on worse scans, nodules most. Ratings move the wanted vectors
a little (``towards_ratings``). With ``--own`` the sum itself is the teacher, not ANCESTOR. Prints
the mean cosine to the wanted vectors and the fingerprint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from retrieval.embedding.encoder import load_network, save_encoder
from retrieval.embedding.recipe import load_recipe
from retrieval.embedding.robustness.realign import (
    added,
    described,
    realign,
    towards_ratings,
)
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split
from retrieval.sources.archive import open_archive

RATINGS = ("malignancy", "texture", "spiculation")
SHOWN = {
    "lung_nodules": (1000, 3),
    "real_positions": (700, 1),
    "pasted": (350, 1),
    "sarcoma": (61, 2),
}
"""At most so many lesions of an archive, and how often each on a worse scan."""


def main() -> None:
    """Adds, aligns and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ancestor", type=Path)
    parser.add_argument("--add", action="append", nargs=2, metavar=("ENCODER", "SHARE"))
    parser.add_argument("--archive", action="append", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--ridge", type=float, default=0.03)
    parser.add_argument("--ratings", type=float, default=0.2, help="share per deviation")
    parser.add_argument("--own", action="store_true", help="wanted: the sum's own clean vectors")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recipe, rng = load_recipe("steady"), np.random.default_rng(options.seed)
    archives = [open_archive(folder) for folder in options.archive]
    training = TrainingData.open(archives, recipe, options.cache)
    teacher, name = load_network(options.ancestor)
    changed = [(load_network(Path(file))[0], float(share)) for file, share in options.add]
    network = added(teacher, changed)
    seen, wanted, ratings = [], [], []
    told = [recipe.data.attributes.index(name) for name in RATINGS]
    train = training.rows(Split.TRAIN)
    for number, archive in enumerate(training.names):
        most, views = SHOWN.get(archive, (1000, 1))
        rows = rng.permutation(train[training.table.archives[train] == number])[:most]
        shown = network if options.own else teacher
        targets = shown.heads(described(shown, training, rows, None, rng)).vectors.detach()
        for scan in [None, *[recipe.degradation] * views]:
            seen.append(described(network, training, rows, scan, rng))
            wanted.append(targets)
            ratings.append(torch.from_numpy(training.table.attributes[rows][:, told]))
    targets = towards_ratings(torch.cat(wanted), torch.cat(ratings), share=options.ratings)
    cosine = realign(network, torch.cat(seen), targets, ridge=options.ridge)
    print(f"mean cosine to the wanted vectors {cosine:.4f}")
    print(save_encoder(network, options.out, name=name))


if __name__ == "__main__":
    main()
