"""Guests who become users: one user under either id, in every store, over HTTP and in exports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import polars as pl
import pytest

from firstday.recommend.variants import Experiment
from firstday.serve.store.guests import MergeError
from firstday.serve.store.log import Retention
from firstday.serve.store.records import Alias, Profile, ShownList, StoredUser
from firstday.serve.store.store import Store
from tests.serve.conftest import StartApp, add_events, assert_error, get_list, ids_of, read_body
from tests.serve.store_harness import CAP, DAY_US, RETENTION_US, Harness, MakeLog, make_shown
from tests.serve.test_export import Place, place, shown_rows, time_of, use

__all__ = ["place"]
LIST = ShownList("l1", "explore", ("i1", "i2"), (1.0, 0.5), as_of=0)


def refused(kept: Harness, user_id: str, guest_id: str) -> str:
    """Return the code with which a merge is refused."""
    with pytest.raises(MergeError) as error:
        kept.merge(user_id, guest_id)
    return error.value.code


@pytest.fixture
def workers(kept: Harness, make_log: MakeLog, store_settings: dict[str, Any]) -> Iterator[list[Store]]:
    """Two stores of the same log, or twice the same one where a log has one process."""
    if store_settings["store"].startswith("sqlite"):
        yield [kept.store] * 2
    else:
        other = Store(make_log(Retention(CAP, RETENTION_US)))
        yield [kept.store, other]
        kept.run(other.close())


@pytest.mark.parametrize(
    ("merges", "n_made"),
    [
        ("ab ba", {1}),
        ("ab bc ca", {1}),
        ("ab bc cd da", {1, 2}),
        ("ab cb", {1}),
        ("ab ac ad", {3}),
        ("ab ac ba", {1, 2}),
        ("ab ab ab", {3}),
    ],
)
def test_merges_at_the_same_moment_are_made_one_after_the_other(
    kept: Harness, workers: list[Store], merges: str, n_made: set[int]
) -> None:
    """The first to be written is made: none is refused for one that was refused, and circles come about nowhere."""

    pairs = [(pair[0], pair[1]) for pair in merges.split()]

    async def merge_all(suffix: str) -> list[bool | BaseException]:
        calls = [
            workers[number % 2].merge(person + suffix, guest + suffix) for number, (person, guest) in enumerate(pairs)
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    for number in range(4):
        names = {name: f"{name}{number}" for name in "abcd"}
        kept.add(*((owner, owner) for owner in names.values()))
        results = kept.run(merge_all(str(number)))
        assert [one for one in results if not isinstance(one, bool | MergeError)] == []
        made = [pair for pair, one in zip(pairs, results, strict=True) if not isinstance(one, MergeError)]
        assert len(made) in n_made
        events_of = {name: {name} for name in names}
        for person, guest in set(made):
            events_of[person].add(guest)
        for person, guest in set(made):
            events_of[guest] = events_of[person]
        for name, events in events_of.items():
            assert set(kept.ids(names[name])) == {names[event] for event in events}
        for person, guest in pairs:
            if (person, guest) in made:
                assert not kept.merge(names[person], names[guest])
            else:
                assert refused(kept, names[person], names[guest]) in ("is_guest", "has_guests", "has_person")


def test_a_guest_named_by_one_and_merged_into_another_is_the_others(kept: Harness) -> None:
    kept.add(("g", "e1"), ("p", "e2"))
    kept.append("p", Alias("p", "p"), Alias("g", "p"))  # a merge that was cut off
    assert kept.merge("other", "g")
    assert kept.ids("p") == ["e2"]
    assert kept.ids("other") == ["e1"]
    assert kept.read("p").guest_ids == ()
    kept.delete("p")
    assert kept.ids("other") == ["e1"]


def test_a_guest_whose_person_became_a_guest_meanwhile_is_alone(kept: Harness) -> None:
    kept.add(("g", "e1"), ("p", "e2"), ("q", "e3"))
    kept.merge("q", "p")
    kept.add(("h", "e5"))
    kept.append("p", Alias("g", "p"), Alias("h", "p"))
    for guest in ("g", "h"):
        kept.append(guest, Alias(guest, "p"))  # a merge at the same moment, which was refused
    assert kept.ids("g") == ["e1"]
    assert kept.read("g").person_id is None
    assert kept.ids("p") == kept.ids("q") == ["e2", "e3"]
    kept.delete("q")
    kept.add(("p", "e4"))
    assert kept.ids("p") == ["e4"]
    assert kept.ids("g") == ["e1"]
    assert kept.merge("other", "g")
    assert kept.ids("other") == ["e1"]


def test_a_person_without_guests_may_become_a_guest(kept: Harness) -> None:
    kept.add(("p", "e1"), ("g", "e2"))
    kept.append("p", Alias("p", "p"), Alias("g", "p"))
    assert kept.merge("q", "p")
    assert kept.ids("q") == ["e1"]
    assert refused(kept, "p", "g") == "is_guest"
    assert kept.ids("g") == ["e2"]


def test_merges_and_deletions_at_the_same_moment_come_one_after_the_other(kept: Harness, workers: list[Store]) -> None:
    async def merge_and_delete(number: int, deleted: str) -> None:
        calls = [workers[0].merge(f"p{number}", f"g{number}"), workers[1].delete(deleted)]
        await asyncio.gather(*(calls if number % 4 < 2 else reversed(calls)))

    for number in range(16):
        names = f"p{number}", f"g{number}"
        kept.add(*((name, name) for name in names))
        deleted, other = names if number % 2 else names[::-1]
        kept.run(merge_and_delete(number, deleted))
        person, guest = map(kept.ids, names)
        assert person == guest
        assert person in ([], [other])  # the merge was first, or the deletion
        if person:
            assert kept.read(names[0]).guest_ids == names[1:]
        else:
            kept.delete(deleted)


def between(patch: pytest.MonkeyPatch, store: Store, call: str, other: Callable[[], Awaitable[object]]) -> None:
    """Let another call come once, between what a call of the store reads and its call to the log."""
    plain = getattr(store.log, call)

    async def come_first(*arguments: Any) -> Any:
        patch.setattr(store.log, call, plain)
        await other()
        return await plain(*arguments)

    patch.setattr(store.log, call, come_first)


@pytest.mark.parametrize("deleted", ["p", "g1", "g2"])
def test_a_merge_that_comes_between_is_deleted_too(
    kept: Harness, workers: list[Store], deleted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.add(("g1", "e1"), ("g2", "e2"), ("p", "e3"))
    kept.merge("p", "g1")
    between(monkeypatch, kept.store, "delete", lambda: workers[1].merge("p", "g2"))
    kept.delete(deleted)
    assert [kept.read(name) for name in ("p", "g1", "g2")] == [StoredUser()] * 3


def test_a_merge_of_persons_deleted_meanwhile_comes_after_that(
    kept: Harness, workers: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.add(("g1", "e1"), ("g2", "e2"), ("p", "e3"))
    kept.merge("p", "g1")
    between(monkeypatch, kept.store, "append", lambda: workers[1].delete("p"))
    kept.merge("p", "g2")
    assert kept.read("g1") == StoredUser()
    assert kept.ids("p") == kept.ids("g2") == ["e2"]


def test_a_person_deleted_while_it_is_read_does_not_come_back(
    kept: Harness, workers: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.add(("g", "e1"), ("p", "e2"))
    kept.merge("p", "g")
    kept.age(8 * DAY_US)
    kept.add(("p", "e3"))  # so that reading keeps the guest, too
    between(monkeypatch, kept.store, "append", lambda: workers[1].delete("p"))
    assert kept.ids("p") == ["e1", "e2", "e3"]
    assert [kept.read(name) for name in ("p", "g")] == [StoredUser()] * 2


def merge(http: httpx.Client, user_id: str, guest_id: str) -> dict[str, Any]:
    return read_body(http.post(f"/v1/users/{user_id}/merge", json={"from": guest_id}))


def test_over_http_both_ids_are_one_user(by_hand: httpx.Client) -> None:
    http = by_hand
    add_events(http, "cookie", "i0")
    add_events(http, "nina", "i1")
    shown = get_list(http, "cookie", k=2, record=True)
    assert merge(http, "nina", "cookie") == {
        "user_id": "nina",
        "guest_ids": ["cookie"],
        "is_new": True,
        "n_left_out": 0,
    }
    assert merge(http, "nina", "cookie")["is_new"] is False
    told = [read_body(http.get(f"/v1/users/{name}")) for name in ("nina", "cookie")]
    assert told[0] == told[1]
    assert (told[0]["user_id"], told[0]["guest_ids"]) == ("nina", ["cookie"])
    lists = [get_list(http, name) for name in ("nina", "cookie")]
    assert ids_of(lists[0]) == ids_of(lists[1])
    assert {"i0", "i1"}.isdisjoint(ids_of(lists[0]))
    assert lists[1]["user_id"] == "nina"
    assert [one["list_id"] for one in told[0]["lists"]] == [shown["list_id"]]
    recorded = get_list(http, "cookie", k=1, record=True)
    assert recorded["list_id"] in {one["list_id"] for one in read_body(http.get("/v1/users/nina"))["lists"]}
    assert http.put("/v1/users/nina", json=told[0]).status_code == 200
    assert http.delete("/v1/users/cookie").status_code == 204
    assert [http.get(f"/v1/users/{name}").status_code for name in ("nina", "cookie")] == [404, 404]


WRONG: tuple[tuple[str, Any, int, str, tuple[str, ...]], ...] = (
    ("p", {}, 422, "invalid", ("from",)),
    ("p", {"from": "a/b"}, 422, "invalid", ("from",)),
    ("p", {"guest_id": "g"}, 422, "invalid", ("from", "guest_id")),
    ("p", {"from": "p"}, 409, "itself", ()),
    ("81", {"from": 81}, 409, "itself", ()),
    ("p", ["g"], 422, "invalid", ("body",)),
    ("p", {"from": "taken"}, 409, "has_person", ()),
    ("p", {"from": "owner"}, 409, "has_guests", ()),
    ("taken", {"from": "g"}, 409, "is_guest", ()),
)


@pytest.mark.parametrize(("user_id", "body", "status", "code", "fields"), WRONG)
def test_wrong_merges_are_told_in_one_sentence_and_change_nothing(
    by_hand: httpx.Client, user_id: str, body: Any, status: int, code: str, fields: tuple[str, ...]
) -> None:
    merge(by_hand, "owner", "taken")
    answer = by_hand.post(f"/v1/users/{user_id}/merge", json=body)
    assert_error(answer, status, code, *fields)
    assert by_hand.get("/v1/users/p").status_code == 404
    assert read_body(by_hand.get("/v1/users/owner"))["guest_ids"] == ["taken"]


def test_in_an_experiment_a_person_keeps_the_guests_variant(start_app: StartApp) -> None:
    text = "first: control=popular*50, treatment=segment*50"
    experiment = Experiment.parse(text)
    variants = {name: experiment.assign(name) for name in (f"u{n}" for n in range(40))}
    guest = next(name for name, one in variants.items() if one and one.name == "control")
    person, late = [name for name, one in variants.items() if one and one.name == "treatment"][:2]
    with start_app(experiment=text).open_client() as http:
        assert get_list(http, guest)["variant"] == "control"
        assert get_list(http, person)["variant"] == "treatment"
        merge(http, person, guest)
        merge(http, late, "without-list")
        for name in (person, guest):
            answer = get_list(http, name)
            assert (answer["variant"], answer["strategy"]) == ("control", "popular")
        for name in ("without-list", late):  # by the person's id, whichever asks first
            assert get_list(http, name)["variant"] == "treatment"
        kept = read_body(http.get(f"/v1/users/{person}"))["assignments"]
        assert [one["variant"] for one in kept] == ["control", "treatment"]


def guests_of(place: Place) -> dict[str, list[str]]:
    rows = place.table("users").select("user_id", "guest_ids").drop_nulls().rows()
    return {user: list(guest_ids) for user, guest_ids in rows}


def test_exports_keep_ids_and_name_guests(place: Place) -> None:
    place.append("g", use(1), replace(LIST, list_id="lg"))
    place.append("p", use(2))
    for owner, variant in (("g", "a"), ("p", "b")):
        place.assign(owner, "x", variant)
    place.append("v", use(3))
    place.export()
    assert "guest_ids" not in place.table("users").columns
    place.run(place.store.merge("p", "g"))
    place.append("g", use(4))
    place.append("p", make_shown("s1", "i2", list_id="lg", timestamp=time_of(7)))
    done = place.export()
    assert done.interactions == 2
    assert guests_of(place) == {"p": ["g"]}
    uses = place.table("interactions").filter(pl.col("signal") == "stream").sort("item_id")
    assert uses.select("user_id", "item_id").rows() == [("g", "i1"), ("p", "i2"), ("v", "i3"), ("g", "i4")]
    assert shown_rows(place) == [("p", "lg", "i2", None, 0.5, "explore")]
    assert place.table("assignments").select("user_id", "variant").rows() == [("g", "a"), ("p", "b")]
    place.append("p", Profile({"age": 20}))
    place.run(place.store.merge("p", "g0"))
    place.export()
    assert guests_of(place) == {"p": ["g", "g0"]}
    assert place.table("users")["user_id"].to_list() == ["g", "g0", "p", "v"]


def test_a_guest_of_a_deleted_person_who_is_merged_again_is_exported_with_the_new_one(place: Place) -> None:
    place.append("g", use(1))
    place.run(place.store.merge("p", "g"))
    place.export()
    place.delete("p")
    place.append("g", use(2))
    place.run(place.store.merge("q", "g"))
    place.export()
    assert guests_of(place) == {"q": ["g"]}
