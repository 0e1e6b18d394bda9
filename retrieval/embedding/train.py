"""Trains an encoder, resumable to the bit on the CPU, on one GPU or several.

    torchrun --nproc-per-node 8 $(which lesion-search) train encoder --archive DeepLesion \
        --recipe dlg-vgg16 --out runs/dlg
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.embedding.augment import Augmenter
from retrieval.embedding.batches import BatchSource
from retrieval.embedding.encoder import fingerprint, load_network, save_encoder
from retrieval.embedding.initialise import initialise
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.objective import Objective, SequenceBatch, TrainedModel, WorseViews
from retrieval.embedding.recipe import OptimiserConfig, Recipe
from retrieval.embedding.refine import refined_types
from retrieval.embedding.robustness.known_vectors import KnownVectors
from retrieval.embedding.robustness.teacher import frozen_vectors, kept_vectors
from retrieval.embedding.sampling import SequenceSampler
from retrieval.embedding.training_data import TrainingData, TrainingDataError
from retrieval.lesion import Split
from retrieval.sources.archive import Archive
from retrieval.sources.lesion_table import Rows
from retrieval.training.checkpoint import run_identity
from retrieval.training.config import RecipeError
from retrieval.training.loop import Reports, RunFolder, TrainingLoop
from retrieval.training.seeds import torch_seed
from retrieval.training.workers import Workers

CHECKPOINT_EVERY = 200
LOG_EVERY = 10
START = "start.safetensors"
FROZEN = "teacher.npy"
KEPT = "kept-{}.npy"


@dataclass(frozen=True)
class TrainedEncoder:
    """What a run left behind."""

    path: Path
    fingerprint: str
    steps: int
    lesions: int


def train_encoder(
    archives: Sequence[Archive],
    recipe: Recipe,
    out: Path,
    *,
    device: str | None = None,
    reports: Reports | None = None,
) -> TrainedEncoder:
    """Trains on the train split of all archives and writes ``out/encoder.safetensors``.

    ``out`` also holds the patch cache, the checkpoint, the log and the loss curve. Called again
    with the same arguments it goes on from the last checkpoint, to the same result.

    Raises:
        TrainingDataError: no archive, or none with a lesion to train on.
        CacheError, CheckpointError: ``out`` holds another run, or the disk is too small.
    """
    reports = reports or Reports()
    with Workers(device) as workers:
        training = workers.leader_first(
            lambda: TrainingData.open(archives, recipe, out / "cache", progress=reports.cache)
        )
        rows = training.rows(Split.TRAIN)
        if len(rows) == 0:
            raise TrainingDataError(
                f"0 of {len(training.table)} lesions are in the train split with an image that can "
                "be read: name an archive that has some, or set data.paper_seeds = true"
            )
        run = _Run(recipe, training, rows, workers, out)
        run.go(reports)
        path = out / "encoder.safetensors"
        if workers.leads:
            start, _ = load_network(out / START)
            network = run.model.network.cpu()
            blend(network, start, trained_share=recipe.optimiser.trained_share)
            save_encoder(network, path, name=f"dlg-{recipe.name}")
        workers.wait()
        written, _ = load_network(path)
        return TrainedEncoder(path, fingerprint(written), recipe.optimiser.steps, len(rows))


class _Run:
    """The state of one run on one worker: what the loop asks for."""

    def __init__(
        self, recipe: Recipe, training: TrainingData, rows: Rows, workers: Workers, out: Path
    ) -> None:
        self.recipe, self.training, self.rows, self.workers = recipe, training, rows, workers
        self.out = out
        torch.manual_seed(recipe.seed)
        network = DLGNetwork(recipe.network, recipe.patch, pretrained=recipe.pretrained)
        types = torch.from_numpy(training.table.types.copy())
        self.model = TrainedModel(
            network,
            attributes=training.table.attributes.shape[1],
            types=types,
            memory=recipe.loss.memory,
        ).to(workers.device)
        self.augmenter = Augmenter(recipe.patch, recipe.augment)
        self.objective = Objective(recipe)
        identity = run_identity([asdict(recipe), training.names, len(training.table)])
        self.loop: TrainingLoop[SequenceBatch] = TrainingLoop(
            self.model,
            recipe.optimiser,
            RunFolder(out, identity, _checkpoint_every(recipe.optimiser.steps), LOG_EVERY),
            backbone=_backbone(network, recipe.optimiser),
            workers=workers,
        )

    def go(self, reports: Reports) -> None:
        """From the checkpoint, or from the start, to the last step."""
        first = self.loop.resume()
        network = self.model.network
        if first == 0:
            self._begin(network)
            if self.workers.leads:
                save_encoder(network, self.out / START, name=f"{self.recipe.name} at its start")
        # Frozen statistics keep what ImageNet gives; without ImageNet there are none to keep.
        network.train(not self.recipe.pretrained)
        if self._has_worse_views:
            path = self.out / FROZEN
            self.frozen = self.workers.leader_first(
                lambda: frozen_vectors(
                    self.recipe, self.training, self.rows, path, self.workers.device
                )
            )
        self.known = self._teacher() if self.recipe.teacher else None
        self.loop.go(first, self._batches(first), self._terms, reports.step)

    def _begin(self, network: DLGNetwork) -> None:
        """The weights of step 0: the recipe's own encoder, or frozen multi-scale features."""
        if not self.recipe.start:
            rng = np.random.default_rng([self.recipe.seed, 1])
            initialise(network, self.training, self.rows, rng)
            return
        begun, name = load_network(Path(self.recipe.start))
        if begun.config != network.config or begun.spec != network.spec:
            raise RecipeError(
                f"start {self.recipe.start} ({name}) has {begun.config} and {begun.spec}: recipe "
                f"{self.recipe.name} needs {network.config} and {network.spec}"
            )
        network.load_state_dict(begun.state_dict())

    def _terms(self, replicated: nn.Module, batch: SequenceBatch, step: int) -> dict[str, Tensor]:
        device = self.workers.device
        batch = batch.to(device)
        drawn = torch_seed(self.recipe.seed, self.workers.rank, step)
        generator = torch.Generator(device).manual_seed(drawn)
        hu, boxes = self.augmenter(batch.hu.float(), batch.boxes, batch.flips, generator)
        if self._has_worse_views:
            # The same cut of both scans: a box of another size would teach to forget the size.
            generator.manual_seed(drawn)
            worse, moved = self.augmenter(batch.worse, batch.boxes, batch.flips, generator)
            hu, boxes = torch.cat([hu, worse]), torch.cat([boxes, moved])
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            output, attributes = replicated(hu, boxes)
        count = len(batch.boxes)
        terms: dict[str, Tensor] = self.objective(output.first(count), attributes[:count], batch)
        if self._has_worse_views:
            memory = self.model.memory
            views = WorseViews(output.vectors[count:], self.frozen[batch.rows], memory)
            terms |= self.objective.on_worse_scans(output.vectors[:count], views, batch)
            memory.push(output.vectors[:count], batch.tracks, batch.attributes)
        if self.known is not None:
            # Both views, where there are two: each is held where the teacher has the lesion.
            rows = batch.rows.repeat(len(hu) // count)
            terms |= self.objective.as_taught(output.vectors, self.known, rows)
        return terms

    def _teacher(self) -> KnownVectors:
        network, name = load_network(Path(self.recipe.teacher))
        if network.config.dimension != self.recipe.network.dimension:
            raise RecipeError(
                f"teacher {self.recipe.teacher} ({name}) has {network.config.dimension} numbers a "
                f"vector, recipe {self.recipe.name} {self.recipe.network.dimension}: name a "
                "teacher of as many, or set network.dimension"
            )
        network = network.to(self.workers.device)
        shown = run_identity([fingerprint(network), self.training.names, self.rows.tolist()])
        path = self.out / KEPT.format(sha256(shown.encode()).hexdigest()[:16])
        vectors = self.workers.leader_first(
            lambda: kept_vectors(network, self.training, self.rows, path)
        )
        return KnownVectors.of(vectors, self.rows, self.training.table.own_tracks)

    @property
    def _has_worse_views(self) -> bool:
        weights = self.recipe.loss
        return weights.views_weight > 0 or weights.distillation_weight > 0

    def _batches(self, first: int) -> Iterator[tuple[int, SequenceBatch]]:
        """The batches still to do; between two stretches the types are estimated anew."""
        steps, rounds = self.recipe.optimiser.steps, self.recipe.refine.rounds
        edges = [round(steps * n / (rounds + 1)) for n in range(rounds + 2)]
        for number, (start, end) in enumerate(pairwise(edges)):
            if end <= first:
                continue
            if number > 0 and first <= start:
                self._refine()
            yield from self._source().ahead(max(first, start), end)

    def _refine(self) -> None:
        types = refined_types(self.model.network, self.training, self.rows, self.recipe.refine)
        self.model.refined_types.copy_(torch.from_numpy(types))

    def _source(self) -> BatchSource:
        types = self.model.refined_types.cpu().numpy()
        sampler = SequenceSampler(
            replace(self.training.table, types=types),
            self.rows,
            self.training.weights,
            self.recipe.similarity,
            same_patient=self.recipe.data.same_patient,
        )
        sequences = max(1, self.recipe.optimiser.sequences // self.workers.count)
        return BatchSource(
            self.training,
            sampler,
            sequences,
            seed=self.recipe.seed,
            rank=self.workers.rank,
            grid_mm=(self.recipe.patch.mm_px, self.recipe.patch.slice_interval_mm),
            degradation=self.recipe.degradation
            if self._has_worse_views or self.recipe.teacher
            else None,
            worse_alone=bool(self.recipe.teacher) and not self._has_worse_views,
        )


def _checkpoint_every(steps: int) -> int:
    """At least eight checkpoints a run: on a shared CPU a short run takes hours too."""
    return min(CHECKPOINT_EVERY, max(20, steps // 8))


@torch.no_grad()
def blend(network: DLGNetwork, start: DLGNetwork, *, trained_share: float) -> None:
    """Moves the backbone and the projection of ``network`` towards those of ``start``, in place.

    The estimating heads stay as trained: at the start they knew nothing, and a half of them
    would estimate the half of a location.
    """
    before = start.state_dict()
    for name, trained in network.state_dict().items():
        if trained.is_floating_point() and not name.startswith(("type_head", "location_head")):
            trained.copy_(torch.lerp(before[name], trained, trained_share))


def _backbone(network: DLGNetwork, config: OptimiserConfig) -> list[nn.Parameter]:
    """The backbone's parameters; those that stay as they are have their gradients skipped."""
    mixer = list(network.channel_mixer.parameters())
    backbone = [*network.backbone.parameters(), *mixer]
    frozen = backbone if config.backbone_rate == 0 else []
    if config.frozen_levels > 0:
        frozen = [*frozen, *mixer, *network.backbone.parameters_behind(config.frozen_levels)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return backbone
