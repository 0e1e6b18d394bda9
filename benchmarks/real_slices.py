"""Proposals on every real slice of a folder of collections: how many lie off the image or the body.

    python benchmarks/real_slices.py --data DATA --sheet looks.png

Every image under DATA is opened as a user would (``open_query_image``): folders of numbered PNGs,
volumes, folders of DICOM files, single pictures. What is refused is counted with its reason. Each
slice is detected as the product does, and of its boxes are counted those

* off the image: an edge beyond the centres of the outermost pixels, in the file's own grid;
* in outer air: most of the lesion's extent in air that more than 30 mm of the image's border reach
  (a trachea that the image cuts is narrower). This is a count of its own, not the mask by which the
  product cuts;
* beside the trunk: the middle outside the hull of the largest dense part. Arms are there by right,
  a couch is not.

The surest of all these are drawn on the sheet, to be looked at. Writes
benchmarks/results/real_slices.json after every image; run again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.detection.detector import LesionDetector
from retrieval.detection.on_patient import unpadded
from retrieval.detection.proposals import LEAST_SHOWN_SCORE
from retrieval.image import Slab, apply_window
from retrieval.lesion import Box, LesionSearchError
from retrieval.sources.query_image import open_query_image

RESULT = Path(__file__).parent / "results" / "real_slices.json"
WHOLE_MM = 1e6
OUTER_AIR_HU = -500.0
AIR_HU = -940.0
"""Half of a part of lung is above it."""

AIRWAY_MM = 30.0
"""Air that meets less of the border is an airway or bowel gas."""

DENSE_HU = -300.0
TILE_PX = 180
PICTURE_SPACING_MM = (0.8, 0.8, 5.0)
"""Of pictures that state none: a field of view of 41 cm."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Image:
    """An image to open, and what a user would say of it."""

    collection: str
    path: Path
    key: int | None = None
    spacing_mm: tuple[float, float, float] | None = None

    @property
    def name(self) -> str:
        """Unique within the data."""
        name = "/".join(self.path.parts[-3:])
        return name if self.key is None else f"{name}/{self.key:03d}"

    def slab(self, half_depth_mm: float = WHOLE_MM) -> Slab:
        """The whole image with ``WHOLE_MM``."""
        return open_query_image(
            self.path,
            key_slice_index=self.key,
            spacing_mm=self.spacing_mm,
            half_depth_mm=half_depth_mm,
            assume_hu=self.collection.startswith("samples/ssbr"),
        )


