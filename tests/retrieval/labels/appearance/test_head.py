"""Densities, losses against a naive loop, fitting, the file, and tags of a head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from retrieval.embedding.encoder import LesionEncoder
from retrieval.labels.appearance.densities import NAMES, densities
from retrieval.labels.appearance.image_numbers import COUNT, image_numbers
from retrieval.labels.appearance.image_numbers import NAMES as ALL_NAMES
from retrieval.labels.appearance.learning.fitting import auc
from retrieval.labels.appearance.learning.losses import (
    class_weights,
    relational_hard_examples,
    reliable_cells,
    weighted_cross_entropy,
)
from retrieval.labels.appearance.learning.nodule_head import RatedLesions, fit_head, with_claims
from retrieval.labels.appearance.learning.ratings import rated_terms
from retrieval.labels.appearance.learning.relational import (
    RelationalRecipe,
    exclusive_matrix,
    label_matrix,
    train_relational,
)
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.appearance.prediction import features_of, predicted_tags
from retrieval.labels.appearance.weights_file import BUNDLED_HEAD, TagHead, TagHeadError
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.lesion import Box, LesionType
from retrieval.patch import Patch
from retrieval.tag import TagSource

NAN = float("nan")


def a_patch(inside: float, outside: float = -800.0) -> Patch:
    plane = np.full((64, 64), outside, np.float32)
    rows, columns = np.mgrid[0:64, 0:64]
    plane[np.hypot(rows - 32, columns - 32) <= 10] = inside
    return Patch(np.stack([plane] * 3), Box(22, 22, 42, 42), 0)


def test_densities_are_those_of_the_lesion_and_of_its_rim():
    told = dict(zip(NAMES, densities(a_patch(300.0)), strict=True))
    assert told["quantile 0.5"] == pytest.approx(0.3)
    assert told["share above 200 HU"] == 1.0
    assert told["core less rim"] > 0.1
    assert told["width"] == pytest.approx(2.0)
    hazy = dict(zip(NAMES, densities(a_patch(-600.0)), strict=True))
    assert hazy["share above -400 HU"] == 0.0


def test_a_calcification_beside_the_key_slice_is_seen_and_a_rib_beside_the_lesion_is_not():
    patch = a_patch(40.0)
    other = patch.hu.copy()
    other[2, 32, 32] = 700.0
    rib = patch.hu.copy()
    rib[:, 32, 42] = 900.0
    plain, spot, beside = image_numbers([patch, replace(patch, hu=other), replace(patch, hu=rib)])
    greatest = ALL_NAMES.index("lesion greatest")
    assert plain[greatest] == pytest.approx(0.04)
    assert spot[greatest] == pytest.approx(0.7)
    assert beside[greatest] == pytest.approx(0.04)
    assert spot[ALL_NAMES.index("voxels above 300 HU")] == pytest.approx(np.log(2.0))


def test_a_hazy_edge_falls_less_steeply_than_a_sharp_one():
    sharp = a_patch(40.0)
    rows, columns = np.mgrid[0:64, 0:64]
    away = np.hypot(rows - 32, columns - 32)
    plane = np.clip(40.0 - 840.0 * (away - 4.0) / 12.0, -800.0, 40.0).astype(np.float32)
    hazy = Patch(np.stack([plane] * 3), sharp.box, 0)
    first, second = (dict(zip(ALL_NAMES, row, strict=True)) for row in image_numbers([sharp, hazy]))
    assert second["fall quantile 0.5"] == pytest.approx(np.sqrt(70.0) / 10.0, rel=0.05)
    assert first["fall quantile 0.5"] > 2 * second["fall quantile 0.5"]
    assert first["width of the edge"] < second["width of the edge"]
    assert first["change over planes"] == 0.0
    assert image_numbers([sharp]).shape == (1, COUNT)


def test_the_numbers_of_the_smallest_and_of_the_largest_boxes_are_numbers():
    plane = np.random.default_rng(0).normal(0, 300, (3, 64, 64)).astype(np.float32)
    boxes = (Box(31, 31, 33, 33), Box(-40, -30, 100, 110), Box(60, 60, 70, 70))
    assert np.isfinite(image_numbers([Patch(plane, box, 0) for box in boxes])).all()


def test_the_last_calcification_is_absent():
    ratings = {
        "calcification": np.array([3.0, 6.0, NAN]),
        "texture": np.array([1.0, 5.0, 3.0]),
    }
    found = rated_terms(ratings)
    assert found["calcified"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(found["calcified"][2])
    assert found["ground-glass opacity"].tolist() == [1.0, 0.0, 0.0]
    assert found["part-solid"].tolist() == [0.0, 0.0, 1.0]


def test_the_weighted_loss_is_that_of_a_naive_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    labels = torch.randint(0, 2, (6, 4), generator=generator).float()
    labels[0, 0] = NAN
    weights = class_weights(labels)
    total, count = 0.0, 0
    for n in range(6):
        for c in range(4):
            y = float(labels[n, c])
            if y != y:
                continue
            p = 1 / (1 + np.exp(-float(logits[n, c])))
            weight = float(weights[0][c] if y else weights[1][c])
            total += -weight * np.log(p if y else 1 - p)
            count += 1
    assert float(weighted_cross_entropy(logits, labels, weights)) == pytest.approx(
        total / count, rel=1e-4
    )
    known = labels[:, 0][~torch.isnan(labels[:, 0])]
    assert float(weights[0][0]) == pytest.approx(len(known) / 2 / max(float(known.sum()), 1))


def test_only_reliable_cells_are_drawn():
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, NAN]])
    exclusive = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    reliable = reliable_cells(labels, exclusive)
    assert reliable.tolist() == [[True, True, False], [False, False, False]]
    weights = (torch.ones(3), torch.ones(3))
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = relational_hard_examples(
        logits, labels, weights, reliable, draws=200, generator=torch.Generator().manual_seed(0)
    )
    loss.backward()
    assert (logits.grad != 0).tolist() == reliable.tolist()
    nothing = relational_hard_examples(
        logits, labels, weights, reliable & False, draws=5, generator=torch.Generator()
    )
    assert float(nothing.detach()) == 0.0


def test_propagation_starts_as_the_identity():
    network = TagNetwork(5, 3)
    logits = network(torch.randn(4, 5))
    assert torch.equal(logits.first, logits.propagated)


def test_labels_are_closed():
    terms = ["left kidney", "kidney", "cyst", "liver"]
    matrix = label_matrix(
        [["left kidney"], ["kidney"]], [["cyst"], ["left kidney"]], [["liver"], []], terms,
        vocabulary(),
    )  # fmt: skip
    assert matrix[0].tolist()[:2] == [1.0, 1.0]
    assert np.isnan(matrix[0, 2])
    assert np.isnan(matrix[1, 0])
    assert matrix[1, 1] == 1.0, "a positive outweighs the doubt"
    pairs = exclusive_matrix(["left kidney", "right kidney", "cyst"], vocabulary())
    assert pairs.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_the_recipe_learns_relations():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 8)).astype(np.float32)
    labels = (features[:, :2] > 0.5).astype(np.float32)
    recipe = RelationalRecipe(hidden=16, steps=150, batch=64, draws=200, learning_rate=1e-2)
    network = train_relational(features, labels, np.zeros((2, 2), np.float32), recipe)
    logits = network(torch.from_numpy(features)).propagated.detach().numpy()
    for term in range(2):
        assert auc(logits[:, term].astype(np.float64), labels[:, term] == 1) > 0.95
    again = train_relational(features, labels, np.zeros((2, 2), np.float32), recipe)
    assert torch.equal(again.scores.weight, network.scores.weight)


@pytest.fixture(scope="module")
def rated():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(300, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.abs(rng.normal(size=(300, COUNT))).astype(np.float32)
    truth = {
        "solid": (vectors[:, 0] > 0.2).astype(np.float64),
        "calcified": (numbers[:, 5] > 0.7).astype(np.float64),
    }
    splits = np.array(["train"] * 150 + ["val"] * 75 + ["test"] * 75)
    owners = np.array([f"p{number // 3}" for number in range(300)])
    return RatedLesions(
        features_of(vectors, numbers), truth, splits, np.ones(300, np.bool_), owners
    )


def test_each_term_is_fitted_on_vector_and_numbers_and_survives_its_file(rated, tmp_path):
    head, fits = fit_head(rated, encoder="abc", name="made")
    assert fits["calcified"].features == "densities and calcium", "the vector adds nothing"
    assert fits["calcified"].held_out is not None
    assert fits["solid"].features.startswith("vector and")
    assert fits["solid"].held_out is None, "an encoder may know these patients"
    test = rated.splits == "test"
    told = head.probabilities(rated.features[test])
    for column, term in enumerate(head.terms):
        assert auc(told[:, column].astype(np.float64), rated.truth[term.name][test] == 1) > 0.85
    head.save(tmp_path / "head.safetensors")
    loaded = TagHead.load(tmp_path / "head.safetensors")
    assert np.array_equal(loaded.probabilities(rated.features[test]), told)
    assert (loaded.terms, loaded.encoder, loaded.types) == (head.terms, "abc", (LesionType.LUNG,))
    with pytest.raises(TagHeadError, match="train tags"):
        loaded.check_encoder("another")
    with pytest.raises(TagHeadError, match="does not exist"):
        TagHead.load(tmp_path / "nothing.safetensors")


def test_a_term_that_is_not_above_its_floors_is_never_a_tag(rated):
    head, _ = fit_head(rated, encoder="abc", name="made")
    head = with_claims(head, {"solid": True, "calcified": False})
    found = predicted_tags(head, rated.features, vocabulary())
    assert {tag.term for tags in found for tag in tags} == {"solid"}
    for tags, probability in zip(found, head.probabilities(rated.features)[:, 0], strict=True):
        is_tag = bool(probability >= head.terms[0].threshold)
        for tag in tags:
            assert tag.source is (TagSource.PREDICTED if is_tag else TagSource.UNLIKELY)
            assert tag.holds is is_tag
            assert tag.model == "made"
            assert tag.probability == pytest.approx(float(probability), abs=1e-4)


def test_the_bundled_head_reads_the_bundled_encoder():
    head = TagHead.load(BUNDLED_HEAD)
    head.check_encoder(LesionEncoder.load().fingerprint)
    predicted = {term.name for term in head.terms if term.is_predicted}
    assert predicted == {
        "calcified",
        "ground-glass opacity",
        "solid",
        "indistinct",
        "circumscribed",
    }
    assert predicted <= set(vocabulary().terms)
