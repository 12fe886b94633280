"""Impressions and assignments of the five users: read, checked, kept apart from what users do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.config import SignalConfig, parse_config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.newcomers import load_newcomers
from firstday.data.summary import summarise
from firstday.errors import ConfigError, DataError
from firstday.impressions.passed_over import collect_passed_over
from tests.data.conftest import Tables, noon
from tests.data.same import assert_equal

SHOWN = [
    # user, item, signal, when, list, position, propensity, policy
    ("u1", "i3", "shown", noon(1), "a", 1, 0.5, "explore"),
    ("u1", "i2", "shown", noon(1), "a", 2, 1.0, "explore"),
    ("u1", "i4", "shown", noon(1), "a", 3, None, "explore"),
    ("u1", "i2", "stream", noon(2), "a", None, None, None),
    ("u2", "i1", "shown", noon(4), "a", 1, None, None),  # another user's list of this name
    ("u5", "i4", "shown", None, None, None, None, None),
]
COLUMNS = ["user_id", "item_id", "signal", "timestamp", "list_id", "position", "propensity", "policy"]


def with_shown(tables: Tables, rows: list[tuple[Any, ...]] = SHOWN) -> Tables:
    """The tables with impressions, and with the use that the first list led to in place of the one without a list."""
    shown = pl.DataFrame(rows, COLUMNS, orient="row")
    interactions = tables["interactions"].filter(pl.int_range(pl.len()) != 1)
    return {**tables, "interactions": pl.concat([interactions, shown], how="diagonal")}


def make_assignments() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": ["u2", "u1", "u1", "u2"],
            "experiment": ["lists", "lists", "page", "lists"],
            "variant": ["b", "a", "b", "b"],
            "assigned_at": [noon(2), noon(1), None, noon(1)],
        }
    )


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    """Return the impressions by the caller's ids."""
    assert dataset.impressions is not None
    rows = dataset.impressions.whole()
    return rows.with_columns(
        user_id=dataset.users.take(rows["user_ix"].to_numpy()), item_id=dataset.items.take(rows["item_ix"].to_numpy())
    ).to_dicts()


def test_impressions_are_read_in_the_order_of_users(five_users: Tables) -> None:
    rows = rows_of(load(with_shown(five_users)))
    names = ("user_id", "item_id", "timestamp", "list_id", "position", "policy", "is_used", "used_at")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("u1", "i3", noon(1), "a", 1, "explore", False, None),
        ("u1", "i2", noon(1), "a", 2, "explore", True, noon(2)),
        ("u1", "i4", noon(1), "a", 3, "explore", False, None),
        ("u2", "i1", noon(4), "a", 1, None, False, None),
        ("u5", "i4", None, None, 0, None, False, None),
    ]
    assert [row["propensity"] for row in rows[:2]] == [0.5, 1.0]
    assert all(np.isnan(row["propensity"]) for row in rows[2:])


def test_impressions_are_nothing_that_users_do(five_users: Tables) -> None:
    """All but the impressions is as without them."""
    plain = {**five_users, "interactions": five_users["interactions"].with_columns(weight=pl.lit(1.0))}
    shown = [row for row in SHOWN if row[2] == "shown"]
    impressions = pl.DataFrame(shown, COLUMNS, orient="row")
    both = {**plain, "interactions": pl.concat([plain["interactions"], impressions], how="diagonal")}
    with_them = load(both)
    without = load(plain)
    assert_equal(replace(with_them, impressions=None), without)
    assert replace(summarise(with_them), impressions=0) == summarise(without)


def test_what_is_in_no_other_row_is_an_item_or_a_user_all_the_same() -> None:
    interactions = pl.DataFrame(
        {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "signal": ["stream", "shown"], "list_id": [7, 8]}
    )
    dataset = load({"interactions": interactions})
    assert dataset.items.values.to_list() == ["i1", "i2"]
    assert dataset.users.values.to_list() == ["u1", "u2"]
    assert len(dataset.events) == 1
    (row,) = rows_of(dataset)
    assert (row["user_id"], row["item_id"], row["list_id"]) == ("u2", "i2", "8")


def test_an_item_counts_once_in_a_list(five_users: Tables) -> None:
    again = [("u1", "i3", "shown", noon(3), "a", 2, 0.5, "explore"), *SHOWN[3:4] * 2]
    alone = [("u1", "i3", "shown", noon(3), None, None, None, None)] * 2
    midnight = [("u1", "i3", "shown", datetime(2024, 5, 3, tzinfo=UTC), None, None, None, None)] * 2
    dataset = load(with_shown(five_users, [*SHOWN, *again, *alone, *midnight]))
    rows = [row for row in rows_of(dataset) if (row["user_id"], row["item_id"]) == ("u1", "i3")]
    assert [(row["list_id"], row["position"], row["timestamp"]) for row in rows] == [
        ("a", 1, noon(1)),
        (None, 0, datetime(2024, 5, 3, tzinfo=UTC)),
        (None, 0, datetime(2024, 5, 3, tzinfo=UTC)),
        (None, 0, noon(3)),
    ]
    sentence = "are duplicate impressions (same user, list and item; without a list: same time)"
    assert f"interactions: 2 of 19 rows {sentence}; each is counted once." in dataset.notes


