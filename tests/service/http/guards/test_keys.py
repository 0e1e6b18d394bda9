"""The file of API keys, and the commands that change it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.cli import main
from service.http.guards.keys import (
    KeyFileError,
    KeyRing,
    Role,
    add_key,
    read_keys,
    revoke_key,
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_random_shown_once_and_stored_as_its_hash(file):
    secrets = [add_key(file, f"reader {n}", Role.READ) for n in range(3)]
    assert len(set(secrets)) == 3
    text = file.read_text()
    for secret, key in zip(secrets, read_keys(file), strict=True):
        assert len(secret) >= 43  # 256 bits in base64
        assert secret not in text
        assert secret.removeprefix("lsk_") not in text
        assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()
        assert key.role is Role.READ
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_ring_finds_its_keys_and_no_other(file):
    reader, writer = add_key(file, "r", Role.READ), add_key(file, "w", Role.WRITE)
    ring = KeyRing(file)
    assert ring.find(reader).name == "r"
    assert ring.find(writer).role is Role.WRITE
    for wrong in ("", "lsk_", reader[:-1], reader + "a", reader.swapcase(), "\udcff", "é"):
        assert ring.find(wrong) is None


def test_a_running_ring_follows_the_file(file):
    first = add_key(file, "first", Role.READ)
    ring = KeyRing(file)
    second = add_key(file, "second", Role.WRITE)
    assert ring.find(second).name == "second"
    revoke_key(file, "first")
    assert ring.find(first) is None
    assert ring.find(second) is not None
    again = add_key(file, "first", Role.WRITE)
    assert ring.find(again).role is Role.WRITE
    assert ring.find(first) is None
    assert [key.is_active for key in read_keys(file)] == [False, True, True]


@pytest.mark.parametrize("harm", ["remove", "damage", "expose"])
def test_a_ring_whose_file_has_become_unusable_opens_nothing(file, harm):
    secret = add_key(file, "a", Role.READ)
    ring = KeyRing(file)
    if harm == "remove":
        file.unlink()
    elif harm == "damage":
        file.write_text(file.read_text()[:-9])
    else:
        file.chmod(0o644)
    for _ in range(2):
        with pytest.raises(KeyFileError):
            ring.find(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "keys": []}',
        '{"version": 1}',
        '{"version": 1, "keys": [{"name": "a"}]}',
        '{"version": 1, "keys": [{"name":"a","role":"root","sha256":"","created":""}]}',
        '{"version": 1, "keys": [{"name":"a","role":"read","sha256":"","created":""}]}',
        '{"version": 1, "keys": [1]}',
    ],
)
def test_a_damaged_file_is_named(file, text):
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(KeyFileError, match="damaged"):
        read_keys(file)


def test_a_ring_without_an_active_key_is_refused(file):
    add_key(file, "a", Role.READ)
    revoke_key(file, "a")
    with pytest.raises(KeyFileError, match="no active key"):
        KeyRing(file)


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 65, "a\x1b[2J"])
def test_names_that_cannot_be_shown_are_refused(file, name):
    with pytest.raises(KeyFileError, match="name"):
        add_key(file, name, Role.READ)
    assert not file.exists()


def test_keys_made_at_once_are_all_kept(file):
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda n: add_key(file, f"k{n}", Role.READ), range(16)))
    ring = KeyRing(file)
    assert sorted(ring.find(secret).name for secret in secrets) == sorted(
        f"k{n}" for n in range(16)
    )
    assert {entry.name for entry in file.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_the_commands(file, capsys, monkeypatch):
    assert main(["keys", "add", "anna", "--role", "write", "--keys", str(file)]) == 0
    captured = capsys.readouterr()
    secret = captured.out.strip()
    assert KeyRing(file).find(secret).role is Role.WRITE
    assert secret not in captured.err
    monkeypatch.setenv("LESION_SEARCH_KEYS", str(file))
    assert main(["keys", "add", "ben", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["role"] == "read"
    assert main(["keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert [key["name"] for key in json.loads(listed)["keys"]] == ["anna", "ben"]
    assert "sha256" not in listed
    assert main(["keys", "revoke", "anna"]) == 0
    assert KeyRing(file).find(secret) is None
    assert main(["keys", "list"]) == 0
    assert "anna" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["revoke", "nobody"], "no active key is named"),
        (["add", "anna"], "exists"),
        (["add", "b", "--role", "root"], "root"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(file, capsys, words, said):
    add_key(file, "anna", Role.READ)
    before = file.read_bytes()
    assert main(["keys", *words, "--keys", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
    assert file.read_bytes() == before


def test_a_file_that_others_may_read_is_refused(file, capsys):
    add_key(file, "anna", Role.READ)
    os.chmod(file, 0o640)
    assert main(["keys", "list", "--keys", str(file)]) == 2
    assert "chmod 600" in capsys.readouterr().err
