from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from firstday.config import SignalConfig
from firstday.data.events import ITEM
from firstday.errors import DataError
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import Signals
from firstday.features.wire_types import Interaction
from firstday.sparse import SparseRows


def find_fault(user: Any) -> tuple[str, str]:
    """Return the field and the code of the error about a user."""
    with pytest.raises(DataError) as caught:
        Signals.of(user)
    return caught.value.where, caught.value.code


def test_signals_hold_what_is_given() -> None:
    user = Signals(age=24, country="FR", gender=None, interactions=[["favorite", "item", "i81"], ("ban", "artist", 3)])
    assert user.age == 24
    assert user.groups == {"country": "FR"}
    assert user.interactions == (
        Interaction(signal="favorite", entity_id="i81"),
        Interaction(signal="ban", entity="artist", entity_id=3),  # type: ignore[arg-type]  # any type is kept
    )


def test_profile_values_become_text() -> None:
    profile: dict[str, Any] = {"region": 75, "premium": True, "gender": None}
    assert Signals(**profile).groups == {"region": "75", "premium": "True"}
    assert find_fault({75: "FR"}) == ("user", "dict_type")


def test_numbers_of_numpy_are_numbers() -> None:
    user = Signals(age=np.float32(24), shown=[(7, np.int64(2))])  # type: ignore[arg-type]
    assert (user.age, user.shown[0].position) == (24, 2)


@pytest.mark.parametrize("age", [-1, 121, 24.7, "24", True, float("nan"), float("inf"), [24]])
def test_impossible_ages_are_refused(age: Any) -> None:
    assert find_fault({"age": age})[0] == "age"


def test_json_of_every_part() -> None:
    text = '{"age": 24, "country": "FR", "zip": 75001, "gender": null, "interactions": [["stream", "item", 7]]}'
    user = Signals.from_json(text)
    assert user == Signals(age=24, country="FR", zip="75001", interactions=[("stream", "item", 7)])
    assert (user.age, user.groups) == (24, {"country": "FR", "zip": "75001"})
    assert Signals.from_json("{}") == Signals.from_json('{"interactions": null}') == Signals()


def test_profile_columns_may_have_any_name() -> None:
    names = ["self", "cls", "favourite colour", "text", "groups", ""]
    assert Signals.from_json(json.dumps(dict.fromkeys(names, "x"))).groups == dict.fromkeys(names, "x")


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("{age: 24}", "user", "json_invalid"),
        ("", "user", "json_invalid"),
        ("[" * 100_000, "user", "json_invalid"),
        ("[1, 2]", "user", "dict_type"),
        ("null", "user", "dict_type"),
        ('{"interactions": "abc"}', "interactions", "tuple_type"),
        ('{"interactions": [{"signal": "ban", "id": 3}]}', "interactions[0].entity_id", "missing"),
        ('{"interactions": [{"entity_id": 3, "id": 3}]}', "interactions[0].id", "unexpected_keyword_argument"),
        ('{"interactions": [["ban", "item", null]]}', "interactions[0].entity_id", "value_error"),
        ('{"picks": [["a", "b"], ["artist"]], "interactions": []}', "picks[1]", "value_error"),
        ('{"picks": [["a", "b"]], "interactions": [1]}', "interactions[0]", "value_error"),
        ('{"friends": ["u7", ["u8"]]}', "friends[1]", "value_error"),
        ('{"country": ["FR"]}', "profile.country", "value_error"),
        ('{"profile": {"age": 3}}', "profile", "reserved"),
        ('{"age": NaN}', "age", "int_type"),
    ],
)
def test_wrong_json_is_refused_with_one_sentence(text: str, where: str, code: str) -> None:
    with pytest.raises(DataError) as caught:
        Signals.from_json(text)
    assert (caught.value.where, caught.value.code) == (where, code)
    assert [str(fault) for fault in caught.value.faults] == [str(caught.value)]
    assert str(caught.value).startswith(f"{where}: ")


@pytest.fixture
def batch() -> SignalBatch:
    return SignalBatch(
        n_users=4,
        n_items=5,
        actions={
            ("stream", ITEM): SparseRows.from_lists([[0, 1], [], [], [3]], 5),
            ("ban", ITEM): SparseRows.from_lists([[4], [2], [], []], 5),
            ("skip", ITEM): SparseRows.from_lists([[2], [], [], []], 5),
            ("favorite", "artist"): SparseRows.from_lists([[], [], [], [1]], 2),
        },
        groups={"country": np.array([-1, -1, -1, 2], np.int32)},
        ages=np.array([-1, 30, -1, -1], np.int16),
    )


def test_used_and_banned_items_are_closed_and_skipped_ones_are_not(batch: SignalBatch) -> None:
    closed = batch.excluded_items(SignalConfig(), {})
    assert [closed.row(user).tolist() for user in range(4)] == [[0, 1, 4], [2], [], [3]]
    closed = batch.excluded_items(SignalConfig(use=("favorite",), never_recommend=("skip",)), {})
    assert [closed.row(user).tolist() for user in range(4)] == [[2], [], [], []]
    assert SignalBatch(2, 5).excluded_items(SignalConfig(), {}).lengths().tolist() == [0, 0]


def test_take_keeps_everything_about_the_users_taken(batch: SignalBatch) -> None:
    taken = batch.take(np.array([3, 1, 3]))
    assert (taken.n_users, taken.n_items) == (3, 5)
    for pair, rows in {("stream", ITEM): [[3], [], [3]], ("favorite", "artist"): [[1], [], [1]]}.items():
        assert [taken.actions[pair].row(row).tolist() for row in range(3)] == rows
    assert {name: codes.tolist() for name, codes in taken.profile.items()} == {
        "country": [2, -1, 2],
        "age": [-1, 30, -1],
    }
    assert SignalBatch(2, 5).take(np.array([0])).ages is None
