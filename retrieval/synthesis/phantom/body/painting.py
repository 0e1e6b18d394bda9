"""Anatomy and lesions to tissue HU on one slice: later paint covers earlier paint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.canvas import OUTSIDE_HU, Canvas
from retrieval.synthesis.phantom.body.gut import paint_gut
from retrieval.synthesis.phantom.body.points import Floats, SliceGrid, Window
from retrieval.synthesis.phantom.body.shapes import coverage, squircle_distance
from retrieval.synthesis.phantom.body.tissues import Phase, Tissue
from retrieval.synthesis.phantom.lesions.appearance import (
    Appearance,
    PhantomLesion,
    lesion_pixels,
    reach_mm,
)


@dataclass(frozen=True)
class LesionTrace:
    """Where a lesion shows on a slice: visible coverage within a window."""

    window: Window
    coverage: Floats


@dataclass(frozen=True)
class PaintedSlice:
    """Tissue HU (rows, columns) before the scanner, the skin's coverage, and lesions by track."""

    hu: Floats
    body: Floats
    traces: dict[int, LesionTrace]


Shown = Sequence[tuple[int, PhantomLesion, Appearance]]


def paint_slice(
    anatomy: Anatomy, grid: SliceGrid, phase: Phase, lesions: Shown, *, size_px: int
) -> PaintedSlice:
    """One slice of ``size_px`` a side; ``lesions`` are (track, lesion, appearance)."""
    canvas = Canvas.empty(grid, phase, anatomy.texture)
    body = _paint_wall(canvas, anatomy)
    above, lungs = _paint_chest(canvas, anatomy)
    belly = canvas.kept["cavity"] * (1 - above)
    _paint_belly(canvas, anatomy, belly)
    _paint_great_vessels(canvas, anatomy)
    soft = [entry for entry in lesions if entry[1].host != "bone"]
    hard = [entry for entry in lesions if entry[1].host == "bone"]
    clips: dict[str, Any] = {"lung": lungs, "liver": canvas.kept["liver"], "body": body}
    traces = {track: trace for track, trace in _paint_lesions(canvas, soft, clips)}
    _paint_airways(canvas, anatomy)
    bone = _paint_bones(canvas, anatomy)
    clips["bone"] = bone
    for track, trace in traces.items():
        visible = trace.coverage * (1 - bone[trace.window])
        traces[track] = LesionTrace(trace.window, visible)
    traces.update(_paint_lesions(canvas, hard, clips))
    return _on_image(PaintedSlice(canvas.hu, body, traces), grid, size_px)


def _on_image(painted: PaintedSlice, grid: SliceGrid, size_px: int) -> PaintedSlice:
    """The painted part of a slice put onto the whole image."""
    top, left = grid.origin
    part = slice(top, top + grid.shape[0]), slice(left, left + grid.shape[1])
    hu = np.full((size_px, size_px), OUTSIDE_HU, np.float32)
    body = np.zeros((size_px, size_px), np.float32)
    hu[part], body[part] = painted.hu, painted.body
    traces = {}
    for track, trace in painted.traces.items():
        rows, columns = trace.window
        window = (
            slice(rows.start + top, rows.stop + top),
            slice(columns.start + left, columns.stop + left),
        )
        traces[track] = LesionTrace(window, trace.coverage)
    return PaintedSlice(hu, body, traces)


