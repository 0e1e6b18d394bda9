from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from retrieval.embedding.encoder import (
    EncoderError,
    LesionEncoder,
    fingerprint,
    load_network,
    save_encoder,
)
from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.lesion import Box
from retrieval.patch import Patch, PatchSpec

SPEC = PatchSpec(size_px=48)


def small_network(**spec: float) -> DLGNetwork:
    torch.manual_seed(0)
    config = NetworkConfig(backbone="mobilenet_v3_small", dimension=32)
    return DLGNetwork(config, PatchSpec(**{"size_px": 48, **spec}), pretrained=False)


@pytest.fixture
def encoder_path(tmp_path: Path) -> Path:
    path = tmp_path / "encoder.safetensors"
    save_encoder(small_network(), path, name="small one")
    return path


def some_patches(count: int) -> list[Patch]:
    rng = np.random.default_rng(0)
    return [
        Patch(rng.normal(0, 200, (3, 48, 48)).astype(np.float32), Box(15, 16, 20 + n, 33), 0)
        for n in range(count)
    ]


def header_of(path: Path) -> dict[str, str]:
    with safe_open(str(path), framework="pt") as stored:
        return dict(stored.metadata())


def test_a_saved_encoder_comes_back_with_identical_vectors(encoder_path: Path) -> None:
    before = LesionEncoder(small_network(), name="small one")
    after = LesionEncoder.load(encoder_path)
    assert (after.name, after.spec, after.dimension) == ("small one", SPEC, 32)
    assert after.fingerprint == before.fingerprint
    first, second = before.embed(some_patches(5)), after.embed(some_patches(5))
    assert np.array_equal(first.vectors, second.vectors)
    assert np.array_equal(first.locations, second.locations)
    np.testing.assert_allclose(np.linalg.norm(second.vectors, axis=1), 1, atol=1e-5)
    assert not list(encoder_path.parent.glob("*.partial"))


def test_the_batch_size_changes_nothing_and_no_patches_give_no_vectors(encoder_path: Path) -> None:
    encoder = LesionEncoder.load(encoder_path)
    whole, parts = (encoder.embed(some_patches(5), batch_size=size).vectors for size in (32, 2))
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    empty = encoder.embed([])
    assert empty.vectors.shape == (0, 32)
    assert empty.locations.shape == (0, 3)


def test_one_weight_or_the_spec_changes_the_fingerprint() -> None:
    network = small_network()
    original = fingerprint(network)
    assert original == fingerprint(small_network())
    assert original != fingerprint(small_network(mm_px=0.8))
    with torch.no_grad():
        network.project.weight[3, 5] += 1e-6
    assert original != fingerprint(network)


def test_a_group_mean_is_part_of_the_fingerprint() -> None:
    network = small_network()
    original = fingerprint(network)
    network.centre_groups([torch.full((width,), 1e-3) for width in network.group_widths])
    assert original != fingerprint(network)


def test_a_changed_file_is_refused(encoder_path: Path) -> None:
    metadata, weights = header_of(encoder_path), load_file(encoder_path)
    weights["project.weight"][0, 0] += 1e-4
    save_file(weights, encoder_path, metadata=metadata)
    with pytest.raises(EncoderError, match=r"its header says .*the file was changed"):
        LesionEncoder.load(encoder_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": None}, "its header says None"),
        ({"network": {"backbone": "mobilenet_v3_small", "dimension": 16}}, "does not fit"),
        ({"network": {"depth": 3}}, "does not fit"),
        ({"patch_spec": {"size_px": 48, "mm_px": 2.0}}, "the file was changed"),
    ],
)
def test_a_changed_header_is_refused(
    encoder_path: Path, changes: dict[str, object], message: str
) -> None:
    ((key, text),) = header_of(encoder_path).items()
    header = {**json.loads(text), **changes}
    stated = {name: value for name, value in header.items() if value is not None}
    save_file(load_file(encoder_path), encoder_path, metadata={key: json.dumps(stated)})
    with pytest.raises(EncoderError, match=message):
        load_network(encoder_path)


def test_what_is_not_an_encoder_is_refused(tmp_path: Path, encoder_path: Path) -> None:
    with pytest.raises(EncoderError, match="does not exist"):
        LesionEncoder.load(tmp_path / "none.safetensors")
    other = tmp_path / "other.safetensors"
    save_file({"weights": torch.zeros(3)}, other)
    with pytest.raises(EncoderError, match="not a Lesion Search encoder"):
        LesionEncoder.load(other)
    other.write_text("not safetensors at all")
    with pytest.raises(EncoderError, match="cannot be read"):
        LesionEncoder.load(other)
    encoder_path.write_bytes(encoder_path.read_bytes()[:-100])
    with pytest.raises(EncoderError, match="cannot be read"):
        LesionEncoder.load(encoder_path)
