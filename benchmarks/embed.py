"""Speed of indexing: patches a second from PNG on disk to vector, over the bare forward pass.

    python benchmarks/embed.py --archive demo/archive --lesions 256

The whole path is the product's own: ``index_archive`` into a fresh index. The bare forward pass
is ``LesionEncoder.embed`` on the same patches, cut before, in the same batches. Both are run
several times in turn and the best of each counts. The share of PNG decoding is the processor time
of decoding the same files over the processor time of the whole path. Writes
benchmarks/results/embed.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder, save_encoder
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.recipe import load_recipe
from retrieval.lesion import Lesion
from retrieval.patch import Patch, extract_patch
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.png import read_deeplesion_png
from service.engine.search_engine import binding_of
from service.jobs.indexing import IndexingOptions, index_archive

LIMIT = 0.7
RESULT = Path(__file__).parent / "results" / "embed.json"


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, help="default: the bundled encoder")
    parser.add_argument("--recipe", help="time this recipe's untrained network instead")
    parser.add_argument("--lesions", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=IndexingOptions().batch_size)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    archive = DeepLesionArchive.open(arguments.archive)
    archive.lesions = archive.lesions[: arguments.lesions]
    options = IndexingOptions(batch_size=arguments.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        encoder = _encoder(arguments, Path(folder))
        run = _Run(archive, encoder, options, Path(folder) / "index")
        measured = run.measured(arguments.repeats)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


@dataclass(frozen=True)
class _Run:
    archive: DeepLesionArchive
    encoder: LesionEncoder
    options: IndexingOptions
    folder: Path

    def measured(self, repeats: int) -> dict[str, object]:
        """The rates and shares, as written."""
        patches = self.patches()
        vectors_of = self.encoder.embed
        vectors_of(patches[: self.options.batch_size])
        whole, bare, decoding = _Best(), _Best(), _Best()
        for _ in range(repeats):
            whole.time(self.index)
            shutil.rmtree(self.folder)
            bare.time(lambda: vectors_of(patches, batch_size=self.options.batch_size))
            decoding.time(self.decode)
        count = len(patches)
        return {
            "encoder": self.encoder.name,
            "device": str(self.encoder.device),
            "patch_px": self.encoder.spec.size_px,
            "lesions": count,
            "batch_size": self.options.batch_size,
            "reader_threads": self.options.readers,
            "torch_threads": torch.get_num_threads(),
            "processors": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
            "machine": platform.machine(),
            "png_to_vector_patches_a_second": round(count / whole.wall_s, 2),
            "bare_forward_patches_a_second": round(count / bare.wall_s, 2),
            "png_to_vector_over_bare": round(bare.wall_s / whole.wall_s, 3),
            "limit": LIMIT,
            "png_decoding_ms_a_lesion": round(decoding.processor_s / count * 1000, 2),
            "png_decoding_share": round(decoding.processor_s / whole.processor_s, 3),
        }

    def index(self) -> None:
        """The product's own path, into a fresh index."""
        with LesionIndex.create(self.folder, binding_of(self.encoder)) as index:
            report = index_archive(self.archive, index, self.encoder, options=self.options)
        if report.failed:
            raise SystemExit(f"{len(report.failed)} lesions failed: {report.failed[0].reason}")

    def patches(self) -> list[Patch]:
        """Every lesion's patch, in memory."""
        depth = self.encoder.spec.half_depth_mm
        return [
            extract_patch(
                self.archive.slab(lesion, half_depth_mm=depth), lesion.box, self.encoder.spec
            )
            for lesion in self.archive.lesions
        ]

    def decode(self) -> None:
        """Reads every PNG that the lesions' slabs are made of, once for each lesion."""
        for lesion in self.archive.lesions:
            for path in self._slices(lesion):
                read_deeplesion_png(path, image_size=self.archive.row(lesion).image_size)

    def _slices(self, lesion: Lesion) -> list[Path]:
        row = self.archive.row(lesion)
        reach = math.ceil(self.encoder.spec.half_depth_mm / row.slice_interval_mm - 1e-6)
        near = range(lesion.key_slice_index - reach, lesion.key_slice_index + reach + 1)
        paths = [self.archive.image_path(lesion.series_id, number) for number in near]
        return [path for path in paths if path.exists()]


@dataclass
class _Best:
    """The least wall and processor time of several runs, in seconds."""

    wall_s: float = math.inf
    processor_s: float = math.inf

    def time(self, work: Callable[[], object]) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        work()
        self.wall_s = min(self.wall_s, time.perf_counter() - wall)
        self.processor_s = min(self.processor_s, time.process_time() - processor)


def _encoder(arguments: argparse.Namespace, folder: Path) -> LesionEncoder:
    if arguments.recipe is None:
        return LesionEncoder.load(arguments.encoder, device=arguments.device)
    recipe = load_recipe(arguments.recipe)
    torch.manual_seed(recipe.seed)
    network = DLGNetwork(recipe.network, recipe.patch, pretrained=recipe.pretrained)
    path = folder / "untrained.safetensors"
    save_encoder(network, path, name=f"{recipe.name}, untrained")
    return LesionEncoder.load(path, device=arguments.device)


if __name__ == "__main__":
    main()