def main() -> None:
    """Detects, counts and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--most", type=int, help="images of a collection; all if left out")
    parser.add_argument("--every", type=int, default=1, help="of a collection every such image")
    parser.add_argument("--slices", type=int, help="of an image, spread over it; all if left out")
    parser.add_argument("--only", action="append", help="a collection; all if left out")
    parser.add_argument("--sheet", type=Path, help="a picture of the surest boxes that are listed")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector = LesionDetector.load()
    document = {"detector": detector.fingerprint, "images": {}, "listed": []}
    if options.out.is_file():
        kept = json.loads(options.out.read_text())
        if kept["detector"] == detector.fingerprint:
            document = kept
    taken: Counter[str] = Counter()
    for image in images(options.data):
        if options.only and image.collection.partition("/")[0] not in options.only:
            continue
        taken[image.collection] += 1
        key = f"{image.collection}: {image.name}"
        number = taken[image.collection]
        if key in document["images"] or (number - 1) % options.every:
            continue
        if options.most and number > options.most:
            continue
        try:
            slab = opened(image)
        except LesionSearchError as error:
            document["images"][key] = {"refused": str(error).replace(str(options.data), "DATA")}
        else:
            document["images"][key] = counted(
                detector, slab, key, document["listed"], most=options.slices
            )
        _write(options.out, document)
    _write(options.out, document)
    print(json.dumps(document["collections"], indent=1))
    if options.sheet:
        _draw(options, document["listed"])


def images(data: Path) -> Iterator[Image]:
    """Every image that may hold CT, collection by collection."""
    for name in ("deeplesion_sample", "deeplesion_windowed"):
        for folder in sorted((data / name / "Images_png").iterdir()):
            yield from _runs(name, folder, None)
    for name in ("real_ct_1mm", "real_ct_extra"):
        with (data / name / "index.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        intervals = {Path(row["path"]).parent: row["slice_interval_mm"] for row in rows}
        for folder, interval in sorted(intervals.items()):
            spacing = (1.0, 1.0, float(interval or 5.0))
            for path in sorted((data / name / folder).glob("*.png")):
                yield Image(name, path, spacing_mm=spacing)
    for name, pattern in (
        ("lung_nodules", "image/*.nii.gz"),
        ("lung_pet_ct_dx", "image/*.nii.gz"),
        ("sarcoma_ct", "nifti/*/CT_image.nii.gz"),
        ("sarcoma_ct", "dicom/*/CT/image"),
        ("samples", "rtstruct_4dlung"),
        ("samples", "seg_dcmqi_liver/0*.dcm"),
        ("samples", "sr_tid1500/highdicom_ct_image.dcm"),
    ):
        for path in sorted((data / name).glob(pattern)):
            collection = f"samples/{path.relative_to(data / name).parts[0]}"
            yield Image(collection if name == "samples" else name, path)
    for path in sorted((data / "samples" / "ssbr_nih_50").glob("*.png")):
        yield Image("samples/ssbr_nih_50", path, spacing_mm=PICTURE_SPACING_MM)
    for case in sorted((data / "cases").iterdir()):
        yield from (
            Image("cases", path) for path in sorted(case.iterdir()) if path.name != "README"
        )


def _runs(
    collection: str, folder: Path, spacing: tuple[float, float, float] | None
) -> Iterator[Image]:
    """One image for each run of numbers without a gap; its key is the first one."""
    numbers = sorted(int(path.stem) for path in folder.glob("*.png"))
    for number in numbers:
        if number - 1 not in numbers:
            yield Image(collection, folder, number, spacing)


def opened(image: Image) -> Slab:
    """The image's slab; without neighbours where they are of another size."""
    try:
        return image.slab()
    except LesionSearchError:
        return image.slab(0.0)


def counted(
    detector: LesionDetector,
    slab: Slab,
    key: str,
    listed: list[dict[str, object]],
    *,
    most: int | None = None,
) -> dict[str, int]:
    """Slices, boxes, and those that lie where no lesion can; the shown ones are listed.

    Of a longer image ``most`` slices are seen, the middles of as many parts.
    """
    single = key.startswith("real_ct")
    positions = [slab.key_slice] if single else list(range(len(slab.hu)))
    if most is not None and len(positions) > most:
        share = len(positions) / most
        positions = [int((part + 0.5) * share) for part in range(most)]
    counts = Counter(slices=len(positions))
    for position in positions:
        proposals = detector.detect(slab.with_key_slice(position))
        hu = slab.hu[position]
        air = outer_air(hu, slab.spacing_mm_px)
        trunk = trunk_hull(hu, air)
        for proposal in proposals:
            box = slab.grid.to_display_box(proposal.box)
            wrong = {
                "off the image": not _within(box, slab),
                "in outer air": _share(air, unpadded(box)) > 0.5,
                "beside the trunk": not _holds(trunk, box),
            }
            counts["boxes"] += 1
            for kind in (kind for kind, holds in wrong.items() if holds):
                counts[kind] += 1
                counts[f"{kind}, shown"] += proposal.score >= LEAST_SHOWN_SCORE
                edges = [round(edge, 1) for edge in box.to_list()]
                place = {"image": key, "slice": position, "box": edges}
                if proposal.score >= LEAST_SHOWN_SCORE:
                    listed.append({"kind": kind, "score": round(proposal.score, 4), **place})
    return dict(counts)


