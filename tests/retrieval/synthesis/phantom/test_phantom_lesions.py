"""Phantom lesions: in the right organ, visible, recognisable, marked where they are."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.lesion import LesionType
from retrieval.synthesis.phantom.acquisition import Acquisition
from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.painting import LesionTrace, paint_slice
from retrieval.synthesis.phantom.body.points import Points
from retrieval.synthesis.phantom.body.tissues import Phase
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.synthesis.phantom.lesions.appearance import Appearance, PhantomLesion, lesion_pixels
from retrieval.synthesis.phantom.lesions.history import draw_lesion
from retrieval.synthesis.phantom.lesions.marking import mark_lesion
from retrieval.synthesis.phantom.lesions.sites import draw_site
from retrieval.synthesis.phantom.patient import make_patient

KINDS = [kind for kind in LesionType if kind is not LesionType.UNKNOWN]


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return Anatomy.random(np.random.default_rng(5))


@pytest.mark.parametrize("kind", KINDS)
def test_sites_lie_in_the_right_organ(kind: LesionType, anatomy: Anatomy) -> None:
    rng = np.random.default_rng(1)
    centers = np.array([draw_site(kind, anatomy, rng).center for _ in range(30)])
    points = Points.of(centers)
    height = centers[:, 2] / anatomy.torso.height_mm
    lung, liver = anatomy.lung_distance(points), anatomy.liver_distance(points)
    muscle = anatomy.torso.muscle_distance(points)
    low, high = {
        LesionType.BONE: (0.35, 0.86),
        LesionType.ABDOMEN: (0.58, 0.71),
        LesionType.MEDIASTINUM: (0.34, 0.56),
        LesionType.LIVER: (0.54, 0.67),
        LesionType.LUNG: (0.33, 0.62),
        LesionType.KIDNEY: (0.58, 0.74),
        LesionType.SOFT_TISSUE: (0.30, 0.87),
        LesionType.PELVIS: (0.77, 0.83),
    }[kind]
    assert ((height > low) & (height < high)).all()
    if kind is LesionType.LUNG:
        assert (lung < 0).all()
    if kind is LesionType.LIVER:
        assert (liver < 0).all()
    if kind in {LesionType.ABDOMEN, LesionType.PELVIS, LesionType.KIDNEY}:
        assert (muscle < 0).all()
    if kind is LesionType.KIDNEY:
        kidneys = [anatomy.organs.ellipsoids[f"kidney {side}"] for side in ("left", "right")]
        near = np.minimum(*(k.distance(points.x, points.y, points.z) for k in kidneys))
        assert (near < 8).all()


@pytest.mark.parametrize("kind", KINDS)
def test_painting_a_lesion_changes_its_pixels_alone(kind: LesionType, anatomy: Anatomy) -> None:
    rng = np.random.default_rng(8)
    taken = Acquisition.random(anatomy, 192, rng)
    changed = []
    for _ in range(6):
        lesion = draw_lesion(kind, anatomy, rng)
        index = taken.slice_near(float(lesion.center[2]), rigid=lesion.rigid, anatomy=anatomy)
        grid = taken.grid(index, anatomy)
        shown = [(1, lesion, Appearance(1.0))]
        without = paint_slice(anatomy, grid, Phase.PORTAL, [], size_px=192).hu
        painted = paint_slice(anatomy, grid, Phase.PORTAL, shown, size_px=192)
        trace = painted.traces.get(1)
        if trace is None or trace.coverage.sum() < 4:
            continue
        difference = np.abs(painted.hu - without)
        outside = difference.copy()
        outside[trace.window] = 0
        assert outside.max() == 0
        changed.append(float(difference[trace.window][trace.coverage > 0.5].mean()))
    assert len(changed) >= 3
    assert np.median(changed) > 15


def test_a_lesion_keeps_its_shape_when_it_grows(anatomy: Anatomy) -> None:
    rng = np.random.default_rng(2)
    lesion = draw_lesion(LesionType.LIVER, anatomy, rng)
    other = draw_lesion(LesionType.LIVER, anatomy, rng)
    axis = np.linspace(-1.6, 1.6, 41) * lesion.diameter_mm / 2

    def shape(of: PhantomLesion, scale: float) -> np.ndarray:
        x, y = np.meshgrid(axis * scale, axis * scale)
        offsets = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
        points = Points.of(of.center + offsets)
        seen = Appearance(scale, np.full(1, 0.1 * (scale - 1), np.float32))
        return lesion_pixels(of, seen, points, phase=Phase.PORTAL, edge_mm=0.5).coverage > 0.5

    def dice(a: np.ndarray, b: np.ndarray) -> float:
        return float(2 * (a & b).sum() / (a.sum() + b.sum()))

    assert dice(shape(lesion, 1.0), shape(lesion, 1.5)) > 0.93
    assert dice(shape(lesion, 1.0), shape(lesion, 1.5)) > dice(shape(lesion, 1.0), shape(other, 1))


def test_mark_of_an_ellipse_is_its_axes() -> None:
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
    turn = np.radians(30)
    x, y = columns - 40, rows - 30
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = (np.sqrt((along / 20) ** 2 + (across / 9) ** 2) - 1) * 13
    covered = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    mark = mark_lesion(LesionTrace((slice(100, 160), slice(50, 130)), covered))
    assert mark is not None
    assert mark.long_px == pytest.approx(40, abs=0.8)
    assert mark.short_px == pytest.approx(18, abs=0.8)
    assert mark.recist.box(0).center == pytest.approx((90, 130), abs=0.6)


def test_nothing_visible_gives_no_mark() -> None:
    empty = LesionTrace((slice(0, 9), slice(0, 9)), np.zeros((9, 9), np.float32))
    assert mark_lesion(empty) is None


def test_lesions_are_visible_against_their_surroundings() -> None:
    contrasts = []
    for number in (1, 2):
        patient = make_patient(PhantomConfig(patients=1, seed=21, half_depth_mm=2.0), number)
        images = {
            (run.study, run.first_slice + i): plane
            for run in patient.images
            for i, plane in enumerate(run.hu)
        }
        for marked in patient.lesions:
            plane = images[marked.row.study, marked.row.key_slice].astype(float)
            box = marked.row.recist.box(0)
            rows, columns = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]]
            u = (columns - box.center[0]) / max(box.width / 2, 1)
            v = (rows - box.center[1]) / max(box.height / 2, 1)
            radius = np.sqrt(u * u + v * v)
            inside, around = plane[radius < 0.7], plane[(radius > 1.3) & (radius < 1.9)]
            contrasts.append(abs(np.median(inside) - np.median(around)))
    assert len(contrasts) >= 4
    assert np.median(contrasts) > 20
