"""The product's own encoder as ONNX and torch.export: the same vectors, taken back by --encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.embedding.encoder import EncoderError, LesionEncoder, load_network
from retrieval.embedding.external.exporting import export_encoder
from retrieval.embedding.external.onnx_file import OnnxEncoder, description_path
from retrieval.embedding.external.opening import open_encoder
from retrieval.lesion import Box
from retrieval.patch import Patch, PatchSpec
from tests.retrieval.embedding.conftest import TinyRun


def patches_for(spec: PatchSpec, count: int) -> list[Patch]:
    rng = np.random.default_rng(4)
    side = spec.size_px
    made = []
    for number in range(count):
        hu = rng.normal(40, 150, (spec.slices, side, side)).astype(np.float32)
        made.append(Patch(hu, Box.around((side / 2, side / 2), 8.0 + 3 * number), 0))
    return made


@pytest.fixture(scope="module")
def onnx_file(tiny_run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    export_encoder(tiny_run.trained.path, out)
    return out


def test_onnx_gives_the_same_vectors_for_any_batch(tiny_run: TinyRun, onnx_file: Path) -> None:
    ours, other = LesionEncoder.load(tiny_run.trained.path), open_encoder(onnx_file)
    patches = patches_for(ours.spec, 5)
    wanted = ours.embed(patches).vectors
    for batch_size in (1, 3, 32):
        found = other.embed(patches, batch_size=batch_size).vectors
        assert (found * wanted).sum(axis=1).min() > 0.9999
    assert (other.name, other.dimension, other.spec) == (ours.name, ours.dimension, ours.spec)
    assert other.fingerprint != ours.fingerprint
    assert other.embed([]).vectors.shape == (0, ours.dimension)


def test_a_torch_program_gives_the_same_vectors(tiny_run: TinyRun, tmp_path: Path) -> None:
    out = tmp_path / "tiny.pt2"
    export_encoder(tiny_run.trained.path, out)
    program = torch.export.load(out).module()
    network, _ = load_network(tiny_run.trained.path)
    patches = patches_for(network.spec, 3)
    hu = torch.from_numpy(np.stack([patch.hu for patch in patches]))
    boxes = torch.tensor([patch.box.to_list() for patch in patches])
    with torch.inference_mode():
        found, wanted = program(hu, boxes), network.eval()(hu, boxes).vectors
    assert float((found * wanted).sum(dim=1).min()) > 0.9999


def test_another_ending_is_refused(tiny_run: TinyRun, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"\.onnx or \.pt2, not 'x\.pb'"):
        export_encoder(tiny_run.trained.path, tmp_path / "x.pb")


def test_a_description_decides_the_fingerprint_and_what_is_given(
    onnx_file: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "mine.onnx"
    copied.write_bytes(onnx_file.read_bytes())
    with pytest.raises(EncoderError, match=r"description mine\.onnx\.json"):
        open_encoder(copied)
    told = json.loads(description_path(onnx_file).read_text())

    def opened(**changes: object) -> OnnxEncoder:
        description_path(copied).write_text(json.dumps({**told, **changes}))
        return OnnxEncoder.from_file(copied)

    assert opened().fingerprint == OnnxEncoder.from_file(onnx_file).fingerprint
    assert opened(name="other").fingerprint != opened().fingerprint
    with pytest.raises(EncoderError, match=r"takes the inputs \['hu', 'boxes'\]: 1 are given"):
        opened(input="pictures")
    with pytest.raises(EncoderError, match="'voxels' is unknown"):
        opened(input="voxels")
    with pytest.raises(EncoderError, match="does not take what its description says"):
        opened(patch_spec={**told["patch_spec"], "slices": 5})
    with pytest.raises(EncoderError, match="keys"):
        opened(weights="x")
    copied.write_bytes(b"no network")
    with pytest.raises(EncoderError, match="cannot be opened as ONNX"):
        opened()
    with pytest.raises(EncoderError, match="does not exist"):
        open_encoder(tmp_path / "none.onnx")
