"""Encoders side by side: the bundled one, frozen features, a CT-pretrained stem, any other.

    python benchmarks/encoders.py NODULES --split val --encoder torchvision:resnet18@random \
        --ct-stem astra_ct_stem_bf16.safetensors

NODULES is an archive of rated lung nodules (``lesion-search import lung-nodules``). Every method
finds a nodule on its next slice and tells ratings from the ten nearest nodules of other patients,
at once and from the same patches. The stem is read as the frozen features are: means of all maps
over the lesion's box and of the deepest two over the context, each centred over the set. Beside
the scores stands the processor time of a patch on one thread. Writes
benchmarks/results/encoders.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from retrieval.embedding.external.opening import open_encoder
from retrieval.evaluation.retrieval.baselines import BASELINE_SPEC
from retrieval.evaluation.retrieval.frozen import FrozenFeatures
from retrieval.evaluation.retrieval.nodules import evaluate_nodules
from retrieval.evaluation.retrieval.pixels import EncoderMethod, PixelMethod
from retrieval.evaluation.retrieval.protocol import RetrievalOptions
from retrieval.lesion import Split
from retrieval.patch import Patch
from retrieval.sources.archive import open_archive

RESULT = Path(__file__).parent / "results" / "encoders.json"
STEM_WINDOW = (-1000.0, 200.0)


class CtStem(nn.Module):
    """The first two stages of a ResNet-152 pretrained on chest CT: three maps, strides 2 to 8.

    It was trained on pictures with x to the right and y to the front: pictures are turned on the
    way in, and the maps back.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torchvision.models import resnet152

        whole = resnet152(weights=None)
        self.conv1, self.bn1, self.relu = whole.conv1, whole.bn1, whole.relu
        self.maxpool, self.layer1, self.layer2 = whole.maxpool, whole.layer1, whole.layer2
        self.load_state_dict({name: value.float() for name, value in load_file(weights).items()})

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Maps of 64, 256 and 512 channels."""
        first = self.relu(self.bn1(self.conv1(_turned(pictures))))
        second = self.layer1(self.maxpool(first))
        return [_turned(level) for level in (first, second, self.layer2(second))]


class Timed:
    """A method that counts its processor time."""

    def __init__(self, method: PixelMethod) -> None:
        self.method, self.spec = method, method.spec
        self.seconds, self.patches = 0.0, 0

    def describe(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        """As the method does."""
        start = time.process_time()
        described = self.method.describe(patches)
        self.seconds += time.process_time() - start
        self.patches += len(patches)
        return described

    def vectors(self, described: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """As the method does."""
        return self.method.vectors(described)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--encoder", action="append", default=[], help="beside the bundled one")
    parser.add_argument("--ct-stem", type=Path)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    methods = [Timed(FrozenFeatures.imagenet())]
    if arguments.ct_stem is not None:
        spec = replace(BASELINE_SPEC, windows=(STEM_WINDOW,) * 3)
        stem = FrozenFeatures(CtStem(arguments.ct_stem), name="CT stem", spec=spec)
        methods.append(Timed(stem))
    for name in [*arguments.encoder, None]:
        methods.append(_encoder(name))
    report = evaluate_nodules(
        open_archive(arguments.archive),
        None,
        BASELINE_SPEC,
        RetrievalOptions(resamples=arguments.resamples, pixel_baselines=methods),
        splits=(Split(arguments.split),),
    )
    document = {
        **report.to_json(),
        "processor_ms_a_patch": {
            one.method.name: round(one.seconds / one.patches * 1000, 1)  # type: ignore[attr-defined]
            for one in methods
        },
    }
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for score in report.scores:
        print(score.name)
        for method, estimate in score.estimates.items():
            print(f"    {method}: {estimate.text()}")
    print(document["processor_ms_a_patch"])


def _encoder(name: str | None) -> Timed:
    encoder = open_encoder(name)
    return Timed(
        EncoderMethod(encoder.name, lambda patches: encoder.embed(patches).vectors, encoder.spec)
    )


def _turned(pictures: Tensor) -> Tensor:
    return pictures.transpose(-1, -2).flip(-1, -2)


if __name__ == "__main__":
    main()
