"""Recipes with absurd values: refused before anything is read, by the path of the key."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from retrieval.detection.recipe import RECIPES as DETECTOR_RECIPES
from retrieval.detection.recipe import DetectorRecipe, load_detector_recipe
from retrieval.embedding.recipe import RECIPES, Recipe, load_recipe
from retrieval.segmentation.learning.recipe import MaskRecipe, load_mask_recipe
from retrieval.training.bounds import BOUNDS
from retrieval.training.config import RecipeError

LOADERS = {"encoder": load_recipe, "detector": load_detector_recipe}
OWNERS = {Recipe: load_recipe, DetectorRecipe: load_detector_recipe, MaskRecipe: load_mask_recipe}


def number_keys(kind, section=""):
    """Every key of a recipe that holds numbers."""
    for item in fields(kind):
        hint = get_type_hints(kind)[item.name]
        if is_dataclass(hint):
            yield from number_keys(hint, f"{section}{item.name}.")
        elif any(word in str(hint) for word in ("int", "float")):
            yield section + item.name


@pytest.mark.parametrize("recipe", [Recipe, DetectorRecipe])
def test_every_number_of_a_recipe_has_bounds(recipe):
    assert set(number_keys(recipe)) <= set(BOUNDS)


def test_no_bound_is_of_a_key_that_is_gone():
    assert set(BOUNDS) <= {key for kind in OWNERS for key in number_keys(kind)}


@pytest.mark.parametrize("key", [key for key in BOUNDS if not key.startswith("data.weights")])
@pytest.mark.parametrize("value", ["nan", "inf", "-1e30", "1e30", str(10**400)])
def test_no_number_beyond_its_bounds_is_taken(key, value):
    """Of whichever recipe has the key; as a number, in a list, in a table of numbers."""
    loader = next(load for kind, load in OWNERS.items() if key in set(number_keys(kind)))
    if key in {"data.reach_mm"}:
        key = f"{key}.phantom"
    wrapped = {"windows": f"[[{value}, 150]]", "scale": f"[0.8, {value}]"}
    listed = {"anchor_px": f"[{value}]", "ratios": f"[{value}]"}
    last = key.rpartition(".")[2]
    written = {**wrapped, **listed}.get(last, value)
    with pytest.raises(RecipeError) as refused:
        loader("small", {key: written})
    assert last in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("encoder", {"optimiser.steps": "0"}, r"optimiser: steps is 0: 1 to 1e\+07 is accepted"),
        ("encoder", {"optimiser.steps": "-5"}, "optimiser: steps is -5"),
        ("encoder", {"optimiser.sequences": "1000000"}, "optimiser: sequences is 1000000"),
        ("encoder", {"optimiser.head_rate": "nan"}, "optimiser: head_rate is nan: 0 to 1"),
        ("encoder", {"optimiser.warmup": "1.5"}, "optimiser: warmup is 1.5: 0 to 1"),
        ("encoder", {"patch.size_px": "100000"}, "patch: size_px is 100000: 8 to 1024"),
        ("encoder", {"patch.slices": "4"}, "patch: patch of 96 px and 4 slices|patch: patch of"),
        ("encoder", {"patch.windows": "[[300, -300]]"}, "patch: patch windows"),
        ("encoder", {"patch.windows": "[[1, 2, 3]]"}, r"windows\[0\] has 3 items: 2 are needed"),
        ("encoder", {"patch.windows": "[1, 2]"}, r"windows\[0\] is 1: a list is needed"),
        ("encoder", {"patch.windows": str([[0, 1]] * 100)}, "windows has 100 items: at most 64"),
        ("encoder", {"data.attributes": "[3]"}, r"attributes\[0\] is 3: str is needed"),
        ("encoder", {"data.weights.phantom": "-1"}, r"data: weights\.phantom is -1.0: 0 to 1e"),
        ("encoder", {"data.same_patient": "2"}, "data: same_patient is 2.0: 0 to 1"),
        ("encoder", {"loss.identity": "triplet"}, "loss: identity is 'triplet': one of batch-hard"),
        ("encoder", {"network.dimension": "0"}, "network: dimension is 0: 8 to 4096"),
        ("encoder", {"seed": "-1"}, "seed is -1"),
        ("detector", {"network.classes": "3"}, "network: 3 classes"),
        ("detector", {"augment.scale": "[1]"}, "scale has 1 items: 2 are needed"),
        ("detector", {"augment.crop_px": "1000000"}, "augment: crop_px is 1000000: 32 to 4096"),
        ("detector", {"missing.threshold": "-0.1"}, "missing: threshold is -0.1: 0 to 1"),
    ],
)
def test_absurd_values_are_refused_by_their_path(kind, changes, message):
    with pytest.raises(RecipeError, match=message) as refused:
        LOADERS[kind]("tiny", changes)
    assert "tiny.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "not valid TOML"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply|not valid TOML"),
        (b"#" * (2 << 20), "more than 1048576 characters"),
        (b'a = "\xed\xa0\x80"', "not valid TOML"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as refused:
        load_recipe(path)
    assert "\n" not in str(refused.value)


def test_what_is_bundled_lies_within():
    assert [load_recipe(path).name for path in RECIPES.glob("*.toml")]
    assert [load_detector_recipe(path).name for path in DETECTOR_RECIPES.glob("*.toml")]
