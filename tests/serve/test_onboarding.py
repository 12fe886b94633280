"""The questionnaire over HTTP: questions, and lists by the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from firstday.recommend.questionnaire import Answers, Questionnaire, recommend_after_questions
from firstday.recommend.recommender import Recommender
from tests.serve.conftest import StartApp, add_events, assert_error, ids_of, read_body

K = 4


def ask(http: httpx.Client, **params: Any) -> dict[str, Any]:
    return read_body(http.get("/v1/onboarding", params=params))


def test_the_questionnaire_asks_what_tells_most(by_hand: httpx.Client, tiny: Recommender) -> None:
    questionnaire = Questionnaire.of(tiny.model)
    items = tiny.model.catalogue.items
    for liked, passed in (([], []), (["i1"], []), ([], ["i1"]), (["i1", "i3"], ["i4"])):
        answer = ask(by_hand, user_id="asked", liked=liked, passed=passed)
        answers = Answers(*(tuple(map(items.index_of, told)) for told in (liked, passed)))
        expected = questionnaire.next_question(answers)
        assert expected is not None
        assert answer["answered"] == len(liked) + len(passed)
        assert answer["question"]["item_id"] == items[expected.target]
        assert answer["question"]["gain_bits"] == pytest.approx(expected.gain_bits)
        assert answer["likely_segments"] == np.argsort(-questionnaire.believe(answers), kind="stable").tolist()
    by_hand.put("/v1/users/asked", json={"picks": [{"entity_id": item} for item in liked]})
    stored = ask(by_hand, user_id="asked", passed=passed)
    assert stored == {**answer, "signals_from": "store"}
    assert ask(by_hand, liked=["never seen"])["answered"] == 0


def test_a_list_by_all_answers(by_hand: httpx.Client, tiny: Recommender) -> None:
    answer = ask(by_hand, liked=["i1"], passed=["i3"], k=K)
    expected = recommend_after_questions(tiny, Questionnaire.of(tiny.model), Answers((0,), (2,)), K)
    assert answer["route"] == expected.route == "answers"
    assert ids_of(answer) == [item.item_id for item in expected.items] == ["i2", "i4", "i5", "i6"]
    assert [item["score"] for item in answer["items"]] == pytest.approx([item.score for item in expected.items])
    assert (answer["n_ranked"], answer["score_scale"]) == (expected.n_ranked, expected.score_scale)
    without = ask(by_hand, liked=["i1"], passed=["i3"])
    assert (without["route"], without["items"], without["question"]) == (None, None, answer["question"])


def test_what_a_named_user_used_or_banned_is_not_in_the_list(by_hand: httpx.Client) -> None:
    before = ids_of(ask(by_hand, liked=["i1"], k=K))
    add_events(by_hand, "doer", before[0], signal="ban")
    add_events(by_hand, "doer", before[2])
    assert ids_of(ask(by_hand, user_id="doer", liked=["i1"], k=K))[:2] == [before[1], before[3]]


def test_what_a_named_user_used_or_banned_is_not_asked_about(http: httpx.Client) -> None:
    closed: list[str] = []
    for signal in ("ban", "stream", "favorite"):
        question = ask(http, user_id="done")["question"]["item_id"]
        assert question not in closed
        closed.append(question)
        add_events(http, "done", question, signal=signal)
    assert ask(http, user_id="done")["question"]["item_id"] not in closed
    assert ask(http)["question"]["item_id"] == closed[0]


def test_answers_that_do_not_count_are_named(by_hand: httpx.Client) -> None:
    answer = ask(by_hand, liked=["never seen", "i1"], passed=["nor this", "i1", "i2"], k=K)
    assert answer["answered"] == 2
    assert answer["ignored"] == [
        "item 'never seen' is unknown",
        "item 'nor this' is unknown",
        "item 'i1' is answered with yes and no; yes counts",
    ]
    assert ask(by_hand, liked=["i1"])["ignored"] == []


def test_questions_about_artists_have_their_names(tiny: Recommender, start_app: StartApp, tmp_path: Path) -> None:
    catalogue = replace(tiny.model.catalogue, names={"artist": ("Ada", "")})
    named = Recommender(replace(tiny.model, catalogue=catalogue)).save(tmp_path / "named")
    with start_app(named).open_client() as http:
        shown = set()
        for passed in (["a1"], ["a2"]):
            answer = ask(http, entity="artist", passed=passed, k=2)
            assert answer["answered"] == 1
            assert answer["route"] == "answers"
            question = answer["question"]
            assert question.pop("gain_bits") >= 0
            shown.add(tuple(question.items()))
        about = {"entity": "artist", "entity_id": "a1", "name": "Ada", "item_id": None, "title": None}
        assert shown == {tuple(about.items()), tuple({**about, "entity_id": "a2", "name": ""}.items())}
        both = ask(http, entity="artist", liked=["a1", "a9"], passed=["a1"])
        assert both["ignored"] == ["artist 'a9' is unknown", "artist 'a1' is answered with yes and no; yes counts"]
        http.put("/v1/users/fan", json={"picks": [{"entity": "artist", "entity_id": "a1"}, {"entity_id": "i4"}]})
        assert ask(http, entity="artist", user_id="fan")["answered"] == 1
        assert_error(http.get("/v1/onboarding?entity=label"), 422, "invalid", "entity")
