"""Lists over HTTP are those of the Python API and of the batch command, and heed every acknowledged event."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from firstday.features.signals import Signals
from firstday.recommend.list_notes import WITHOUT_HISTORY
from firstday.recommend.recommender import Recommender
from tests.batches import recommend_tables
from tests.serve.conftest import add_events, get_list, ids_of, post_list
from tests.serve.in_process import RunningApp, running_app


def make_users() -> dict[str, dict[str, Any]]:
    """Make users with any mix of signals: from nothing at all to a dozen interactions, some of them unknown."""
    users: dict[str, dict[str, Any]] = {}
    for number in range(15):
        signals = ("stream", "favorite", "skip", "ban", "search")
        done = [(signals[n % 5], "item", f"i{(37 * number + 11 * n) % 125:03}") for n in range(number % 7)]
        done += [("stream", "artist", f"a{number:02}"), ("onboarding", "artist", "a03")][: number % 3]
        users[f"n{number:02}"] = {
            "age": 20 + number if number % 4 == 1 else None,
            "profile": {"country": ("FR", "DE", "XX")[number % 3]} if number % 2 else {},
            "interactions": done,
            "friends": [f"u{number:03}", f"u{number + 4:03}", "nobody"] if number % 3 == 2 else [],
        }
    return users


def write_tables(users: dict[str, dict[str, Any]], folder: Path) -> Path:
    """Write the users as tables of newcomers."""
    folder.mkdir()
    described = [(name, user["age"], user["profile"].get("country")) for name, user in users.items()]
    done = [(name, *one) for name, user in users.items() for one in user["interactions"]]
    friends = [(name, friend) for name, user in users.items() for friend in user["friends"]]
    for name, rows, columns in (
        ("users", described, ["user_id", "age", "country"]),
        ("interactions", done, ["user_id", "signal", "entity", "entity_id"]),
        ("friends", friends, ["user_id", "friend_id"]),
    ):
        pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / f"{name}.csv")
    return folder


def test_it_is_noted_until_the_history_of_a_user_of_the_model_is_sent(
    tiny: Recommender, tmp_path: Path, store_settings: dict[str, Any]
) -> None:
    folder = tiny.save(tmp_path / "model")
    with running_app(folder, tmp_path, **store_settings) as app, app.open_client() as http:
        assert WITHOUT_HISTORY in get_list(http, "u1")["notes"]
        assert WITHOUT_HISTORY not in get_list(http, "u9")["notes"]
        add_events(http, "u1", "i4")
        assert WITHOUT_HISTORY not in get_list(http, "u1")["notes"]


@pytest.mark.parametrize("strategy", ["segment", "friends", "blend"])
def test_the_same_signals_give_the_same_list_by_every_way(
    http: httpx.Client, opened: Recommender, tmp_path: Path, strategy: str
) -> None:
    users = make_users()
    recommend_tables(opened, write_tables(users, tmp_path / "tables"), tmp_path / "lists.parquet", 30, strategy)
    batch = pl.read_parquet(tmp_path / "lists.parquet")
    routes = set()
    for name, user in users.items():
        python = opened.recommend(user, 30, strategy)
        expected = [item.item_id for item in python.items]
        assert http.put(f"/v1/users/same-{name}", json=user).status_code == 200
        stored = get_list(http, f"same-{name}", k=30, strategy=strategy)
        given = post_list(http, user, k=30, strategy=strategy)
        of_batch = batch.filter(pl.col("user_id") == name)
        for answer, source in ((stored, "store"), (given, "request")):
            assert ids_of(answer) == expected
            assert [item["title"] for item in answer["items"]] == [item.title for item in python.items]
            np.testing.assert_allclose(
                [item["score"] for item in answer["items"]], [item.score for item in python.items], rtol=1e-5, atol=1e-6
            )
            assert (answer["route"], answer["segment"]) == (python.route, python.segment)
            assert (answer["strategy"], answer["signals_from"]) == (strategy, source)
            assert sorted(answer["ignored"]) == sorted(python.ignored)
            assert answer["notes"] == list(python.notes)
            assert (answer["score_scale"], answer["n_ranked"]) == (python.score_scale, python.n_ranked)
        assert of_batch["item_id"].to_list() == expected
        assert set(of_batch["route"]) == {python.route}
        assert set(of_batch["scale"][: python.n_ranked]) == {python.score_scale} != {"score"}
        routes.add(python.route)
    assert {strategy, "popular"} <= routes


def test_an_acknowledged_event_changes_the_next_list(http: httpx.Client, opened: Recommender) -> None:
    """After each event the list is the model's own for what is known by then."""
    version = http.get("/v1/model").json()["model"]
    done: list[tuple[str, str, str]] = []
    for item in ("i001", "i005", "i018"):
        add_events(http, "live", item)
        done.append(("stream", "item", item))
        answer = get_list(http, "live", k=20)
        expected = opened.recommend(Signals(interactions=done), 20)
        assert ids_of(answer) == [each.item_id for each in expected.items]
        assert (answer["route"], answer["model"]) == ("segment", version)
        assert not {*ids_of(answer)} & {item for _, _, item in done}


def test_a_ban_takes_effect_at_once_and_keep_used_lifts_it(http: httpx.Client) -> None:
    (first,) = ids_of(get_list(http, "banning", k=1))
    add_events(http, "banning", first, signal="ban")
    for k in (1, 20, 1000):
        assert first not in ids_of(get_list(http, "banning", k=k))
    assert first in ids_of(get_list(http, "banning", k=1000, keep_used=True))


def test_what_the_model_does_not_know_is_named(http: httpx.Client) -> None:
    done = [{"entity_id": f"x{number}"} for number in range(30)]
    answer = post_list(http, {"interactions": done})
    assert answer["ignored"] == [f"item 'x{number}' is unknown" for number in range(20)]
    assert answer["route"] == "popular"


def test_requests_at_once_get_their_own_answers(app: RunningApp, opened: Recommender) -> None:
    """Many together are answered in one pass, whatever they ask for; none gets another's list."""
    requests = [
        (user, k, strategy)
        for user in make_users().values()
        for k, strategy in ((5, "segment"), (7, "personal"), (5, "popular"))
    ]

    async def ask_all() -> list[dict[str, Any]]:
        transport = httpx.ASGITransport(app.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            bodies = [{"signals": user, "k": k, "strategy": strategy} for user, k, strategy in requests]
            answers = await asyncio.gather(*(client.post("/v1/recommendations", json=body) for body in bodies))
            return [answer.json() for answer in answers]

    for (user, k, strategy), answer in zip(requests, app.run(ask_all()), strict=True):
        expected = opened.recommend(user, k, strategy)
        assert ids_of(answer) == [item.item_id for item in expected.items]
        assert answer["route"] == expected.route
