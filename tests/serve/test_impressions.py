"""What is shown: recorded with a list or told by the caller, kept, told, forgotten, and never taken for use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from firstday.features.wire_types import Impression
from firstday.recommend.recommender import Recommender
from firstday.serve.store.log import StoreError
from tests.serve.conftest import StartApp, add_events, assert_error, get_list, ids_of, post_list
from tests.serve.in_process import RunningApp, running_app
from tests.serve.test_access import READ, WRITE
from tests.serve.test_explain import ask as explain


def ask(http: httpx.Client, user: str, **parameters: Any) -> dict[str, Any]:
    return get_list(http, user, k=4, strategy="popular", **parameters)


def shown_to(app: RunningApp, user: str) -> tuple[Impression, ...]:
    signals, _ = app.run(app.service.lists.read_signals(user))
    assert signals.user_id == user
    return signals.shown


def test_a_recorded_list_is_what_the_answer_has(app: RunningApp, http: httpx.Client) -> None:
    first = ask(http, "seen-anna", record=True)
    second = ask(http, "seen-anna", record=True)
    assert first["list_id"] != second["list_id"]
    assert first["not_recorded"] is None
    assert http.get(f"/v1/users/{first['list_id']}").status_code == 404  # it can be part of a path
    told = http.get("/v1/users/seen-anna").json()
    assert [entry["list_id"] for entry in told["lists"]] == [first["list_id"], second["list_id"]]
    assert [entry["policy"] for entry in told["lists"]] == ["popular", "popular"]
    items = ids_of(first)
    assert told["lists"][0]["items"] == [
        {"item_id": item, "position": position, "propensity": 1.0} for position, item in enumerate(items, 1)
    ]
    assert told["first_seen_at"] <= told["lists"][0]["recorded_at"] < told["lists"][1]["recorded_at"]
    assert shown_to(app, "seen-anna")[:4] == tuple(
        Impression(item, position, first["list_id"], 1.0, "popular", 0) for position, item in enumerate(items, 1)
    )


def test_without_being_asked_nothing_is_recorded(http: httpx.Client) -> None:
    assert ask(http, "seen-berta")["list_id"] is None
    assert ask(http, "seen-berta", record=False)["not_recorded"] is None
    assert http.get("/v1/users/seen-berta").status_code == 404
    assert post_list(http, {}, k=4)["list_id"] is None
    assert_error(http.post("/v1/recommendations", json={"record": True}), 422, "invalid", "record")


def test_what_was_shown_is_no_use(http: httpx.Client) -> None:
    """Shown items are not taken for signals: the next list is one for a stranger, without what was passed over."""
    first = ask(http, "seen-clara", record=True)
    item = str(first["items"][0]["item_id"])
    assert add_events(http, "seen-clara", item, signal="shown")["not_understood"] == 0
    again = ask(http, "seen-clara")
    assert (again["route"], again["ignored"], again["segment"]) == ("popular", [], None)
    assert item not in [str(one["item_id"]) for one in again["items"]]


def test_impressions_count_once_their_visit_is_over(
    tiny: Recommender, tmp_path: Path, store_settings: dict[str, Any]
) -> None:
    during, after = (
        Recommender(replace(tiny.model, config=tiny.model.config.override("signals.visit_minutes", minutes)))
        for minutes in (30, 0)
    )
    with running_app(during.save(tmp_path / "during"), tmp_path, **store_settings) as app, app.open_client() as http:
        lists = [get_list(http, "u", k=2, strategy="explore", record=True) for _ in range(3)]
        assert [ids_of(one) for one in lists] == [ids_of(lists[0])] * 3
        second = get_list(http, "u", k=2, strategy="explore", after=lists[2]["list_id"])
        assert not set(ids_of(second)) & set(ids_of(lists[2]))
        assert len(http.get("/v1/users/u").json()["lists"]) == 3
    with running_app(after.save(tmp_path / "after"), tmp_path, **store_settings) as app, app.open_client() as http:
        assert not set(ids_of(get_list(http, "u", k=2, strategy="explore"))) & set(ids_of(lists[0]))


def test_recording_needs_both_rights(start_app: StartApp) -> None:
    both = "a-key-that-opens-both"
    app = start_app(read_keys=f"{READ},{both}", write_keys=f"{WRITE},{both}")
    for key, plain, recorded in ((READ, 200, 403), (WRITE, 403, 403), (both, 200, 200)):
        with app.open_client(key) as http:
            assert http.get("/v1/users/u/recommendations").status_code == plain
            assert http.get("/v1/users/u/recommendations?record=true").status_code == recorded
    with app.open_client() as http:
        assert_error(http.get("/v1/users/u/recommendations?record=true"), 401, "unauthorized")
    with app.open_client(both) as http:
        assert len(http.get("/v1/users/u").json()["lists"]) == 1


def test_another_web_page_cannot_record(http: httpx.Client) -> None:
    path = "/v1/users/web/recommendations?record=true"
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert http.get(path, headers={"Sec-Fetch-Site": site}).status_code == status
    assert http.get(path.split("?")[0], headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_store_that_fails_costs_the_record_and_not_the_list(start_app: StartApp) -> None:
    app = start_app()
    with app.open_client() as http:
        good = ask(http, "u", record=True)

        async def fail(_lists: object) -> None:
            raise StoreError("store: cannot be written (disk full); nothing was stored, try again.")

        append, app.service.store.append = app.service.store.append, fail  # type: ignore[method-assign,assignment]
        bad = ask(http, "v", record=True)
        assert bad["items"] == good["items"]
        assert bad["list_id"] is None
        assert "disk full" not in bad["not_recorded"]
        assert "firstday_lists_not_recorded_total 1.0" in http.get("/metrics").text
        app.service.store.append = append  # type: ignore[method-assign]
        assert ask(http, "u", record=True)["list_id"]
        assert len(http.get("/v1/users/u").json()["lists"]) == 2


def test_what_the_store_knows_was_shown_counts_alike(by_hand: httpx.Client) -> None:
    add_events(by_hand, "anna", "i4")
    add_events(by_hand, "anna", "i1", signal="shown", list_id="a", position=3)
    add_events(by_hand, "anna", "i2", signal="shown")
    stored = get_list(by_hand, "anna", explain=True, strategy="popular")
    shown = [{"item_id": "i1", "list_id": "a", "position": 3}, "i2"]
    given = explain(by_hand, {"interactions": [["stream", "item", "i4"]], "shown": shown}, strategy="popular")
    assert stored["items"] == given["items"]
    assert ids_of(given) == ["i3", "i5", "i6", "i1"]  # i1 and i2 rest: they come last