def test_what_only_impressions_have_is_ignored_elsewhere_and_said_once(five_users: Tables) -> None:
    rows = five_users["interactions"].with_columns(position=pl.lit("top"), policy=pl.lit(["x"]), propensity=pl.lit(7))
    dataset = load({**five_users, "interactions": rows})
    assert dataset.impressions is None
    for name in ("position", "policy", "propensity"):
        sentence = f"interactions.{name}: 7 of 7 rows have a signal other than 'shown', so the value was ignored."
        assert dataset.notes.count(sentence) == 1


def test_only_items_are_shown(five_users: Tables) -> None:
    artist = pl.DataFrame({"user_id": ["u1"], "entity": ["artist"], "entity_id": ["a1"], "signal": ["shown"]})
    rows = pl.concat([five_users["interactions"], artist], how="diagonal")
    dataset = load({**five_users, "interactions": rows})
    assert dataset.impressions is None
    assert len(dataset.events) == 7
    assert (
        "interactions.entity: 1 of 8 rows are 'shown' with an entity other than item; only items can be shown."
        in dataset.notes
    )


@pytest.mark.parametrize("place", ["affinity", "use", "never_recommend", "at_registration"])
def test_shown_is_no_signal_of_taste(place: str) -> None:
    value: Any = {"shown": 1.0} if place == "affinity" else ["stream", "shown"]
    with pytest.raises(ConfigError) as caught:
        parse_config({"signals": {place: value}})
    assert "'shown' is reserved for impressions and never counts as use" in str(caught.value)


def test_assignments_are_read_in_order_each_once(five_users: Tables) -> None:
    assignments = make_assignments()
    dataset = load({**five_users, "assignments": assignments})
    assert dataset.assignments is not None
    assert dataset.assignments.rows() == [
        (0, "lists", "a", noon(1)),
        (0, "page", "b", None),
        (1, "lists", "b", noon(1)),
    ]
    assert "assignments: 1 of 4 rows repeat a user's variant; the earliest one counts." in dataset.notes
    assert summarise(dataset).experiments == {"lists": 2, "page": 1}
    assert load(five_users).assignments is None
    timeless = load({**five_users, "assignments": assignments.drop("assigned_at")})
    assert timeless.assignments is not None
    assert timeless.assignments["assigned_at"].null_count() == 3


def passed_over_of(dataset: Dataset, users: list[str], until: np.ndarray | None = None) -> list[dict[str, float]]:
    rows = dataset.users.lookup(pl.Series(users)).astype(np.int64)
    actions = {pair: matrix.take(rows) for pair, matrix in dataset.actions().items()}
    matrix = collect_passed_over(dataset, rows, actions, SignalConfig(persistence=0.5), until)
    assert matrix is not None
    return [
        dict(zip(dataset.items.take(matrix.row(row)).to_list(), matrix.row_weights(row).tolist(), strict=True))
        for row in range(len(users))
    ]


def test_what_was_shown_and_not_used_was_passed_over(five_users: Tables) -> None:
    """Of u1's list the second place was used: the first was seen, and the third, likely; u2 had used what was shown."""
    dataset = load(with_shown(five_users))
    assert passed_over_of(dataset, ["u5", "u2", "u1"]) == [{"i4": 1.0}, {}, {"i3": 1.0, "i4": 0.5}]
    over = np.full(3, int((noon(1) + timedelta(minutes=30)).timestamp()) * 1_000_000)
    assert passed_over_of(dataset, ["u5", "u2", "u1"], over) == [{}, {}, {"i3": 1.0, "i4": 0.5}]
    assert passed_over_of(dataset, ["u5", "u2", "u1"], over - 1) == [{}, {}, {}]


def test_newcomers_have_impressions(five_users: Tables) -> None:
    tables = with_shown(five_users)
    rows = tables["interactions"].filter(pl.col("user_id") != "u4")
    dataset = load_newcomers({"interactions": rows, "users": five_users["users"]})
    assert len(rows_of(dataset)) == 5
    assert ("shown", "item") not in dataset.pairs()
    bad = rows.with_columns(position=pl.when(pl.col("signal") == "shown").then(0))
    with pytest.raises(DataError, match="are not positions in a list"):
        load_newcomers({"interactions": bad})
