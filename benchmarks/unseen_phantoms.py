"""The bundled matcher on phantom patients that it never saw, made as hard as real ones.

    python benchmarks/unseen_phantoms.py ARCHIVE NODULES [--figure FILE]

ARCHIVE holds phantoms of another seed than those of the fit, NODULES lung nodules with their next
slices (``lesion-search import lung-nodules``). Marks are careless and on another scan, a fifth is
left out, one in twenty cannot be recognised, given locations lie as far off as real ones, vectors
are turned as far as those of nodules kept apart (test patients). Scored with locations given,
estimated and absent, and with the last study a box alone, beside location alone and looks alone.
Writes benchmarks/results/tracking_phantom_unseen.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from retrieval.embedding.encoder import LesionEncoder
from retrieval.evaluation.tracking.archive_tracks import TrackingOptions, evaluate_patients
from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.views import RetestPerturbation
from retrieval.tracking.fitting.noise_augmentation import NoiseAugmentation, augmented_patients
from retrieval.tracking.fitting.on_archive import LabelledArchive, labelled_patients
from retrieval.tracking.fitting.realistic import nodule_patients, pair_cosines
from service.figures.calibration import draw_calibration
from service.figures.query import save_figure

RESULT = Path(__file__).parent / "results" / "tracking_phantom_unseen.json"
SEED = 11


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("nodules", type=Path)
    parser.add_argument("--figure", type=Path, help="Also draw the calibration.")
    options = parser.parse_args()
    encoder, generator = LesionEncoder.load(), np.random.default_rng(SEED)
    archive = DeepLesionArchive.open(options.archive)
    view = RetestPerturbation(generator)
    labelled = labelled_patients(archive, encoder, view=view)
    nodules = DeepLesionArchive.open(options.nodules)
    cosines = pair_cosines(nodule_patients(nodules, encoder, (Split.TEST,), generator))
    noise = NoiseAugmentation(cosines=cosines, copies=1)
    noisy = augmented_patients(labelled.patients, noise, generator)
    report = evaluate_patients(
        LabelledArchive(noisy, labelled.left_out),
        archive_name=f"{options.archive.name}, {noise.described()}",
        encoder_name=encoder.name,
        options=TrackingOptions(seed=SEED),
    )
    document = report.to_json()
    RESULT.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    for section, methods in report.sections.items():
        for method, scores in methods.items():
            shown = {name: round(one.value, 3) for name, one in scores.estimates.items()}
            print(f"{section} | {method} | {shown}")
    if options.figure is not None:
        save_figure(draw_calibration(report), options.figure)


if __name__ == "__main__":
    main()
