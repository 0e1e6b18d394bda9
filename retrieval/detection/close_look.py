"""A close look: the places that the first pass proposes, enlarged, so that small boxes fit better.

Enlarging the whole slice finds more lesions under 1 cm and costs more than the first pass itself.
What it adds lies about the first pass's own best small boxes: they were seen, and boxed badly. So
only windows about them are enlarged, and only small boxes are taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.detection.proposals import ProposalError
from retrieval.lesion import Box

_CUT_PX = 3.0
"""A box that ends this near to an edge of its window, within the slice, was cut there."""

_SAME_SHARE = 0.3
"""Windows nearer to one another than this share of their half side are one window."""


@dataclass(frozen=True, slots=True)
class CloseLook:
    """How places are looked at closely. Chosen on validation patients (docs/decisions).

    Attributes:
        scale: how large the network sees a window; above 1.
        windows: the most windows of a slice.
        side_mm: of a window.
        about_mm: windows stand about proposals up to this estimated long diameter.
        least_score: windows stand about proposals of at least this score, a probability where the
            detector is calibrated; no window where none is as sure.
        up_to_mm: of what is found in a window, proposals up to this long diameter count.
        worth: what a score in a window is multiplied by, in (0, 1]; below 1 so that a large
            lesion's box of the first pass stands before the small boxes found on it.
    """

    scale: float = 1.4
    windows: int = 1
    side_mm: float = 137.0
    about_mm: float = 25.0
    least_score: float = 0.0
    up_to_mm: float = 12.0
    worth: float = 0.85

    def __post_init__(self) -> None:
        if self.scale <= 1 or self.windows < 1 or self.side_mm <= 0 or not 0 < self.worth <= 1:
            raise ProposalError(
                f"close look at scale {self.scale} in {self.windows} windows of {self.side_mm} mm, "
                f"worth {self.worth}: a scale above 1, 1 window or more, a side above 0 and a "
                "worth in (0, 1] are needed"
            )


@dataclass(frozen=True, slots=True)
class Window:
    """A square part of a slice on the detector's grid; smaller where the slice is smaller.

    Attributes:
        left, top: its first column and row.
        columns, rows: its size.
        of_columns, of_rows: the size of the slice.
    """

    left: int
    top: int
    columns: int
    rows: int
    of_columns: int
    of_rows: int

    def enlarged(self, picture: Tensor, scale: float) -> Tensor:
        """The window of a picture (slices, rows, columns), ``scale`` times as large."""
        held = picture[:, self.top : self.top + self.rows, self.left : self.left + self.columns]
        size = [round(self.rows * scale), round(self.columns * scale)]
        return F.interpolate(held[None], size=size, mode="bilinear")[0]

    def on_slice(self, box: Box, scale: float) -> Box | None:
        """A box of the enlarged window on the slice's grid; None where the window cut it.

        Pixels keep their edges: the middle of the first one moves.
        """
        shift = (1 - 1 / scale) / 2
        held = box.scaled(1 / scale, 1 / scale).shifted(-shift, -shift)
        right, bottom = self.columns - 1 - _CUT_PX, self.rows - 1 - _CUT_PX
        is_cut = (
            (self.left > 0 and held.x1 < _CUT_PX)
            or (self.top > 0 and held.y1 < _CUT_PX)
            or (self.left + self.columns < self.of_columns and held.x2 > right)
            or (self.top + self.rows < self.of_rows and held.y2 > bottom)
        )
        return None if is_cut else held.shifted(self.left, self.top)


def windows_about(
    boxes: Sequence[Box], shape: torch.Size | tuple[int, ...], side_px: int, most: int
) -> list[Window]:
    """At most ``most`` windows about the first of ``boxes``, within a slice of (rows, columns).

    A box that all but shares the middle of an earlier one shares its window. Where the windows
    together would be as large as the slice, the whole slice is the one window.
    """
    rows, columns = shape[-2:]
    found: list[Window] = []
    apart = side_px / 2 * _SAME_SHARE
    for box in boxes:
        if len(found) == most:
            break
        x, y = box.center
        left = min(max(round(x - side_px / 2), 0), max(0, columns - side_px))
        top = min(max(round(y - side_px / 2), 0), max(0, rows - side_px))
        if all(abs(left - one.left) >= apart or abs(top - one.top) >= apart for one in found):
            size = (min(side_px, columns), min(side_px, rows))
            found.append(Window(left, top, *size, columns, rows))
    whole = Window(0, 0, columns, rows, columns, rows)
    return [whole] if sum(x.rows * x.columns for x in found) >= rows * columns else found
