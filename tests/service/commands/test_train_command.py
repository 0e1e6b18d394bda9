from __future__ import annotations

import pandas as pd
import pytest

from retrieval.embedding.encoder import BUNDLED_ENCODER, load_network
from tests.service.samples import write_archive


@pytest.mark.parametrize("network", ["encoder", "detector"])
def test_without_the_extra_nothing_is_cut(run, monkeypatch, archive_folder, tmp_path, network):
    monkeypatch.setattr("service.extras.find_spec", lambda _: None)
    out = tmp_path / "run"
    status, _, err = run("train", network, "--archive", archive_folder, "--out", out)
    assert status == 2
    assert "pip install 'lesion-search[train]'" in err
    assert not out.exists()


@pytest.mark.parametrize("recipe", ["small", "steady", "together"])
def test_a_dry_run_of_what_a_gpu_is_for(run, tmp_path, recipe):
    write_archive(tmp_path / "archive", patients=2)
    table = tmp_path / "archive" / "DL_info.csv"
    rows = pd.read_csv(table)
    rows["Train_Val_Test"] = 1
    rows.to_csv(table, index=False)
    own = ("start", "teacher") if recipe != "small" else ()
    given = [part for key in own for part in ("--set", f"{key}={BUNDLED_ENCODER}")]
    small = ("--set", "optimiser.steps=2", "--set", "optimiser.sequences=1")
    out = tmp_path / "run"
    status, _, err = run(
        *("train", "encoder", "--archive", tmp_path / "archive", "--recipe", recipe),
        *("--device", "cpu", *small, *given, "--out", out),
    )
    assert status == 0, err
    network, name = load_network(out / "encoder.safetensors")
    assert name == f"dlg-{recipe}"
    assert network.spec == load_network(BUNDLED_ENCODER)[0].spec
