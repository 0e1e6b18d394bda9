"""PictureEncoder: a network of three-channel pictures, as torchvision and timm have them.

The picture is the patch's middle slice under the first three windows of its PatchSpec, resized to
what the network was trained on. The network does not see the lesion's box, which is always in the
middle. Its vector is what stands before the classifier, at length one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.embedding.encoder import Embedding, EncoderError
from retrieval.embedding.external.checked import unit_vectors, without_locations
from retrieval.image import apply_window
from retrieval.patch import Patch, PatchSpec
from retrieval.training.model_file import fingerprint_of

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANDOM = "@random"
"""After a network's name: random weights under a fixed seed, a baseline and nothing else."""

CLASSIFIERS = ("fc", "classifier", "head", "heads")


@dataclass(frozen=True, slots=True)
class PictureInput:
    """What a network wants to see: pictures in [0, 1], of this size, normalised so."""

    size_px: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def pictures_of(patches: Sequence[Patch], spec: PatchSpec, shown: PictureInput) -> Tensor:
    """(n, 3, size_px, size_px): the middle slices under three windows, resized, normalised."""
    middle = torch.from_numpy(np.stack([patch.hu[spec.slices // 2] for patch in patches]))
    windows = [spec.windows[channel % len(spec.windows)] for channel in range(3)]
    channels = torch.stack([apply_window(middle, low, high) for low, high in windows], dim=1)
    side = (shown.size_px, shown.size_px)
    resized = F.interpolate(channels, size=side, mode="bilinear", antialias=True)
    mean, std = torch.tensor(shown.mean), torch.tensor(shown.std)
    return (resized - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)


class PictureEncoder:
    """A network (n, 3, size, size) -> (n, features) as an encoder of lesions."""

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        spec: PatchSpec | None = None,
        shown: PictureInput | None = None,
        device: str = "cpu",
    ) -> None:
        self.name = name
        self.spec = spec or PatchSpec()
        self.shown = shown or PictureInput()
        self._network = network.eval()
        settings = {
            "encoder": name,
            "patch_spec": self.spec.to_dict(),
            "picture": asdict(self.shown),
        }
        self.fingerprint = fingerprint_of(self._network, settings)
        self._device = torch.device(device)
        self._network.to(self._device)
        size = self.shown.size_px
        with torch.inference_mode():
            seen = self._network(torch.zeros(1, 3, size, size, device=self._device))
        self.dimension = int(_flat(seen, name).shape[1])

    @torch.inference_mode()
    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches, in their order; raises EncoderError for a vector of zeros."""
        parts: list[NDArray[np.float32]] = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(patches), batch_size):
            batch = patches[start : start + batch_size]
            seen = self._network(pictures_of(batch, self.spec, self.shown).to(self._device))
            numbers = _flat(seen, self.name).float().cpu().numpy()
            parts.append(unit_vectors(numbers, count=len(batch), name=self.name))
        return without_locations(np.concatenate(parts))


def torchvision_encoder(name: str, *, device: str = "cpu") -> PictureEncoder:
    """A classifier of torchvision without its last layer, with its default weights.

    ``NAME@random`` has random weights under a fixed seed instead.

    Raises EncoderError: there is no such network, or its weights cannot be had here.
    """
    from torchvision.models import get_model, list_models

    bare, is_random = name.removesuffix(RANDOM), name.endswith(RANDOM)
    if bare not in list_models():
        raise EncoderError(
            f"torchvision has no network {bare!r}: `python -c 'import torchvision; "
            "print(torchvision.models.list_models())'` lists them"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = get_model(bare, weights=None if is_random else "DEFAULT")
    except (URLError, OSError) as error:
        raise EncoderError(_no_weights(f"torchvision:{bare}", error)) from None
    title = f"torchvision {bare}" + (", random weights" if is_random else "")
    return PictureEncoder(_without_classifier(network, bare), name=title, device=device)


def timm_encoder(name: str, *, device: str = "cpu") -> PictureEncoder:
    """A network of timm without its classifier, with its default weights; ``NAME@random`` as above.

    Raises EncoderError: timm is not installed, has no such network, or its weights cannot be had.
    """
    try:
        import timm
    except ImportError:
        raise EncoderError(
            f"the encoder timm:{name} needs timm: pip install 'lesion-search[encoders]'"
        ) from None
    bare, is_random = name.removesuffix(RANDOM), name.endswith(RANDOM)
    if not timm.is_model(bare.split(".")[0]):
        raise EncoderError(
            f"timm has no network {bare!r}: `python -c 'import timm; print(timm.list_models())'` "
            "lists them"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = timm.create_model(bare, pretrained=not is_random, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise EncoderError(_no_weights(f"timm:{bare}", error)) from None
    wanted: Any = network.pretrained_cfg
    shown = PictureInput(wanted["input_size"][-1], tuple(wanted["mean"]), tuple(wanted["std"]))
    title = f"timm {bare}" + (", random weights" if is_random else "")
    return PictureEncoder(network, name=title, shown=shown, device=device)


def _no_weights(name: str, error: Exception) -> str:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return (
        f"the weights of {name} could not be fetched ({first}): connect to the network, or take "
        f"{name}{RANDOM}, which has random ones and is a baseline"
    )


def _without_classifier(network: nn.Module, name: str) -> nn.Module:
    """The network with its last linear layer taken out."""
    for attribute in CLASSIFIERS:
        last = getattr(network, attribute, None)
        if isinstance(last, nn.Linear):
            setattr(network, attribute, nn.Identity())
            return network
        if isinstance(last, nn.Sequential) and isinstance(last[-1], nn.Linear):
            last[-1] = nn.Identity()
            return network
    raise EncoderError(
        f"torchvision's {name} has no classifier that ends in a linear layer: export it to ONNX "
        "with the output that is wanted (docs/encoders.md)"
    )


def _flat(seen: Tensor, name: str) -> Tensor:
    """(n, features), from that or from maps, which are averaged."""
    if not isinstance(seen, Tensor) or seen.ndim not in (2, 4):
        raise EncoderError(f"encoder {name} gives no vectors and no maps: export it to ONNX")
    return seen.mean(dim=(2, 3)) if seen.ndim == 4 else seen
