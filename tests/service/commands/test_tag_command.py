"""``lesion-search tag``: phrases from the command line and from a file."""

from __future__ import annotations

import json

from service.cli import main


def test_phrases_of_a_file(tmp_path, capsys):
    file = tmp_path / "phrases.txt"
    file.write_text("left renal cyst\r\n\nNo nodule, possibly a\x85scar\n", encoding="utf-8")
    assert main(["tag", "--text-file", str(file), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["phrases"]
    assert first["text"] == "left renal cyst"
    assert {"term": "left kidney"} in first["relevant"]
    assert second["uncertain"] == [{"term": "scar"}]
    assert second["negated"] == [{"term": "nodule"}]


def test_a_table_and_a_users_terms(tmp_path, capsys):
    own = tmp_path / "own.toml"
    own.write_text('[[term]]\nname = "halo sign"\nkind = "attribute"\n')
    assert main(["tag", "--text", "halo sign", "--vocabulary", str(own)]) == 0
    assert capsys.readouterr().out.count("halo sign") == 2


def test_mistakes_are_one_line(tmp_path, capsys):
    for arguments in ([], ["--text", "a", "--text-file", "b"], ["--text-file", str(tmp_path)]):
        assert main(["tag", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_phrases_are_evaluated_beside_simpler_readers(tmp_path, capsys):
    phrases = [{"text": "left anterior renal mass", "lesion_idx": 1, "expanded_terms": []}]
    phrases[0]["expanded_terms"] = ["left kidney", "kidney", "mass"]
    (tmp_path / "phrases.json").write_text(json.dumps(phrases))
    (tmp_path / "terms.json").write_text('{"term_list": ["left kidney", "kidney", "mass"]}')
    files = ["--phrases", str(tmp_path / "phrases.json"), "--terms", str(tmp_path / "terms.json")]
    assert main(["evaluate", "tags", *files, "--resamples", "5", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert methods["this reader"]["f1"]["value"] == 1.0
    assert methods["names"]["f1"]["value"] < 1.0
    assert main(["evaluate", "tags", *files, "--resamples", "5"]) == 0
    assert "this reader: F1 1" in capsys.readouterr().out
    for arguments in ([], [*files, "--archive", "x"], ["--phrases", str(tmp_path / "terms.json")]):
        assert main(["evaluate", "tags", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
