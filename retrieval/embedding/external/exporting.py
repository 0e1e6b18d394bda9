"""The product's own encoder for other programs: as ONNX and as torch.export."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from retrieval.embedding.encoder import EncoderError, load_network
from retrieval.embedding.external.onnx_file import PATCHES, description_path
from retrieval.embedding.network import DLGNetwork, NetworkOutput

ONNX_SUFFIX, TORCH_SUFFIX = ".onnx", ".pt2"
MOST_LESIONS = 4096
"""The largest batch of a torch.export program."""


def export_encoder(file: Path, out: Path) -> None:
    """Writes an encoder's vectors as a program, by the ending of ``out``.

    ``.onnx`` needs the package onnx and gets a description beside it, with which ``--encoder``
    takes it again; ``.pt2`` is a torch.export program. Inputs of either: ``hu``, (n, slices, size,
    size) in HU, and ``boxes``, (n, 4) in patch pixels. Output: (n, dimension) unit vectors.

    Raises EncoderError: another ending, or the package is missing.
    """
    network, name = load_network(file)
    module = _Vectors(network).eval()
    spec = network.spec
    hu = torch.zeros(2, spec.slices, spec.size_px, spec.size_px)
    middle = spec.size_px / 2
    boxes = torch.tensor([[middle - 10, middle - 10, middle + 10, middle + 10]] * 2)
    if out.suffix == TORCH_SUFFIX:
        lesions = {0: torch.export.Dim("lesions", min=1, max=MOST_LESIONS)}
        shapes = {"hu": lesions, "boxes": lesions}
        program = torch.export.export(module, (hu, boxes), dynamic_shapes=shapes)
        with warnings.catch_warnings():
            # Views of one storage are saved by their first; all weights are on the CPU here.
            warnings.simplefilter("ignore")
            torch.export.save(program, out)
    elif out.suffix == ONNX_SUFFIX:
        _to_onnx(module, (hu, boxes), out)
        told = {"name": name, "patch_spec": spec.to_dict(), "input": PATCHES}
        description_path(out).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    else:
        raise EncoderError(
            f"encoders are exported to {ONNX_SUFFIX} or {TORCH_SUFFIX}, not {out.name!r}"
        )


class _Vectors(nn.Module):
    """The network with its vectors as the only output."""

    def __init__(self, network: DLGNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, hu: Tensor, boxes: Tensor) -> Tensor:
        output: NetworkOutput = self.network(hu, boxes)
        return output.vectors


def _to_onnx(module: nn.Module, example: tuple[Tensor, Tensor], out: Path) -> None:
    lesions = {0: "lesions"}
    try:
        with warnings.catch_warnings():
            # The traced exporter is old but needs no further package.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                example,
                str(out),
                dynamo=False,
                input_names=["hu", "boxes"],
                output_names=["vectors"],
                dynamic_axes={"hu": lesions, "boxes": lesions, "vectors": lesions},
                opset_version=17,
            )
    except (ImportError, torch.onnx.errors.OnnxExporterError) as error:
        raise EncoderError(
            f"ONNX cannot be written ({error}): pip install 'lesion-search[encoders]'"
        ) from None
