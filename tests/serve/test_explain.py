"""Explanations: what they say is what a second look at the model gives."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.ranking import unit_rows
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from firstday.segment.segments import weigh_segments
from firstday.serve.explain import N_TRIED

DONE = [("favorite", "item", "i001"), ("stream", "item", "i005"), ("stream", "artist", "a07"), ("skip", "item", "i002")]


def ask(http: httpx.Client, signals: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    answer = http.post("/v1/recommendations", json={"signals": signals, "explain": True, **wanted})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def body(done: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"signal": signal, "entity": entity, "entity_id": identity} for signal, entity, identity in done]


def predict(opened: Recommender, signals: Signals) -> np.ndarray:
    batch, _ = opened.model.catalogue.read([signals])
    predicted: np.ndarray = opened.model.cold.predict(opened.model.encoder.encode(batch))[0]
    return predicted


def test_signals_are_judged_by_leaving_each_out(http: httpx.Client, opened: Recommender) -> None:
    friends = [f"u{ix:03}" for ix in range(8)]
    said = {"age": 24, "profile": {"country": "FR"}, "friends": friends}
    answer = ask(http, {**said, "interactions": body(DONE)})
    whole = predict(opened, Signals(age=24, country="FR", friends=friends, interactions=DONE))
    without = {
        "age 24": Signals(country="FR", friends=friends, interactions=DONE),
        "country FR": Signals(age=24, friends=friends, interactions=DONE),
        "friends: 8": Signals(age=24, country="FR", interactions=DONE),
        **{
            " ".join(one): Signals(
                age=24, country="FR", friends=friends, interactions=[other for other in DONE if other != one]
            )
            for one in DONE
        },
    }
    told = answer["explanation"]["moved_by"]
    assert {entry["signal"] for entry in told} == set(without)
    moved = [entry["moved"] for entry in told]
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 0.001
    for entry in told:
        other = predict(opened, without[entry["signal"]])
        assert entry["moved"] == pytest.approx(1 - float(whole @ other), abs=1e-5)
        assert entry["segment_without"] == int(opened.model.segments.assign(other[None])[0])
    assert answer["explanation"]["signals_left_out"] == 0


def test_a_signal_told_twice_is_left_out_whole(http: httpx.Client) -> None:
    told = ask(http, {"interactions": body([DONE[0], DONE[0], DONE[1]])})["explanation"]["moved_by"]
    assert len(told) == 2
    alone = ask(http, {"interactions": body([DONE[0]])})["explanation"]["moved_by"]
    assert alone[0]["segment_without"] is None  # nothing would be known


@pytest.mark.parametrize(("n_done", "n_tried"), [(N_TRIED + 10, N_TRIED), (1000, 10)])
def test_only_the_newest_of_many_signals_are_tried(http: httpx.Client, n_done: int, n_tried: int) -> None:
    """Fewer of those of users who did very much."""
    done = [("stream", "item", f"i{number % 121:03}") for number in range(n_done)]
    explanation = ask(http, {"interactions": body(done)})["explanation"]
    assert explanation["signals_left_out"] == len(set(done)) - n_tried
    assert {entry["signal"] for entry in explanation["moved_by"]} == {" ".join(one) for one in done[-n_tried:]}


def test_the_nearest_segments_and_their_part(http: httpx.Client, opened: Recommender) -> None:
    signals = {"age": 24, "interactions": body(DONE)}
    answer = ask(http, signals)
    model = opened.model
    predicted = predict(opened, Signals(age=24, interactions=DONE))
    distances = np.linalg.norm(model.segments.centroids - predicted, axis=1)
    found = answer["explanation"]["segments"]
    assert [entry["segment"] for entry in found] == np.argsort(distances)[:3].tolist()
    assert [entry["weight"] for entry in found] == [1, 0, 0]
    for entry in found:
        segment = entry["segment"]
        assert entry["distance"] == pytest.approx(float(distances[segment]), rel=1e-4)
        assert entry["users"] == model.segments.items.sizes[segment]
        top = http.get(f"/v1/segments/{segment}", params={"items": len(entry["top_items"])}).json()["top_items"]
        assert entry["top_items"] == top
    assert answer["segment"] == found[0]["segment"]
    personal = ask(http, signals, strategy="personal")["explanation"]
    assert [entry["weight"] for entry in personal["segments"]] == [0, 0, 0]
    soft = ask(http, signals, strategy="soft_segments")["explanation"]
    (near,), (shares,) = weigh_segments(predicted[None], model.segments, model.mixing)
    expected = dict(zip(near.tolist(), shares.tolist(), strict=True))
    for entry in soft["segments"]:
        assert entry["weight"] == pytest.approx(expected[entry["segment"]], abs=1e-3)
    assert soft["route"].startswith("What the people of several segments")


def test_each_item_has_its_reason(http: httpx.Client, opened: Recommender) -> None:
    answer = ask(http, {"interactions": body(DONE)}, k=30)
    model, segment = opened.model, answer["segment"]
    items = model.fold_in.item_vectors
    liked = [model.catalogue.items.index_of(identity) for identity in ("i001", "i005")]  # a skip is no liking
    for item, reason in zip(answer["items"], answer["explanation"]["items"], strict=True):
        assert reason["item_id"] == item["item_id"]
        ix = model.catalogue.items.index_of(item["item_id"])
        row = model.segments.items.counts.row(segment).tolist()
        users = model.segments.items.counts.row_weights(segment)[row.index(ix)] if ix in row else 0
        share = users / model.segments.items.sizes[segment]
        everyone = float(model.popularity[ix])
        assert reason["share_of_segment"] == pytest.approx(float(share))
        assert reason["share_of_everyone"] == pytest.approx(everyone)
        near = unit_rows(items[[ix]]) @ unit_rows(items[liked]).T
        assert reason["most_like"]["item_id"] == model.catalogue.items[liked[int(near.argmax())]]
        assert reason["most_like"]["similarity"] == pytest.approx(float(near.max()), abs=1e-5)
        if item["score"] > 0:
            assert reason["why"] == (
                f"{share:.1%} of the people of segment {segment} use it, {share / everyone:.1f} times as many as of "
                "everyone."
            )
        else:
            assert reason["why"] == f"Fills the list up: {everyone:.1%} of everyone use it."


@pytest.mark.parametrize("strategy", strategy_names())
def test_every_strategy_can_be_explained_with_and_without_signals(http: httpx.Client, strategy: str) -> None:
    described = {"age": 30, "profile": {"country": "FR"}, "interactions": body(DONE)}
    described["friends"] = [f"u{ix:03}" for ix in range(8)]
    for signals in ({}, {"age": 30}, described):
        answer = ask(http, signals, strategy=strategy)
        explanation = answer["explanation"]
        assert len({item["item_id"] for item in answer["items"]}) == len(explanation["items"]) == 20
        assert answer["strategy"] == strategy
        if signals is described:
            assert answer["route"] == ("blend" if strategy == "auto" else strategy)  # nothing was selected
        assert all(reason["why"].endswith(".") for reason in explanation["items"])
        assert explanation["route"].endswith(".")
        fell_back = answer["route"] != strategy
        assert explanation["route"].startswith(f"{answer['route']} answers for {strategy}. ") == fell_back
        assert bool(explanation["segments"]) == bool(signals) == (answer["segment"] is not None)


def test_an_explanation_comes_only_where_asked_for(http: httpx.Client) -> None:
    assert "explanation" not in http.post("/v1/recommendations", json={}).json()
    explained = http.get("/v1/users/who/recommendations", params={"explain": True}).json()
    assert explained["explanation"]["moved_by"] == []
    assert explained["explanation"]["items"][0]["most_like"] is None
    assert explained["explanation"]["items"][0]["why"].endswith(" of everyone use it.")
