"""What a recipe's numbers may be: bounds by key, wide enough for any run and no further.

A value beyond them is a slip of the keyboard: it would fill the memory, run for years, or train
nothing, and say so only after hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

SHARE = (0.0, 1.0)
_RATE = (0.0, 1.0)
_WEIGHT = (0.0, 1e6)
_HU = (-1e5, 1e5)
_HU_CHANGE = (0.0, 1e4)
_MARGIN = (0.0, 4.0)

Bound = tuple[float, float]

_PATCH: Mapping[str, Bound] = {
    "size_px": (8, 1024),
    "mm_px": (0.05, 20.0),
    "slices": (1, 63),
    "slice_interval_mm": (0.05, 50.0),
    "windows": _HU,
}

BOUNDS: Mapping[str, Bound] = {
    "seed": (0, 2**63 - 1),
    **{f"patch.{key}": bound for key, bound in _PATCH.items()},
    **{f"grid.{key}": bound for key, bound in _PATCH.items()},
    "network.dimension": (8, 4096),
    "network.size_weight": (0.0, 100.0),
    "network.channels": (8, 1024),
    "network.first_level": (0, 3),
    "network.classes": (1, 64),
    "network.anchor_px": (1, 1024),
    "network.ratios": (0.01, 100.0),
    "network.anchor_scales": (0.01, 100.0),
    "network.domains": (0, 64),
    "network.mask_weight": _WEIGHT,
    "network.height_weight": _WEIGHT,
    "data.weights": _WEIGHT,
    "data.same_patient": SHARE,
    "data.reach_mm": (0.0, 2000.0),
    "data.hidden": SHARE,
    "similarity.location": (0.0, 2.0),
    "similarity.size_ratio": (1.0, 1000.0),
    "similarity.attribute": (0.0, 1000.0),
    "margins.same": _MARGIN,
    "margins.alike": _MARGIN,
    "margins.other_size": _MARGIN,
    "margins.other_location": _MARGIN,
    "margins.other_type": _MARGIN,
    "loss.sequence": _WEIGHT,
    "loss.identity_weight": _WEIGHT,
    "loss.type_weight": _WEIGHT,
    "loss.location_weight": _WEIGHT,
    "loss.attribute_weight": _WEIGHT,
    "loss.views_weight": _WEIGHT,
    "loss.memory": (0, 1_000_000),
    "loss.distillation_weight": _WEIGHT,
    "loss.ratings_weight": _WEIGHT,
    "loss.temperature": (1e-3, 100.0),
    "loss.kept_weight": _WEIGHT,
    "loss.found_weight": _WEIGHT,
    "degradation.blur_mm": (0.0, 20.0),
    "degradation.sharpening": (0.0, 10.0),
    "degradation.noise_hu": _HU_CHANGE,
    "degradation.streaks_hu": _HU_CHANGE,
    "degradation.thickness_mm": (0.0, 100.0),
    "degradation.kernel": SHARE,
    "degradation.share": SHARE,
    "degradation.plain": SHARE,
    "augment.spacing": (0.0, 2.0),
    "augment.rotation_deg": (0.0, 180.0),
    "augment.slice_offset_mm": (0.0, 100.0),
    "augment.hu_shift": _HU_CHANGE,
    "augment.noise_hu": _HU_CHANGE,
    "augment.kernel": (0.0, 10.0),
    "augment.box_jitter": SHARE,
    "augment.scale": (0.05, 20.0),
    "augment.crop_px": (32, 4096),
    "augment.shift_hu": _HU_CHANGE,
    "optimiser.steps": (1, 10_000_000),
    "optimiser.sequences": (1, 4096),
    "optimiser.frozen_levels": (0, 5),
    "optimiser.slices": (1, 1024),
    "optimiser.backbone_rate": _RATE,
    "optimiser.head_rate": _RATE,
    "optimiser.weight_decay": (0.0, 10.0),
    "optimiser.warmup": SHARE,
    "optimiser.clip": (1e-6, 1e6),
    "optimiser.trained_share": SHARE,
    "refine.rounds": (0, 1000),
    "weak.rounds": (0, 100),
    "weak.steps": (1, 10_000_000),
    "weak.axes": (0.0, 4.0),
    "weak.lenient": (0.0, 4.0),
    "weak.overlap": SHARE,
    "refine.neighbours": (1, 10_000),
    "refine.confidence": SHARE,
    "missing.threshold": SHARE,
    "missing.after": SHARE,
}
"""The smallest and the largest value of each number of a recipe, by ``section.key``."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "loss.identity": ("batch-hard", "multi-similarity", "none"),
}
"""The words that a key takes, where the type of its section does not say so itself."""


def beyond(key: str, value: object) -> str | None:
    """What is wrong with a value, in words that follow the key; None if nothing is.

    Lists and tables are judged number by number; what is no number has no bounds.
    """
    choices = CHOICES.get(key)
    if choices is not None and value not in choices:
        return f" is {value!r}: one of {', '.join(choices)}"
    if isinstance(value, Mapping):
        return _first(key, ((f".{name}", part) for name, part in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _first(key, ((f"[{n}]", part) for n, part in enumerate(value)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = BOUNDS.get(key, (-math.inf, math.inf))
    # NaN is within no bounds.
    return None if low <= value <= high else f" is {value!r}: {low:g} to {high:g} is accepted"


def _first(key: str, parts: Iterable[tuple[str, object]]) -> str | None:
    found = ((place, beyond(key, part)) for place, part in parts)
    return next((place + words for place, words in found if words is not None), None)
