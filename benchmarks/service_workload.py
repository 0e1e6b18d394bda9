"""What the service is asked under load: an index of phantoms and its queries."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from service_process import form

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import Box, ImageSource, Lesion
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.query_image import open_query_image
from service.cli import main as command
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine, binding_of
from service.jobs.indexing import index_archive

SPACING = "{},{},{}"


@dataclass(frozen=True)
class Workload:
    """The queries of one run: HTTP request bodies, and the same by the bare engine."""

    requests: Sequence[tuple[str, str, bytes]]
    calls: Sequence[Callable[[], object]]


def prepare(root: Path, *, patients: int, lesions: int) -> DeepLesionArchive:
    """Phantoms, indexed by the bundled encoder, among random vectors."""
    words = ["phantom", root / "archive", "--patients", patients, "--seed", 0]
    assert command([str(word) for word in words]) == 0
    archive = DeepLesionArchive.open(root / "archive")
    encoder = LesionEncoder.load()
    rng = np.random.default_rng(0)
    with LesionIndex.create(root / "index", binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        missing = max(0, lesions - index.count())
        vectors = rng.normal(size=(missing, encoder.dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        index.add(_filler(number, vector) for number, vector in enumerate(vectors))
        index.snapshot()
    return archive


def _filler(number: int, vector: np.ndarray) -> LesionRecord:
    patient = f"filler{number // 7:05d}"
    lesion = Lesion(
        lesion_id=f"{patient}_{number:06d}",
        patient_id=patient,
        study_id=f"{patient}_01",
        series_id=f"{patient}_01_01",
        key_slice_index=number,
        box=Box(10, 10, 30, 30),
        long_mm=20.0,
        short_mm=12.0,
    )
    return LesionRecord(lesion, vector, ImageSource("none", "none.png", (1.0, 1.0), 2.0))


def workloads(
    engine: SearchEngine, archive: DeepLesionArchive, queries: int
) -> dict[str, Workload]:
    """That many queries by vector, by indexed lesion and by image, of lesions drawn by chance."""
    rng = np.random.default_rng(1)
    chosen = [archive.lesions[n] for n in rng.choice(len(archive.lesions), queries)]
    vectors = [engine.index.get(one.lesion_id).vector for one in chosen]
    texts = [",".join(f"{value:.6f}" for value in vector) for vector in vectors]
    depth = engine.encoder.spec.half_depth_mm
    images = [image_fields(archive, lesion) for lesion in chosen]

    def search_image(lesion: Lesion, path: Path) -> None:
        # The service gets the slice alone; so does the engine, read from its file.
        alone = root_of_one / path.parent.name / path.name
        source = archive.source(lesion)
        spacing = (*source.spacing_mm_px, source.slice_interval_mm)
        slab = open_query_image(alone, spacing_mm=spacing, half_depth_mm=depth)
        engine.search(
            LesionQuery(lesion.box, patient_id=lesion.patient_id, study_id=lesion.study_id), slab
        )

    root_of_one = Path(tempfile.mkdtemp(dir=archive.root.parent))
    for _, path in images:
        (root_of_one / path.parent.name).mkdir(exist_ok=True)
        (root_of_one / path.parent.name / path.name).write_bytes(path.read_bytes())
    return {
        "vector": Workload(
            [("POST", "/v1/search", form({"vector": text})) for text in texts],
            [
                lambda vector=vector: engine.search(LesionQuery(vector=tuple(vector)))
                for vector in vectors
            ],
        ),
        "lesion": Workload(
            [("GET", f"/v1/lesions/{one.lesion_id}/similar", b"") for one in chosen],
            [lambda one=one: engine.search(LesionQuery(lesion_id=one.lesion_id)) for one in chosen],
        ),
        "image": Workload(
            [("POST", "/v1/search", form(fields)) for fields, _ in images],
            [
                lambda one=one, path=path: search_image(one, path)
                for one, (_, path) in zip(chosen, images, strict=True)
            ],
        ),
    }


def image_fields(archive: DeepLesionArchive, lesion: Lesion) -> tuple[dict[str, str | bytes], Path]:
    """The form that asks for a lesion by its key slice and box, and that slice's file."""
    source = archive.source(lesion)
    path = archive.root / source.image
    fields: dict[str, str | bytes] = {
        "file": path.read_bytes(),
        "box": ",".join(str(edge) for edge in lesion.box.to_list()),
        "spacing": SPACING.format(*source.spacing_mm_px, source.slice_interval_mm),
        "patient_id": lesion.patient_id,
        "study_id": lesion.study_id,
    }
    return fields, path
