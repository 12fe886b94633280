"""Experiments in the service: who takes part, by what they are answered, and who is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.model.folder import save_model
from firstday.recommend.recommender import Recommender
from firstday.recommend.variants import Experiment
from firstday.serve.batching import ListRequest
from firstday.serve.schemas import ListOptions
from firstday.serve.store.log import StoreError
from tests.serve.conftest import StartApp, add_events, assert_error, get_list, post_list
from tests.serve.in_process import RunningApp
from tests.serve.store_harness import copy_store
from tests.serve.test_access import READ, WRITE

TEXT = "first-2026: control=popular*50, treatment=segment*50"
EXPERIMENT = Experiment.parse(TEXT)
USERS = [f"u{n}" for n in range(24)]


def variants_of(app: RunningApp, users: list[str] = USERS) -> list[str | None]:
    with app.open_client() as http:
        return [get_list(http, user)["variant"] for user in users]


def by_hash(users: list[str] = USERS, text: str = TEXT) -> list[str | None]:
    variants = [Experiment.parse(text).assign(user) for user in users]
    return [None if variant is None else variant.name for variant in variants]


def test_a_users_variant_answers_and_is_named(start_app: StartApp) -> None:
    app = start_app(experiment=TEXT)
    strategies = {variant.name: variant.strategy for variant in EXPERIMENT.variants}
    assert {"control", "treatment"} == set(by_hash())  # both are seen below
    with app.open_client() as http:
        for user, variant in zip(USERS, by_hash(), strict=True):
            answer = get_list(http, user)
            assert (answer["experiment"], answer["variant"]) == ("first-2026", variant)
            assert answer["strategy"] == strategies[str(variant)]
        told = http.get(f"/v1/users/{USERS[0]}").json()
        assert [(one["experiment"], one["variant"]) for one in told["assignments"]] == [("first-2026", by_hash()[0])]
        assert told["assignments"][0]["assigned_at"] > told["first_seen_at"]
        n_control = by_hash().count("control")
        line = 'experiment_recommendations_total{answered_by="popular",experiment="first-2026",variant="control"}'
        assert f"firstday_{line} {n_control}.0" in http.get("/metrics").text
        assert http.delete(f"/v1/users/{USERS[0]}").status_code == 204
        assert http.get(f"/v1/users/{USERS[0]}").status_code == 404
        given = post_list(http, {})
        assert (given["experiment"], given["variant"]) == (None, None)


def test_who_asks_for_a_strategy_is_in_no_variant(start_app: StartApp) -> None:
    """Neither named nor counted, and not kept: the first list without a strategy keeps the variant."""
    app = start_app(experiment=TEXT)
    with app.open_client() as http:
        for user in USERS[:4]:
            named = get_list(http, user, strategy="segment")
            assert (named["strategy"], named["experiment"], named["variant"]) == ("segment", None, None)
            assert http.get(f"/v1/users/{user}").status_code == 404
        assert "experiment_recommendations_total{" not in http.get("/metrics").text
        assert [get_list(http, user)["variant"] for user in USERS[:4]] == by_hash(USERS[:4])
        named = get_list(http, USERS[0], strategy="group", record=True)
        assert (named["strategy"], named["variant"]) == ("group", None)


def test_together_with_others_each_gets_their_own(start_app: StartApp) -> None:
    app = start_app(experiment=TEXT)

    async def ask_together() -> list[ListRequest]:
        options = ListOptions(), ListOptions.model_validate({"strategy": "group"})
        asks = [ListRequest(user, options[n % 2], enrol=n % 4 == 0) for n, user in enumerate(USERS)]
        asks.insert(5, ListRequest(signals=Signals(age=20)))
        return await asyncio.gather(*(app.service.lists.make(one) for one in asks))

    replies = app.run(ask_together())
    assert replies.pop(5).variant is None
    assert [reply.variant and reply.variant.name for reply in replies] == [
        (one, None)[n % 2] for n, one in enumerate(by_hash())
    ]
    users = app.run(app.service.store.read(USERS))
    assert [len(user.assignments) for user in users] == [int(n % 4 == 0) for n in range(len(USERS))]


def test_only_who_may_write_keeps_a_variant(start_app: StartApp) -> None:
    """Others are answered by it, and leave nothing."""
    both = "a-key-that-opens-both"
    app = start_app(experiment=TEXT, read_keys=f"{READ},{both}", write_keys=f"{WRITE},{both}")
    user, (expected,) = USERS[0], by_hash(USERS[:1])
    for key, site, is_kept in (
        (READ, "same-origin", False),
        (both, "cross-site", False),
        (both, "same-site", False),
        (both, "same-origin", True),
        (READ, "same-origin", True),
    ):
        with app.open_client(key) as http:
            answer = http.get(f"/v1/users/{user}/recommendations", headers={"Sec-Fetch-Site": site})
            assert answer.json()["variant"] == expected
            assert (http.get(f"/v1/users/{user}").status_code == 200) == is_kept
    with app.open_client(both) as http:
        assert get_list(http, USERS[1])["variant"] == by_hash(USERS[1:2])[0]
        (kept,) = http.get(f"/v1/users/{USERS[1]}").json()["assignments"]
        assert kept["variant"] == by_hash(USERS[1:2])[0]


def test_a_variant_is_for_good(start_app: StartApp, store_settings: dict[str, Any], tmp_path: Path) -> None:
    """Over restarts, other workers, growing shares, and even shares that move those who had none yet."""
    small = "first-2026: control=popular*10, treatment=segment*10"
    app = start_app(experiment=small, **store_settings)
    first = variants_of(app)
    assert first == by_hash(text=small)
    app.service.enrolment = None
    other = _again(store_settings, tmp_path / "copy.sqlite")
    grown = start_app(experiment=TEXT, **other)
    later = variants_of(grown)
    assert later == by_hash()
    assert [after for before, after in zip(first, later, strict=True) if before] == [one for one in first if one]
    again = _again(other, tmp_path / "again.sqlite")
    turned = start_app(experiment="first-2026: control=segment*0, treatment=popular*100", **again)
    assert variants_of(turned) == later
    assert variants_of(turned, ["new"]) == ["treatment"]


def _again(settings: dict[str, Any], copy: Path) -> dict[str, Any]:
    """Return the settings of another worker on the same server, or on a copy of the same file."""
    url = settings["store"]
    return {"store": copy_store(url, copy)} if url.startswith("sqlite") else settings


def test_who_came_before_takes_no_part(start_app: StartApp, store_settings: dict[str, Any], tmp_path: Path) -> None:
    before = start_app(**store_settings)
    with before.open_client() as http:
        http.put("/v1/users/with-profile", json={"age": 20})
        add_events(http, "with-event", "i001")
        get_list(http, "with-list", record=True)
        get_list(http, "asked-only")  # nothing is kept of who only asked
    old = ["with-profile", "with-event", "with-list"]
    app = start_app(experiment=TEXT, **_again(store_settings, tmp_path / "copy.sqlite"))
    with app.open_client() as http:
        http.put("/v1/users/with-profile", json={"age": 21})
        http.put("/v1/users/new", json={"age": 21})
    assert variants_of(app, [*old, "asked-only", "new"]) == [None] * 3 + by_hash(["asked-only", "new"])
    with app.open_client() as http:
        assert http.get("/v1/users/with-list").json()["assignments"] == []
        assert get_list(http, "with-event")["strategy"] == app.service.holder.current.trained.config.recommend.strategy


def test_while_the_store_fails_nobody_takes_part_and_lists_go_on(start_app: StartApp) -> None:
    app = start_app(experiment=TEXT)
    plain = app.service.store.assign

    async def fail(*_values: object) -> Any:
        raise StoreError("store: cannot be written (disk full); nothing was stored, try again.")

    app.service.store.assign = fail  # type: ignore[method-assign,assignment]
    assert variants_of(app, USERS[:3]) == [None] * 3
    app.service.store.assign = plain  # type: ignore[method-assign]
    assert variants_of(app, USERS[:3]) == by_hash(USERS[:3])


def test_a_model_that_lacks_a_variants_strategy_is_refused(
    recommender: Recommender, tmp_path: Path, start_app: StartApp
) -> None:
    """At the start, and in the place of one that has it."""
    text = "x: a=popular*50, b=ease*50"
    folder = save_model(recommender.model, tmp_path / "with")
    app = start_app(folder, experiment=text)
    before = app.service.holder.current.version
    learned = {name: value for name, value in recommender.model.learned.items() if name != "ease"}
    save_model(replace(recommender.model, learned=learned), folder)
    with app.open_client() as http:
        refused = assert_error(http.post("/v1/model/reload"), 409, "model_refused")
        assert "ease needs a model trained with" in refused["message"]
        assert get_list(http, "u1")["model"] == before
    with pytest.raises(ConfigError, match="ease needs a model trained with"):
        start_app(folder, tmp_path / "other", experiment=text)
