"""A picture of what was mined and of what was refused, with the reason under each mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU, apply_window
from retrieval.lesion import LesionSearchError

TILE_PX = 224
CAPTION_PX = 34
CLOSE_UP_PX = 64.0
"""A tile shows at least so many pixels of the image about a mark."""

PER_ROW = 6
KEPT_COLOUR, REFUSED_COLOUR, PROPOSED_COLOUR = (90, 200, 90), (60, 90, 240), (60, 200, 250)
"""Blue, green, red."""


class MinedFigureError(LesionSearchError):
    """A picture that cannot be made or written."""


@dataclass(frozen=True)
class PicturedMark:
    """One mark to show.

    Attributes:
        verdict: its word.
        words: what stands below it.
        is_kept: a lesion came of it.
        hu: (rows, columns) its image in HU; None where there is none to show.
        extent: (x1, y1, x2, y2) of the mark in pixels of the image; empty where not known.
        recist: the four ends as eight numbers; empty where there are none.
        is_proposed: its extent is a detector's box, which nobody drew.
    """

    verdict: str
    words: str
    is_kept: bool
    hu: NDArray[np.float32] | None
    extent: Sequence[float] = ()
    recist: Sequence[float] = ()
    is_proposed: bool = False

    @property
    def colour(self) -> tuple[int, int, int]:
        """Blue, green, red: kept, proposed or refused."""
        if self.is_proposed:
            return PROPOSED_COLOUR
        return KEPT_COLOUR if self.is_kept else REFUSED_COLOUR


@dataclass(frozen=True)
class TileCaption:
    """What stands below one tile of a sheet: the mark's verdict, and its size where it has one."""

    verdict: str
    words: str


@dataclass(frozen=True)
class SheetLayout:
    """Where the tiles of a sheet are, so that its pictures can be shown apart from it.

    Attributes:
        columns: tiles in a row, filled from the left.
        tile_px: side of a tile's picture, in pixels of the sheet.
        pitch_px: from one row of tiles to the next: the picture and its caption.
        top_px: where the first row begins.
        captions: of each tile, in their order.
    """

    columns: int
    tile_px: int
    pitch_px: int
    top_px: int
    captions: tuple[TileCaption, ...]


def mined_sheet(
    marks: Sequence[PicturedMark], counts: Mapping[str, int], path: Path
) -> SheetLayout:
    """Writes a PNG with a tile for each mark, and the counts of all verdicts above them.

    Returns where the tiles are in it. Raises MinedFigureError where there is nothing to show or
    the file cannot be written.
    """
    if not marks:
        raise MinedFigureError("no mark lies on an image: there is nothing to show")
    tiles = [_tile(mark) for mark in marks]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % PER_ROW)
    rows = [np.hstack(tiles[at : at + PER_ROW]) for at in range(0, len(tiles), PER_ROW)]
    head = _head(counts, rows[0].shape[1])
    sheet = np.vstack([head, *rows])
    if not cv2.imwrite(str(path), sheet):
        raise MinedFigureError(f"picture {path} cannot be written: check the folder and its space")
    captions = tuple(TileCaption(mark.verdict, mark.words) for mark in marks)
    return SheetLayout(PER_ROW, TILE_PX, TILE_PX + CAPTION_PX, len(head), captions)


def _head(counts: Mapping[str, int], width: int) -> NDArray[np.uint8]:
    texts = [f"{verdict}: {count}" for verdict, count in counts.items()]
    per_line = max(width // 300, 1)
    lines = [texts[at : at + per_line] for at in range(0, len(texts), per_line)]
    head = np.zeros((24 * len(lines) + 12, width, 3), np.uint8)
    for row, line in enumerate(lines):
        for column, text in enumerate(line):
            _write(head, text, (column * 300 + 8, 24 * row + 22), (255, 255, 255))
    return head


def _tile(mark: PicturedMark) -> NDArray[np.uint8]:
    tile = np.zeros((TILE_PX + CAPTION_PX, TILE_PX, 3), np.uint8)
    colour = mark.colour
    if mark.hu is not None and mark.hu.size:
        tile[:TILE_PX] = _close_up(mark, mark.hu, colour)
    _write(tile, mark.verdict, (4, TILE_PX + 13), colour)
    _write(tile, mark.words, (4, TILE_PX + 28), (200, 200, 200))
    return tile


def _close_up(
    mark: PicturedMark, hu: NDArray[np.float32], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The image about the mark, the mark on it, under the soft-tissue or the lung window."""
    rows, columns = hu.shape
    x1, y1, x2, y2 = mark.extent or (0.0, 0.0, columns - 1.0, rows - 1.0)
    half = max((x2 - x1) * 0.9, (y2 - y1) * 0.9, CLOSE_UP_PX / 2)
    half = min(half, max(rows, columns) / 2)
    left, top = (x1 + x2) / 2 - half, (y1 + y2) / 2 - half
    factor = TILE_PX / (2 * half)
    to_tile = np.array([[factor, 0, -left * factor], [0, factor, -top * factor]])
    inside = hu[max(int(y1), 0) : int(y2) + 1, max(int(x1), 0) : int(x2) + 1]
    is_lung = bool(inside.size) and float(np.median(inside)) < -400
    low, high = CT_HU.windows["lung" if is_lung else "soft tissue"]
    grey = np.asarray(np.rint(apply_window(hu, low, high) * 255), np.uint8)
    shown = cv2.warpAffine(grey, to_tile, (TILE_PX, TILE_PX))
    picture = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    if mark.recist:
        ends = (np.array(mark.recist).reshape(4, 2) - (left, top)) * factor
        for first, last in (ends[:2], ends[2:]):
            cv2.line(picture, _whole(first), _whole(last), colour, 1, cv2.LINE_AA)
    elif mark.extent:
        corners = (np.array([[x1, y1], [x2, y2]]) - (left, top)) * factor
        cv2.rectangle(picture, _whole(corners[0]), _whole(corners[1]), colour, 1)
    return np.asarray(picture, np.uint8)


def _whole(point: NDArray[np.float64]) -> tuple[int, int]:
    return int(np.clip(round(point[0]), -9999, 9999)), int(np.clip(round(point[1]), -9999, 9999))


def _write(
    picture: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    plain = text.encode("ascii", "replace").decode()[:38]
    cv2.putText(picture, plain, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
