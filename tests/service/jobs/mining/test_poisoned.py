"""Two hundred marks, most of them no lesion: each lesion found, nothing else, each told why."""

from __future__ import annotations

import pytest

from service.cli import main
from tests.service.jobs.mining.poison import poisoned_hospital
from tests.service.jobs.mining.poison_score import score_poisoned


@pytest.mark.filterwarnings("ignore:Failed to encode value")
def test_a_poisoned_hospital(tmp_path, capsys):
    expected = poisoned_hospital(tmp_path)
    words = [str(tmp_path / "source"), "--out", str(tmp_path / "archive"), "--no-locate"]
    assert main(["mine", *words, "--own-ids", "--json"]) == 0, capsys.readouterr().err
    score = score_poisoned(tmp_path / "archive", expected)
    assert len(expected.lesions) + len(expected.refused) >= 200
    assert score["precision"] == 1.0
    assert score["recall"] >= 0.99
    assert score["without_verdict"] == []
    assert score["named_wrongly"] == {}
