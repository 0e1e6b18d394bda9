"""What a command must not load: imports are most of the time that a short command takes."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from service.cli import COMMANDS

HEAVY = {"torch", "torchvision", "faiss", "pandas", "scipy", "matplotlib", "sklearn", "fastapi"}


def loaded_after(code: str) -> set[str]:
    """The heavy packages among the modules of a fresh interpreter that has run ``code``."""
    program = f"{code}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return HEAVY & set(done.stdout.split())


def test_the_options_of_a_command_load_nothing_heavy() -> None:
    asked = "\n".join(f"build_app({name!r})" for name in COMMANDS)
    assert loaded_after(f"from service.cli import build_app\n{asked}") == set()


def test_the_encoder_loads_torch_but_not_torchvision() -> None:
    code = "from retrieval.embedding.encoder import LesionEncoder; LesionEncoder.load(None)"
    assert loaded_after(code) <= {"torch", "scipy"}


def test_a_query_with_a_box_loads_no_more_than_it_needs(built_index, encoder_file, archive) -> None:
    lesion = archive.lesions[0]
    image = archive.root / archive.source(lesion).image
    box = ",".join(map(str, lesion.box.to_list()))
    asked = [
        "query",
        image,
        "--index",
        built_index,
        "--encoder",
        encoder_file,
        "--box",
        box,
        "--json",
    ]
    program = f"""
import sys
from service.cli import main
assert main({[str(word) for word in asked]!r}) == 0
assert "retrieval.detection.detector" not in sys.modules
unneeded = {{"scipy", "nibabel", "pydicom", "pandas", "matplotlib"}} & set(sys.modules)
assert not unneeded, unneeded
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_index_loads_neither_torch_nor_scipy() -> None:
    assert loaded_after("import index.lesion_index") <= {"faiss"}


def test_the_version_is_the_installed_one(run) -> None:
    status, out, _ = run("--version")
    assert (status, out) == (0, f"lesion-search {metadata.version('lesion-search')}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_registered_under_its_name(run, name) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"lesion-search {name}" in out
