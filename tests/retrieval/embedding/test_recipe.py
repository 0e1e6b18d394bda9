from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.embedding.network import NetworkConfig
from retrieval.embedding.recipe import RECIPES, load_recipe
from retrieval.training.config import RecipeError

BUNDLED = sorted(path.stem for path in RECIPES.glob("*.toml"))


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_recipe_loads_under_its_own_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.optimiser.steps > 0
    assert load_recipe(RECIPES / f"{name}.toml") == recipe


def test_the_three_recipes_of_the_product_are_there() -> None:
    assert {"tiny", "small", "dlg-vgg16"} <= set(BUNDLED)
    assert load_recipe("dlg-vgg16").data.paper_seeds
    assert load_recipe("small").network.backbone == "efficientnet_lite0"
    assert not load_recipe("tiny").pretrained


def test_set_gives_values_their_kind() -> None:
    changes = {
        "seed": "7",
        "optimiser.steps": "30",
        "optimiser.head_rate": "1",
        "optimiser.backbone_rate": "3e-5",
        "network.backbone": "resnet18",
        "data.paper_seeds": "true",
        "data.attributes": '["texture", "margin"]',
        "data.weights.phantom": "2",
        "patch.windows": "[[-1024, 150], [-160, 240]]",
    }
    recipe = load_recipe("tiny", changes)
    assert recipe.seed == 7
    assert recipe.optimiser.steps == 30
    assert recipe.optimiser.head_rate == 1.0
    assert isinstance(recipe.optimiser.head_rate, float)
    assert recipe.optimiser.backbone_rate == pytest.approx(3e-5)
    assert recipe.network == NetworkConfig(backbone="resnet18", dimension=64)
    assert recipe.data.paper_seeds is True
    assert recipe.data.attributes == ("texture", "margin")
    assert recipe.data.weights == {"phantom": 2.0}
    assert recipe.patch.windows == ((-1024, 150), (-160, 240))
    assert load_recipe("tiny").optimiser.steps == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser.step": "3"}, r"tiny\.toml: optimiser has no key 'step': one of .*steps"),
        ({"optimizer.steps": "3"}, r"tiny\.toml has no key 'optimizer'"),
        ({"optimiser.steps": "many"}, r"tiny\.toml: optimiser: steps is 'many': int is needed"),
        ({"optimiser.steps": "3.5"}, "steps is 3.5: int is needed"),
        ({"optimiser.clip": "true"}, "clip is True: float is needed"),
        ({"pretrained": "1"}, "pretrained is 1: bool is needed"),
        ({"network": "vgg16"}, r"network is 'vgg16': a table \[network\] is needed"),
        ({"data.attributes": "texture"}, "attributes is 'texture': a list is needed"),
        ({"data.weights": "3"}, "weights is 3: a table of numbers is needed"),
        ({"data.weights.phantom": "often"}, r"weights\.phantom is 'often': float is needed"),
        ({"pretrained.too": "1"}, r"pretrained\.too cannot be set: pretrained is a value"),
    ],
)
def test_a_misspelt_key_or_another_kind_names_its_path(
    changes: dict[str, str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("tiny", changes)


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'huge' is not a file nor one of .*small.*tiny"):
        load_recipe("huge")
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = = 3\n")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(broken)
    with pytest.raises(RecipeError, match=r"patch: .* 2 slices"):
        load_recipe("tiny", {"patch.slices": "2"})


def test_a_recipe_of_ones_own_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seed = 3\n[optimiser]\nsteps = 5\n")
    recipe = load_recipe(path)
    assert (recipe.name, recipe.seed, recipe.optimiser.steps) == ("mine", 3, 5)
