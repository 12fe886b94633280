from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.ids import Ids
from firstday.errors import DataError
from firstday.features.catalogue import Catalogue
from firstday.features.signals import Signals
from firstday.features.wire_types import Impression, Interaction


def make_catalogue(items: Sequence[str | int]) -> Catalogue:
    dataset = Dataset("tiny", Ids.of(["u1"]), Ids.of(items), Events.empty())
    return Catalogue.of(dataset, SignalConfig().names)


def weigh_passed_over(shown: list[Impression], used: Collection[str], persistence: float) -> dict[str, float]:
    """Return the weights of one user by item."""
    catalogue = make_catalogue("xyzwvu")
    user = Signals(interactions=[("stream", "item", item) for item in used], shown=shown)
    batch, _ = catalogue.read([user], SignalConfig(persistence=persistence))
    assert batch.passed_over is not None
    names = catalogue.items.take(batch.passed_over.row(0)).to_list()
    return dict(zip(names, batch.passed_over.row_weights(0).tolist(), strict=True))


def a_list(*items: str, list_id: str = "a") -> list[Impression]:
    return [Impression(item, position, list_id) for position, item in enumerate(items, 1)]


TWO_LISTS = [*a_list("x", "y", list_id="a"), *a_list("z", "y", list_id="b")]


@pytest.mark.parametrize(
    ("shown", "used", "persistence", "weights"),
    [
        (a_list("x", "y", "z"), (), 0.5, {"x": 1.0, "y": 0.5, "z": 0.25}),
        (a_list("x", "y", "z", "w"), {"z"}, 0.5, {"x": 1.0, "y": 1.0, "w": 0.5}),  # all above a used item was seen
        ([*a_list("x", "y"), *a_list("v", "w", list_id="b")], {"y"}, 0.5, {"x": 1.0, "v": 1.0, "w": 0.5}),
        (TWO_LISTS, (), 0.5, {"x": 1.0, "y": 0.75, "z": 1.0}),  # seen in at least one of the lists
        ([Impression("x"), Impression("y", list_id="a")], (), 0.5, {"x": 1.0, "y": 1.0}),  # no position: was seen
        (a_list("x", "y"), (), 0.0, {"x": 1.0}),
    ],
)
def test_lists_are_read_from_the_top(
    shown: list[Impression], used: Collection[str], persistence: float, weights: dict[str, float]
) -> None:
    assert weigh_passed_over(shown, used, persistence) == weights


def test_signals_take_impressions_in_every_form() -> None:
    user = Signals(
        interactions=[("shown", "item", "i0"), ("stream", "item", "i9")],
        shown=[
            "i1",
            ["i2", 2],
            {"item_id": "i3", "position": 3, "list_id": "a", "propensity": 0.5, "policy": "explore"},
        ],
        user_id="u1",
        country="FR",
    )
    assert user.shown == (
        Impression("i0"),
        Impression("i1"),
        Impression("i2", 2),
        Impression("i3", 3, "a", 0.5, "explore"),
    )
    assert user.interactions == (Interaction(entity_id="i9"),)
    copied = user.copy(age=20, country=None)
    assert (copied.age, copied.shown, copied.user_id, copied.groups) == (20, user.shown, "u1", {})
    assert Signals.from_json('{"shown": ["i1", ["i2", 2]]}').shown == (Impression("i1"), Impression("i2", 2))


@pytest.mark.parametrize(
    ("shown", "where", "code"),
    [
        ("i1", "shown", "tuple_type"),
        ([["i1", 1, 2]], "shown[0]", "value_error"),
        (["i1", ["i2", 0]], "shown[1].position", "greater_than_equal"),
        ([["i1", True]], "shown[0].position", "int_type"),
        ([Impression("i1", 0)], "shown[0].position", "greater_than_equal"),
        ([{"item_id": "i1", "propensity": 0}], "shown[0].propensity", "greater_than"),
        ([{"position": 1}], "shown[0].item_id", "missing"),
        ([{"item_id": "i1", "place": 1}], "shown[0].place", "unexpected_keyword_argument"),
        ([None], "shown[0].item_id", "value_error"),
        (7, "shown", "tuple_type"),
    ],
)
def test_what_is_no_impression_is_told(shown: Any, where: str, code: str) -> None:
    with pytest.raises(DataError) as caught:
        Signals(shown=shown)
    assert (caught.value.where, caught.value.code) == (where, code)


def test_a_catalogue_reads_what_was_passed_over_and_counts_it_as_nothing_else() -> None:
    catalogue = make_catalogue([81, 82, 83])
    user = Signals(
        interactions=[("stream", "item", "82")],
        shown=[{"item_id": 81, "position": 1, "list_id": "a"}, *a_list("81", "82", "83", "gone")[1:]],
    )
    batch, ignored = catalogue.read([Signals(), user], SignalConfig(persistence=0.5))
    assert batch.passed_over is not None
    assert [batch.passed_over.row(row).tolist() for row in range(2)] == [[], [0, 2]]
    assert batch.passed_over.row_weights(1).tolist() == [1.0, 0.5]
    assert ignored == [(), ()]
    assert set(batch.actions) == {("stream", "item")}
    assert batch.excluded_items(SignalConfig(), {}).row(1).tolist() == [1]
    assert batch.take(np.array([1])).passed_over.row(0).tolist() == [0, 2]  # type: ignore[union-attr]
    assert catalogue.read([Signals()])[0].passed_over is None
