from __future__ import annotations

import pytest


@pytest.mark.parametrize("network", ["encoder", "detector"])
def test_without_the_extra_nothing_is_cut(run, monkeypatch, archive_folder, tmp_path, network):
    monkeypatch.setattr("service.extras.find_spec", lambda _: None)
    out = tmp_path / "run"
    status, _, err = run("train", network, "--archive", archive_folder, "--out", out)
    assert status == 2
    assert "pip install 'lesion-search[train]'" in err
    assert not out.exists()
