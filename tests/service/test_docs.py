"""The pages a reader sees: their commands run, their links lead somewhere, their code works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from retrieval.detection.proposals import Proposal
from retrieval.lesion import Box
from service.cli import build_app, main
from tests.service.detectors import FixedDetector
from tests.service.samples import write_archive

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def commands_of(page: Path) -> list[str]:
    """What stands behind ``$`` in the page's console blocks, in order; continued lines joined."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line[2:].partition("#")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.fixture
def workplace(tmp_path, monkeypatch, encoder_file):
    """A folder to run commands in; small models stand in the bundled ones' places."""
    monkeypatch.chdir(tmp_path)
    detector = FixedDetector(Proposal(Box(40, 40, 60, 60), 0.8))
    bundled = tmp_path / "detector.safetensors"
    bundled.touch()
    monkeypatch.setattr("retrieval.detection.detector.BUNDLED_DETECTOR", bundled)
    monkeypatch.setattr("service.engine.detectors.load_detector", lambda path=None, **_: detector)
    monkeypatch.setattr("retrieval.embedding.encoder.BUNDLED_ENCODER", encoder_file)
    write_archive(tmp_path / "archive")
    return tmp_path


MAPS = [ROOT / package / "__init__.py" for package in ("retrieval", "index", "service")]
MAPS += [path for root in MAPS for path in root.parent.glob("*/**/__init__.py")]


@pytest.mark.parametrize("map_", MAPS, ids=lambda path: path.parent.name)
def test_a_packages_map_names_modules_that_are_there(map_):
    for name in re.findall(r"(?<![\w*])[a-z]\w*\.py\b", map_.read_text()):
        assert (map_.parent / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_the_readmes_commands_run_in_their_order(workplace, archive, capsys):
    """Only what a reader would replace is replaced: the example's lesion, and its image."""
    lesion = archive.lesions[0]
    replaced = {
        "archive/Images_png/000005_03_05/083.png": f"archive/{archive.source(lesion).image}",
        "000005_03_05_083_x111_y140": lesion.lesion_id,
        "96,128,126,153": ",".join(str(edge) for edge in lesion.box.to_list()),
        "000005_03": lesion.study_id,
        "000005": lesion.patient_id,
    }
    ran = []
    for command in commands_of(ROOT / "README.md"):
        words = [replaced.get(word, word) for word in shlex.split(command)]
        if words[0] != "lesion-search" or words[1] in {"phantom", "serve"}:
            continue
        status = main(words[1:])
        captured = capsys.readouterr()
        assert status == 0, f"{command}: {captured.err}"
        ran.append(words[1])
    assert ran == ["check", "index", "index", "query", "query", "detect", "track", "evaluate"]
    for picture in ("query.png", "proposals.png"):
        assert (workplace / picture).stat().st_size > 10_000


def test_the_commands_of_a_group_are_known_by_both_words():
    known = options_of(build_app())
    assert {"keys add", "pacs report", "index sync", "train detector"} <= set(known)
    assert [c.split()[:3] for c in commands_of(ROOT / "docs" / "security.md")][:2] == [
        ["lesion-search", "keys", "add"],
        ["lesion-search", "keys", "add"],
    ]


def test_the_readmes_python_runs(workplace, archive, archive_folder, capsys):
    assert main(["index", "build", "--archive", "archive", "--out", "index"]) == 0
    capsys.readouterr()
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lesion = archive.lesions[0]
    code = code.replace("Images_png/000005_03_05/083.png", archive.source(lesion).image)
    code = code.replace("96, 128, 126, 153", ", ".join(str(edge) for edge in lesion.box.to_list()))
    code = code.replace("000005", lesion.patient_id)
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_one_of_the_program(page):
    """Commands and options that no longer exist have no place in the documentation."""
    known = options_of(build_app())
    groups = {name.partition(" ")[0] for name in known if " " in name}
    text = page.read_text()
    lines = commands_of(page)
    spans = re.findall(r"`(lesion-search [^`]+)`", text)
    for line in [*lines, *spans]:
        words = shlex.split(line)
        if words[0] != "lesion-search":
            continue
        name = " ".join(words[1:3]) if words[1] in groups else words[1]
        assert name in known, line
        for option in (word for word in words if re.match(r"^--?[a-z]", word)):
            assert option in known[name], line


def options_of(app):
    """Command name to the names of its options."""
    from typer.main import get_command

    def walk(command, prefix):
        for name, child in getattr(command, "commands", {}).items():
            full = f"{prefix} {name}".strip()
            found[full] = {
                option
                for parameter in child.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            walk(child, full)

    found = {}
    walk(get_command(app), "")
    return found
