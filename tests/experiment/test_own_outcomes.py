"""Revenue as an outcome: four people, one of them first a guest, and what is not revenue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from firstday.config import Config
from firstday.data.load import load
from firstday.errors import ConfigError, DataError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_tables import ExperimentTables, take_experiment
from firstday.experiment.outcomes import measure
from firstday.experiment.own_outcomes import add_outcomes
from tests.experiment.made import START, at, make_slow

ROWS = [
    ("u1", "i1", "stream", 1, 5.0),
    ("u1", "i1", "stream", 1, 5.0),  # a duplicate
    ("u1", "i2", "stream", 2, None),
    ("u1", "i3", "stream", -1, 100.0),  # before the assignment
    ("u2", "i1", "stream", 30, 3.0),
    ("u2", "i1", "stream", 31, -1.0),  # a refund
    ("u2", "i2", "shown", 32, 100.0),
    ("g3", "i1", "stream", 1, 7.0),  # u3 as a guest
    ("u3", "i2", "stream", 2, 0.5),
    ("u5", "i1", "stream", 24 * 8, 9.0),  # in no experiment; the log ends
]
CONFIG = Config().override("experiment.outcomes", ["revenue"])


def make_tables(values: list[Any] | None = None) -> dict[str, pl.DataFrame]:
    users = ["u1", "u2", "u3", "u4", "u5"]
    guests = [["g3"] if user == "u3" else [] for user in users]
    interactions = pl.DataFrame(ROWS, ["user_id", "item_id", "signal", "hours", "revenue"], orient="row")
    times = pl.Series([at(hours) for hours in interactions["hours"]])
    interactions = interactions.drop("hours").with_columns(timestamp=times)
    if values is not None:
        interactions = interactions.with_columns(revenue=pl.Series(values))
    return {
        "interactions": interactions,
        "users": pl.DataFrame({"user_id": users, "registered_at": START, "guest_ids": guests}),
        "assignments": pl.DataFrame(
            {
                "user_id": ["u1", "u2", "g3", "u4"],
                "experiment": "x",
                "variant": ["control", "treatment"] * 2,
                "assigned_at": START,
            }
        ),
    }


def take(tables: dict[str, pl.DataFrame], name: str = "x", config: Config = CONFIG) -> ExperimentTables:
    dataset = load(tables, config=config)
    return add_outcomes(take_experiment(dataset, name, use=("stream",), like=()), tables, dataset, config)


def test_revenue_is_summed_per_person_and_window() -> None:
    taken = take(make_tables())
    day, week = (dict(measure(taken, days).select("user_id", "revenue").rows()) for days in (1, 7))
    assert day == {"u1": 5, "u2": 0, "u3": 7.5, "u4": 0}
    assert week == {"u1": 5, "u2": 2, "u3": 7.5, "u4": 0}
    assert any("interactions.revenue: missing in 1 of 7 interactions" in note for note in taken.notes)
    (row,) = (row for row in analyse(taken).to_json()["results"] if (row["metric"], row["days"]) == ("revenue", 7))
    assert (row["control"], row["treatment"]) == (6.25, 1)


def test_a_sum_moves_with_the_list_that_it_followed() -> None:
    tables = make_slow(timedelta(hours=3))
    is_use = pl.col("signal") == "stream"
    tables["interactions"] = tables["interactions"].with_columns(revenue=pl.when(is_use).then(2.5))
    assert measure(take(tables, "onboarding"), 7)["revenue"].unique().to_list() == [2.5]


def test_weights_can_be_summed() -> None:
    config = CONFIG.override("experiment.outcomes", ["weight"])
    tables = make_tables()
    tables["interactions"] = tables["interactions"].with_columns(weight=2.0).drop("revenue")
    assert measure(take(tables, config=config), 1)["weight"].to_list() == [4, 0, 4, 0]


@pytest.mark.parametrize("name", ["revenu", "item_id", "shown"])
def test_a_column_that_cannot_be_summed_is_one_sentence(name: str) -> None:
    tables = make_tables()
    tables["interactions"] = tables["interactions"].with_columns(shown=1)
    with pytest.raises(ConfigError, match=rf"outcomes: '{name}' is not .*; choose one of revenue, or rename a column"):
        take(tables, config=CONFIG.override("experiment.outcomes", [name]))


@pytest.mark.parametrize(
    ("values", "where"),
    [(["5", "x", *[None] * 8], "not numbers"), ([True] * 10, "not numbers"), ([float("inf")] * 10, "not finite")],
)
def test_values_that_are_no_numbers_are_faults(values: list[Any], where: str) -> None:
    with pytest.raises(DataError, match=f"interactions.revenue: .*{where}"):
        load(make_tables(values), config=CONFIG)