def _paint_wall(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Skin, fat under it, muscles with streaks of fat."""
    p, torso = canvas.grid.points, anatomy.torso
    skin = torso.skin_distance(p)
    body = canvas.covered(skin)
    strands = np.clip(np.abs(canvas.grain(5.0)) * -9 + 1, 0, 1) * np.float32(26)
    fat = canvas.tissue(Tissue.FAT) + strands + 5 * canvas.grain(9.0, 1)
    rind = np.clip(1 + (skin + 0.5) / 1.6, 0, 1)
    canvas.paint(body, fat + rind * (canvas.tissue(Tissue.SKIN) - fat))
    muscle = torso.muscle_distance(p)
    ridges = np.clip(1 - np.abs(canvas.grain(7.0, 2)) * 7, 0, 1)
    deep = np.clip((muscle + 30) / 30, 0, 1) * np.clip((-muscle - 1.5) / 3, 0, 1)
    meat = canvas.tissue(Tissue.MUSCLE) + 5 * canvas.grain(4.0, 3)
    meat = meat - ridges * deep * np.float32(150 * anatomy.streaks)
    canvas.paint(canvas.covered(muscle) * body, meat)
    for side in ("right", "left"):
        canvas.ellipsoid(
            anatomy.organs.ellipsoids[f"axilla {side}"], canvas.tissue(Tissue.FAT) + strands
        )
    _paint_buttocks(canvas, anatomy)
    return body


def _paint_buttocks(canvas: Canvas, anatomy: Anatomy) -> None:
    """Planes of fat between the gluteal muscles."""
    torso, p = anatomy.torso, canvas.grid.points
    share = float(np.interp(p.level_mm / torso.height_mm, [0.73, 0.77], [0, 1]))
    if share <= 0:
        return
    depth = -torso.muscle_distance(p)
    behind = np.clip((p.y - np.float32(8)) / 25, 0, 1) * np.clip((np.abs(p.x) - 30) / 25, 0, 1)
    bend = 5 * canvas.grain(14.0, 4)
    for plane in (15.0, 33.0):
        sheet = np.clip(1.6 - np.abs(depth + bend - plane) / 1.5, 0, 1)
        canvas.paint(sheet * behind * np.float32(0.85 * share), canvas.tissue(Tissue.FAT))


def _paint_chest(canvas: Canvas, anatomy: Anatomy) -> tuple[Floats, Floats]:
    """Fat of the cavity, lungs, heart; returns what lies above the diaphragm, and the lungs."""
    p, torso = canvas.grid.points, anatomy.torso
    cavity = canvas.covered(torso.cavity_distance(p))
    canvas.kept["cavity"] = cavity
    strands = np.clip(1 - np.abs(canvas.grain(6.0, 5)) * 8, 0, 1) * np.float32(30)
    canvas.paint(cavity, canvas.tissue(Tissue.FAT) + 4 + strands)
    height = p.level_mm / torso.height_mm
    above = coverage(-torso.diaphragm_depth(p), 2 * canvas.grid.mm_px)
    if height > 0.69:
        return above * 0, above * 0
    lungs = canvas.covered(anatomy.lung_distance(p)) * cavity
    sheet = np.clip(1 - np.abs(torso.diaphragm_depth(p) + 1.5) / 2.2, 0, 1) * cavity
    canvas.paint(sheet * (height > 0.5), canvas.tissue(Tissue.MUSCLE))
    weight = np.clip(p.y / 90, -1, 1) * 26
    air = canvas.tissue(Tissue.LUNG) + anatomy.lung_hu + weight
    air = air + 14 * canvas.grain(3.5, 6) + 10 * canvas.grain(12.0, 7)
    canvas.paint(lungs, air)
    if float(lungs.max()) > 0:
        inside = np.clip(lungs + 0.1, 0, 1) * cavity
        canvas.tube(anatomy.lung_vessels, canvas.tissue(Tissue.LUNG_VESSEL), within=inside)
    _paint_heart(canvas, anatomy)
    return above, lungs


def _paint_heart(canvas: Canvas, anatomy: Anatomy) -> None:
    parts = anatomy.organs.ellipsoids
    canvas.ellipsoid(parts["pericardium"], canvas.tissue(Tissue.FAT) + 8)
    muscle = canvas.tissue(Tissue.MYOCARDIUM)
    canvas.ellipsoid(parts["heart"], muscle + 4 * canvas.grain(5.0, 8))
    left, right = canvas.tissue(Tissue.ARTERY), canvas.tissue(Tissue.VEIN)
    for name, blood in (
        ("right atrium", right * 0.5 + left * 0.5),
        ("right ventricle", right * 0.4 + left * 0.6),
        ("left atrium", left),
        ("left ventricle", left),
    ):
        canvas.ellipsoid(parts[name], blood * np.float32(0.92), edge_mm=4.0)


def _paint_belly(canvas: Canvas, anatomy: Anatomy, belly: Floats) -> None:
    p, parts = canvas.grid.points, anatomy.organs.ellipsoids
    height = p.level_mm / anatomy.torso.height_mm
    canvas.kept["liver"] = np.zeros_like(belly)
    if height < 0.50:
        return
    _paint_muscles_beside_spine(canvas, anatomy, belly)
    canvas.tube(anatomy.fat_vessels, canvas.tissue(Tissue.VEIN) * 0.7, within=belly * 0.9)
    for side in ("right", "left"):
        _paint_kidney(canvas, anatomy, side, belly)
    canvas.ellipsoid(
        parts["spleen"], canvas.tissue(Tissue.SPLEEN) + 3 * canvas.grain(4.0, 9), within=belly
    )
    lobules = canvas.tissue(Tissue.PANCREAS) - 45 * np.clip(canvas.grain(3.0, 10) - 0.5, 0, 1)
    canvas.tube(anatomy.organs.tubes["pancreas"], lobules, within=belly)
    for name in ("adrenal left", "adrenal right"):
        canvas.tube(anatomy.organs.tubes[name], canvas.tissue(Tissue.PANCREAS), within=belly)
    if "uterus" in parts:
        womb = canvas.tissue(Tissue.UTERUS) + 6 * canvas.grain(6.0, 11)
        canvas.ellipsoid(parts["uterus"], womb, within=belly)
    canvas.ellipsoid(parts["bladder"], canvas.tissue(Tissue.GUT_WALL), within=belly)
    canvas.ellipsoid(parts["bladder"], canvas.tissue(Tissue.URINE), within=belly, inset_mm=3)
    paint_gut(canvas, anatomy, belly)
    if height < 0.69:
        _paint_liver(canvas, anatomy, belly)


def _paint_muscles_beside_spine(canvas: Canvas, anatomy: Anatomy, belly: Floats) -> None:
    meat = canvas.tissue(Tissue.MUSCLE) + 4 * canvas.grain(4.0, 3)
    for side in ("right", "left"):
        canvas.ellipsoid(anatomy.organs.ellipsoids[f"psoas {side}"], meat, within=belly)


def _paint_kidney(canvas: Canvas, anatomy: Anatomy, side: str, belly: Floats) -> None:
    kidney = anatomy.organs.ellipsoids[f"kidney {side}"]
    window = canvas.window_of(kidney)
    if window is None:
        return
    p = canvas.grid.points.at(window)
    distance = kidney.distance(p.x, p.y, p.z)
    cortex, medulla = canvas.tissue(Tissue.CORTEX), canvas.tissue(Tissue.MEDULLA)
    pyramids = np.clip(0.5 - (distance + 7) / 4, 0, 1)
    pyramids = pyramids * np.clip(canvas.grain(8.0, 12)[window] * 1.6 + 0.7, 0, 1)
    canvas.paint_at(
        window, canvas.covered(distance) * belly[window], cortex + pyramids * (medulla - cortex)
    )
    inward = 9 if side == "right" else -9
    sinus = kidney.distance(p.x - np.float32(inward), p.y + 2, p.z) + 13
    sinus = np.clip(0.5 - (sinus + 3 * canvas.grain(5.0, 13)[window]) / 4, 0, 1)
    canvas.paint_at(window, sinus * belly[window], canvas.tissue(Tissue.FAT) + 20)
    pelvis = kidney.distance(p.x - np.float32(1.1 * inward), p.y + 2, p.z) + 18.5
    canvas.paint_at(window, np.clip(0.5 - pelvis / 3, 0, 1), canvas.tissue(Tissue.URINE) + 8)


def _paint_liver(canvas: Canvas, anatomy: Anatomy, belly: Floats) -> None:
    shown = canvas.covered(anatomy.liver_distance(canvas.grid.points)) * belly
    canvas.kept["liver"] = shown
    grain = 2.5 * canvas.grain(3.0, 14) + 3 * canvas.grain(11.0, 15)
    canvas.paint(shown, canvas.tissue(Tissue.LIVER) + anatomy.liver_hu + grain)
    blood = canvas.tissue(Tissue.LIVER_VESSEL)
    canvas.tube(anatomy.liver_vessels, blood, within=shown * np.float32(0.9))
    gall = anatomy.organs.ellipsoids["gallbladder"]
    canvas.ellipsoid(gall, canvas.tissue(Tissue.GUT_WALL), within=belly)
    canvas.ellipsoid(gall, canvas.tissue(Tissue.GALL), within=belly, inset_mm=1.8)


def _paint_great_vessels(canvas: Canvas, anatomy: Anatomy) -> None:
    tubes = anatomy.organs.tubes
    canvas.tube(tubes["oesophagus"], canvas.tissue(Tissue.MUSCLE))
    canvas.tube(tubes["veins"], canvas.tissue(Tissue.VEIN))
    canvas.tube(tubes["arteries"], canvas.tissue(Tissue.ARTERY))


def _paint_airways(canvas: Canvas, anatomy: Anatomy) -> None:
    for name in ("trachea", "bronchus right", "bronchus left"):
        near = canvas.near(anatomy.organs.tubes[name])
        if near is not None:
            wall = canvas.covered(near.distance - 1.5)
            canvas.paint_at(near.window, wall, canvas.tissue(Tissue.MUSCLE) - 30)
            canvas.paint_at(
                near.window, canvas.covered(near.distance), canvas.tissue(Tissue.AIRWAY)
            )


def _paint_bones(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """All bones; returns their coverage."""
    skeleton = anatomy.skeleton
    marrow = canvas.tissue(Tissue.MARROW) + anatomy.marrow_hu + 45 * canvas.grain(2.0, 16)
    cortex = canvas.tissue(Tissue.CORTICAL)
    bone = _paint_spine(canvas, anatomy, marrow)
    cartilage = canvas.near(skeleton.cartilage, rigid=True)
    if cartilage is not None:
        covered = canvas.covered(cartilage.distance)
        canvas.paint_at(cartilage.window, covered, canvas.tissue(Tissue.CARTILAGE))
    for tubes, shell in ((skeleton.ribs, 1.7), (skeleton.plates, 1.5), (skeleton.blocks, 2.0)):
        near = canvas.near(tubes, rigid=True)
        if near is None:
            continue
        window, covered = near.window, canvas.covered(near.distance)
        rough = shell + 0.4 * canvas.grain(5.0, 17)[window]
        inner = np.clip(0.5 - (near.distance + rough) / 1.3, 0, 1)
        filled = cortex * 0.8 + inner * (marrow[window] - cortex * 0.8)
        canvas.paint_at(window, covered, filled)
        bone[window] = np.maximum(bone[window], covered)
    return bone


def _paint_spine(canvas: Canvas, anatomy: Anatomy, marrow: Any) -> Floats:
    skeleton, p = anatomy.skeleton, canvas.grid.points
    level = float(p.level_mm)
    if level > 0.745 * anatomy.torso.height_mm:
        return np.zeros_like(p.x)
    width, depth = (float(v) for v in skeleton.vertebra_axes(level))
    y = float(skeleton.spine_y(level))
    disc = skeleton.disc_share(level)
    cortex = canvas.tissue(Tissue.CORTICAL)
    arch_y = y + depth + 8
    meat = canvas.tissue(Tissue.MUSCLE) + 6 * canvas.grain(3.5, 18)
    for side in (-1, 1):
        beside = squircle_distance(p.x - side * (width + 13), p.y - (arch_y + 12), 21.0, 16.0)
        canvas.paint(canvas.covered(beside) * canvas.kept["cavity"], meat)
    canal = squircle_distance(p.x, p.y - arch_y, 9.5, 8.5)
    ring = canvas.covered(np.abs(canal - 3) - (2.6 if disc < 0.5 else 1.4))
    spine = np.maximum(np.abs(p.x) - 2.6, np.abs(p.y - (arch_y + 24)) - 13)
    across = np.maximum(np.abs(p.y - (arch_y + 2)) - 3.4, np.abs(np.abs(p.x) - (width + 6)) - 13)
    arch = np.maximum(ring, canvas.covered(np.minimum(spine, across + 9 * disc)))
    canvas.paint(arch, cortex * 0.55)
    body = skeleton.body_distance(p)
    inner = np.clip(0.5 - (body + 1.6) / 1.4, 0, 1)
    bone = cortex * 0.72 + inner * (marrow - cortex * 0.72)
    plate = np.float32(np.clip(1 - abs(disc - 0.35) / 0.35, 0, 1) * 160)
    canvas.paint(canvas.covered(body), bone + plate * inner)
    canvas.paint(canvas.covered(body) * np.float32(disc), canvas.tissue(Tissue.DISC))
    canvas.paint(canvas.covered(canal), canvas.tissue(Tissue.NERVE))
    return np.asarray(np.maximum(canvas.covered(body) * (1 - disc), arch), np.float32)


def _paint_lesions(
    canvas: Canvas, lesions: Shown, clips: dict[str, Any]
) -> list[tuple[int, LesionTrace]]:
    traces = []
    for track, lesion, seen in lesions:
        x, y, z = lesion.center
        p = canvas.grid.points
        height = p.z_rigid if lesion.rigid else p.z
        reach = reach_mm(lesion, seen.scale)
        if abs(float(np.mean(height)) - z) > reach + 8:
            continue
        window = canvas.grid.window(float(x), float(y), reach)
        if window is None:
            continue
        pixels = lesion_pixels(
            lesion, seen, p.at(window), phase=canvas.phase, edge_mm=1.3 * canvas.grid.mm_px
        )
        clip = _clip(lesion, {name: mask[window] for name, mask in clips.items()})
        canvas.paint_at(window, pixels.opacity * clip, pixels.hu)
        traces.append((track, LesionTrace(window, pixels.coverage * clip)))
    return traces


def _clip(lesion: PhantomLesion, clips: dict[str, Any]) -> Any:
    """What an organ lets show of its lesion: bulging a little, not leaving the body."""
    if lesion.host == "bone":
        return np.clip(clips["bone"] * 4, 0, 1)
    if lesion.host in {"lung", "liver"}:
        return np.clip(clips[lesion.host] * 3, 0, 1)
    return clips["body"]
