"""The vocabulary: every value that an answer may carry has its word and its colour."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from retrieval.lesion import LesionType
from retrieval.tracking.response.recist import ResponseCategory
from retrieval.tracking.states import FollowUpState, LinkState, Tone
from service.http.app import create_app
from service.http.settings import Settings


@pytest.fixture(scope="module")
def words(engine):
    with TestClient(create_app(Settings(index=engine.index.path), engine=engine)) as client:
        return client.get("/v1/vocabulary").json()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lesion_types", LesionType),
        ("follow_up_states", FollowUpState),
        ("link_states", LinkState),
        ("tones", Tone),
        ("response_categories", ResponseCategory),
    ],
)
def test_every_value_has_its_words(words, name, values):
    assert set(words[name]) == {one.value for one in values}


def test_every_colour_can_be_shown_and_every_window_is_one(words):
    coloured = [*words["lesion_types"].values(), *words["tones"].values()]
    assert all(re.fullmatch(r"#[0-9a-f]{6}", one["colour"]) for one in coloured)
    assert {one["window"] for one in words["lesion_types"].values()} <= set(words["windows"])
    assert all(one["low_hu"] < one["high_hu"] for one in words["windows"].values())
    assert words["usual_window"] in words["windows"]


def test_each_state_has_a_tone_that_has_a_colour(words):
    for state in [*words["follow_up_states"].values(), *words["link_states"].values()]:
        assert state["tone"] in words["tones"]
        assert state["label"]
        assert state["meaning"].endswith(".")
