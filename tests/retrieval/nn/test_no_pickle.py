"""No pickle is loaded: weights are safetensors, and the one other file is known by its hash."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from retrieval.nn.backbones import BackboneError, _released_tensors

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


def test_nothing_but_the_released_backbone_is_unpickled():
    found = {}
    for package in ("retrieval", "index", "service"):
        for file in (ROOT / package).rglob("*.py"):
            for owner, method, node in calls(file):
                if (owner, method) in LOADERS:
                    found[str(file.relative_to(ROOT))] = node
                if (owner, method) in {("np", "load"), ("numpy", "load")}:
                    allowed = [key for key in node.keywords if key.arg == "allow_pickle"]
                    assert all(key.value.value is False for key in allowed), file
    assert set(found) == {"retrieval/nn/backbones.py"}
    (node,) = found.values()
    assert {key.arg: key.value.value for key in node.keywords if key.arg == "weights_only"} == {
        "weights_only": True
    }


def test_another_file_in_its_place_is_refused_unread(tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "taken over",))

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(BackboneError, match="not the file that was released"):
        _released_tensors(path)
    assert not (tmp_path / "taken over").exists()