def outer_air(hu: NDArray[np.float32], spacing_mm_px: tuple[float, float]) -> Mask:
    """(rows, columns) the thin parts that reach the border and are air: lung is denser.

    Parts that meet no more of the border than an airway does are left out.
    """
    thin = np.asarray(hu < OUTER_AIR_HU)
    _, labels = cv2.connectedComponents(thin.astype(np.uint8), connectivity=4)
    along_mm = np.zeros(labels.max() + 1)
    for edges, axis in (((labels[0], labels[-1]), 0), ((labels[:, 0], labels[:, -1]), 1)):
        along_mm += (
            np.bincount(np.concatenate(edges), minlength=len(along_mm)) * spacing_mm_px[axis]
        )
    found = np.zeros_like(thin)
    for label in np.flatnonzero(along_mm[1:] > AIRWAY_MM) + 1:
        part = np.asarray(labels == label)
        if np.median(hu[part]) < AIR_HU:
            found |= part
    return found


def trunk_hull(hu: NDArray[np.float32], air: Mask) -> Mask:
    """(rows, columns) the convex hull of the largest dense part; everything on a cut-out."""
    dense = np.asarray(hu > DENSE_HU, np.uint8)
    border = np.concatenate([dense[0], dense[-1], dense[:, 0], dense[:, -1]])
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(dense, connectivity=4)
    if border.mean() > 0.5 or count < 2 or not air.any():
        return np.ones(hu.shape, bool)
    largest = np.asarray(labels) == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    corners = cv2.convexHull(np.argwhere(largest)[:, ::-1].astype(np.int32))
    hull = np.zeros(hu.shape, np.uint8)
    cv2.fillConvexPoly(hull, corners, 1)
    return np.asarray(hull > 0)


def _within(box: Box, slab: Slab) -> bool:
    tolerance = 1e-6
    inside = box.x1 >= -tolerance and box.y1 >= -tolerance
    return inside and box.x2 <= slab.columns - 1 + tolerance and box.y2 <= slab.rows - 1 + tolerance


def _share(mask: Mask, box: Box) -> float:
    x1, y1, x2, y2 = (round(edge) for edge in box.to_list())
    held = mask[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1]
    return float(held.mean()) if held.size else 0.0


def _holds(mask: Mask, box: Box) -> bool:
    x, y = box.center
    return bool(mask[min(round(y), mask.shape[0] - 1), min(round(x), mask.shape[1] - 1)])


def _write(path: Path, document: dict[str, dict[str, object]]) -> None:
    totals: dict[str, Counter[str]] = {}
    for key, counts in document["images"].items():
        total = totals.setdefault(key.partition(":")[0], Counter())
        total["images"] += 1
        total["refused" if "refused" in counts else "opened"] += 1
        total.update({name: n for name, n in counts.items() if name != "refused"})
    document["collections"] = {name: dict(total) for name, total in totals.items()}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _draw(options: argparse.Namespace, listed: list[dict[str, object]]) -> None:
    """Up to 60 tiles, the surest boxes first."""
    known = {f"{one.collection}: {one.name}": one for one in images(options.data)}
    tiles = []
    for entry in sorted(listed, key=lambda one: -one["score"])[:60]:
        hu = opened(known[entry["image"]]).hu[entry["slice"]]
        grey = (apply_window(hu, -300, 300) * 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        x1, y1, x2, y2 = (round(edge) for edge in entry["box"])
        cv2.rectangle(picture, (x1, y1), (x2, y2), (0, 0, 255), 2)
        tile = cv2.resize(picture, (TILE_PX, TILE_PX))
        cv2.putText(tile, f"{entry['score']:.2f}", (4, 14), 0, 0.45, (0, 255, 255), 1)
        tiles.append(tile)
    blank = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    tiles += [blank] * (-len(tiles) % 10)
    rows = [np.hstack(tiles[start : start + 10]) for start in range(0, len(tiles), 10)]
    if rows:
        cv2.imwrite(str(options.sheet), np.vstack(rows))


if __name__ == "__main__":
    main()
