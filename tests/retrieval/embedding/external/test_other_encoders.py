"""Encoders of other packages: torchvision, timm, entry points; what each must keep to."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn

from retrieval.embedding.encoder import Embedding, EncoderError, LesionEncoder
from retrieval.embedding.external import installed, pictures
from retrieval.embedding.external.opening import open_encoder
from retrieval.embedding.external.pictures import PictureEncoder, PictureInput, pictures_of
from retrieval.image import apply_window
from retrieval.lesion import Box
from retrieval.patch import Patch, PatchSpec


def patches_for(spec: PatchSpec, count: int = 3) -> list[Patch]:
    rng = np.random.default_rng(4)
    side = spec.size_px
    box = Box.around((side / 2, side / 2), 20.0)
    shape = (spec.slices, side, side)
    return [Patch(rng.normal(40, 150, shape).astype(np.float32), box, 0) for _ in range(count)]


class Means(nn.Module):
    """The mean of each channel."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([scale]))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return seen.mean(dim=(2, 3)) * self.scale


def test_the_picture_is_the_middle_slice_under_the_windows() -> None:
    spec = PatchSpec(size_px=32, slices=3)
    (patch,) = patches_for(spec, 1)
    plain = PictureInput(32, mean=(0, 0, 0), std=(1, 1, 1))
    seen = pictures_of([patch], spec, plain)[0]
    for channel, (low, high) in enumerate(spec.windows[:3]):
        assert seen[channel].numpy() == pytest.approx(
            apply_window(patch.hu[1], low, high), abs=1e-5
        )
    shifted = pictures_of([patch], spec, PictureInput(32, mean=(0.5, 0, 0), std=(2, 1, 1)))[0]
    assert shifted[0].numpy() == pytest.approx((seen[0].numpy() - 0.5) / 2, abs=1e-5)


def test_vectors_have_length_one_in_any_batches_and_weights_decide_the_fingerprint() -> None:
    encoder = PictureEncoder(Means(), name="means", shown=PictureInput(16))
    patches = patches_for(encoder.spec, 5)
    whole = encoder.embed(patches).vectors
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1.0)
    assert encoder.embed(patches, batch_size=2).vectors == pytest.approx(whole, abs=1e-6)
    assert np.isnan(encoder.embed(patches).locations).all()
    assert encoder.dimension == 3
    again = PictureEncoder(Means(), name="means", shown=PictureInput(16))
    assert again.fingerprint == encoder.fingerprint
    changed = [
        PictureEncoder(Means(2.0), name="means", shown=PictureInput(16)),
        PictureEncoder(Means(), name="means", shown=PictureInput(24)),
        PictureEncoder(Means(), name="means", spec=PatchSpec(size_px=64), shown=PictureInput(16)),
    ]
    assert len({one.fingerprint for one in [encoder, *changed]}) == 4


def test_a_vector_of_zeros_is_an_error() -> None:
    encoder = PictureEncoder(Means(0.0), name="nothing", shown=PictureInput(16))
    with pytest.raises(EncoderError, match="nothing gave a vector that is zero"):
        encoder.embed(patches_for(encoder.spec))


@pytest.mark.parametrize(
    ("name", "dimension"), [("resnet18", 512), ("mobilenet_v3_small", 1024), ("densenet121", 1024)]
)
def test_torchvision_networks_lose_their_classifier(name: str, dimension: int) -> None:
    before = torch.random.get_rng_state()
    encoder = open_encoder(f"torchvision:{name}@random")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert encoder.name == f"torchvision {name}, random weights"
    assert encoder.dimension == dimension
    assert open_encoder(f"torchvision:{name}@random").fingerprint == encoder.fingerprint
    vectors = encoder.embed(patches_for(encoder.spec, 2)).vectors
    assert vectors.shape == (2, dimension)


def test_weights_that_cannot_be_fetched_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(EncoderError, match="torchvision:resnet18@random"):
        open_encoder("torchvision:resnet18")
    with pytest.raises(EncoderError, match="torchvision has no network 'resnet17'"):
        open_encoder("torchvision:resnet17")


def test_timm_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EncoderError, match=r"lesion-search\[encoders\]"):
        open_encoder("timm:resnet18")


class FakeTimm:
    """The three names of timm that are used."""

    @staticmethod
    def is_model(name: str) -> bool:
        return name == "means"

    @staticmethod
    def create_model(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        assert num_classes == 0
        if pretrained:
            raise OSError("no network")
        network = Means()
        network.pretrained_cfg = {"input_size": (3, 20, 20), "mean": (0.0,) * 3, "std": (1.0,) * 3}
        return network


def test_timm_networks_bring_their_own_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", FakeTimm)
    encoder = open_encoder("timm:means@random")
    assert isinstance(encoder, PictureEncoder)
    assert encoder.shown == PictureInput(20, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(EncoderError, match="timm:means@random"):
        open_encoder("timm:means")
    with pytest.raises(EncoderError, match="timm has no network 'medians'"):
        open_encoder("timm:medians")


class Plugged:
    """An encoder as another package would bring it; its vectors are not of length one."""

    name, fingerprint, dimension = "plugged", "aa00", 2
    spec = PatchSpec(size_px=24, slices=1)

    def __init__(self, *, device: str) -> None:
        self.device = device

    def embed(self, patches: list[Patch], *, batch_size: int = 32) -> Embedding:
        numbers = np.array([[3.0, 4.0]] * len(patches), np.float32)
        return Embedding(numbers, np.zeros((len(patches), 3), np.float32))


class Wide(Plugged):
    dimension = 5


class Bare:
    def __init__(self, *, device: str) -> None:
        self.name = "bare"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint(name, f"{__name__}:{value}", installed.GROUP)
        for name, value in (("mine", "Plugged"), ("wide", "Wide"), ("bare", "Bare"), ("no", "No"))
    ]
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])
    monkeypatch.setattr(installed, "entry_points", lambda group: EntryPoints(points))


def test_an_installed_encoder_is_found_and_its_vectors_are_brought_to_length_one(plugged) -> None:
    encoder = open_encoder("mine")
    assert (encoder.name, encoder.fingerprint, encoder.dimension) == ("plugged", "aa00", 2)
    found = encoder.embed(patches_for(encoder.spec, 2))
    assert found.vectors == pytest.approx(np.array([[0.6, 0.8]] * 2))
    assert encoder.embed([]).vectors.shape == (0, 2)
    assert installed.installed_names() == ["bare", "mine", "no", "wide"]


def test_installed_encoders_that_break_their_word_are_named(plugged) -> None:
    wide = open_encoder("wide")
    with pytest.raises(EncoderError, match="vectors of 2 numbers and says its dimension is 5"):
        wide.embed(patches_for(wide.spec))
    with pytest.raises(EncoderError, match="lacks fingerprint, dimension, spec, embed"):
        open_encoder("bare")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        open_encoder("no")
    with pytest.raises(EncoderError, match="bare, mine, no, wide installed"):
        open_encoder("theirs")


def test_without_a_name_it_is_the_bundled_one_and_a_path_is_a_file(tmp_path: Path) -> None:
    assert open_encoder().fingerprint == LesionEncoder.load().fingerprint
    for absent in (tmp_path / "mine.safetensors", tmp_path / "mine"):
        with pytest.raises(EncoderError, match="does not exist"):
            open_encoder(absent)
    assert pictures.RANDOM == "@random"
