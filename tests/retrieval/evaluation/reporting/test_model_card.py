"""The card says what the reports say, and an encoder below a baseline is called so."""

from __future__ import annotations

import pytest

from retrieval.embedding.encoder import fingerprint, save_encoder
from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.evaluation.reporting.card_facts import (
    CardError,
    CardFacts,
    read_card_facts,
    training_counts,
)
from retrieval.evaluation.reporting.model_card import (
    FINGERPRINT,
    NEVER_BELOW,
    NOT_A_DEVICE,
    model_card,
    write_model_card,
)
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.stats.intervals import Estimate
from retrieval.lesion import Split
from retrieval.patch import PatchSpec
from tests.retrieval.evaluation.toy_archive import toy_archive

FACTS = CardFacts(
    name="E",
    fingerprint="0123456789abcdef",
    purpose="Finds lesions that look alike.",
    training=["1,000 phantom patients", "61 patients of real CT, CC BY 3.0"],
    held_apart="A fifth of the patients, by a hash of their name.",
    limits=["One slice thickness was seen in training."],
)
WORDS = """
purpose = "Finds lesions that look alike."
training = ["61 patients of real CT, CC BY 3.0"]
held_apart = "A fifth of the patients."
limits = ["Small."]
"""


def report(encoder: float, baseline: float, *, weights: str = FACTS.fingerprint, name: str = "E"):
    def estimate(value):
        return Estimate(value, value - 0.01, value + 0.01, 21)

    score = Score("same patient", "MRR", True, {"raw": estimate(baseline), name: estimate(encoder)})
    settings = {"seed": 3, "resamples": 10, FINGERPRINT: weights}
    return RetrievalReport("sample", name, "all", 23, 20, 9, (score,), settings)


def test_the_card_states_scores_limits_and_defeats():
    card = model_card(FACTS, {"Real sample": report(0.9, 0.8), "Nodules": report(0.7, 0.8)})
    assert NOT_A_DEVICE in card
    assert FACTS.fingerprint in card
    for line in (*FACTS.training, *FACTS.limits, FACTS.held_apart):
        assert line in card
    assert card.index("## Real sample") < card.index("## Nodules") < card.index("## Limits")
    defeats = card[card.index("## Where a baseline is better") : card.index("## Limits")]
    assert "Nodules: same patient: MRR: 0.700 (0.690 to 0.710) against 0.800" in defeats
    assert "Real sample" not in defeats
    assert NEVER_BELOW not in card
    assert NEVER_BELOW in model_card(FACTS, {"Real sample": report(0.9, 0.8)})


@pytest.mark.parametrize("other", [report(0.9, 0.8, weights="another"), report(0.9, 0.8, name="F")])
def test_a_report_of_another_encoder_is_refused(other, tmp_path):
    path = tmp_path / "encoder.md"
    path.write_text("old")
    with pytest.raises(CardError, match="'Nodules' measured the encoder"):
        write_model_card(path, FACTS, {"Real sample": report(0.9, 0.8), "Nodules": other})
    assert path.read_text() == "old"


def test_a_card_without_reports_is_refused():
    with pytest.raises(CardError, match="at least one report"):
        model_card(FACTS, {})


def test_writing_replaces_the_old_card_whole(tmp_path):
    path = tmp_path / "encoder.md"
    path.write_text("old")
    write_model_card(path, FACTS, {"Sample": report(0.9, 0.8)})
    assert path.read_text() == model_card(FACTS, {"Sample": report(0.9, 0.8)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["encoder.md"]


def test_facts_come_from_the_file_and_the_weights(tmp_path):
    spec = PatchSpec(size_px=64, mm_px=1.5)
    network = DLGNetwork(NetworkConfig(backbone="mobilenet_v3_small"), spec, pretrained=False)
    save_encoder(network, tmp_path / "encoder.safetensors", name="small")
    (tmp_path / "facts.toml").write_text(WORDS)
    facts = read_card_facts(
        tmp_path / "facts.toml", tmp_path / "encoder.safetensors", counted=["counted"]
    )
    assert (facts.name, facts.fingerprint) == ("small", fingerprint(network))
    assert facts.training == ["counted", "61 patients of real CT, CC BY 3.0"]
    assert facts.properties["patch"].startswith("64 px at 1.5 mm/px, 3 slices 2 mm apart")
    assert "mobilenet_v3_small" in facts.properties["network"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (WORDS.replace("limits", "limit"), "limits are needed"),
        (WORDS + "extra = 1", "no others"),
        (WORDS.replace('["Small."]', '"Small."'), "a list of strings"),
        (WORDS.replace('["Small."]', "[]"), "limits is empty"),
        (WORDS.replace('"Finds lesions that look alike."', "3"), "a string is needed"),
        ("purpose =", "not TOML"),
    ],
)
def test_wrong_facts_are_named(words, match, tmp_path):
    (tmp_path / "facts.toml").write_text(words)
    with pytest.raises(CardError, match=match):
        read_card_facts(tmp_path / "facts.toml", tmp_path / "encoder.safetensors")


def test_missing_facts_are_named(tmp_path):
    with pytest.raises(CardError, match="cannot be read"):
        read_card_facts(tmp_path / "facts.toml", tmp_path / "encoder.safetensors")


def test_training_data_is_counted_by_its_train_split():
    archive = toy_archive(12)
    with pytest.raises(CardError, match="no train lesion"):
        training_counts("Toys", archive)
    archive.lesions = [
        lesion.with_changes(split=Split.TRAIN) if lesion.patient_id in {"0", "1"} else lesion
        for lesion in archive.lesions
    ]
    line = training_counts("Toys", archive)
    assert line.startswith("Toys: 6 lesions of 2 patients")
    assert "kidney, liver, lung" in line
