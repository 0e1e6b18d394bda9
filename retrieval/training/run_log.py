"""What a run says of itself: TensorBoard scalars, a CSV of the loss terms, and their curve."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


class RunLog:
    """Writes ``losses.csv``, ``loss_curve.png`` and TensorBoard events.

    Opened again at a later step, it drops what a killed run had logged past its checkpoint.
    """

    def __init__(self, folder: Path, first_step: int, *, enabled: bool) -> None:
        self._folder = folder
        self._first = first_step
        self._enabled = enabled
        self._rows: list[dict[str, float]] = []
        self._board: Any = None

    def __enter__(self) -> RunLog:
        if self._enabled:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._rows = [r for r in _read(self._folder / "losses.csv") if r["step"] < self._first]
            self._board = _tensorboard(self._folder)
        return self

    def add(self, step: int, terms: dict[str, float]) -> None:
        """Records every weighted term of one step and their sum."""
        if not self._enabled:
            return
        row = {"step": float(step), **terms, "total": sum(terms.values())}
        self._rows.append(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(f"loss/{name}", value, step)

    def __exit__(self, *error: object) -> None:
        self.save()
        if self._board is not None:
            self._board.close()

    def save(self) -> None:
        """Writes the table and the curve as they stand; called beside every checkpoint."""
        if not self._enabled or not self._rows:
            return
        with (self._folder / "losses.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self._rows[0]))
            writer.writeheader()
            writer.writerows(self._rows)
        _draw(self._rows, self._folder / "loss_curve.png")


def _read(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _draw(rows: list[dict[str, float]], path: Path) -> None:
    """Each term over the steps, smoothed by a running mean of a fiftieth of the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    window = max(1, len(rows) // 50)
    for name in (key for key in rows[0] if key != "step"):
        values = [row[name] for row in rows]
        smooth = [
            sum(values[max(0, i - window + 1) : i + 1]) / (i + 1 - max(0, i - window + 1))
            for i in range(len(values))
        ]
        axes.plot(steps, smooth, label=name, linewidth=2 if name == "total" else 1)
    axes.set_xlabel("step")
    axes.set_ylabel("weighted loss")
    axes.set_yscale("log")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
