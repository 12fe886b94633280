"""Damaged tables are refused by what the current model knows; falls as large as those of earlier nights pass."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, UTC_MICROSECONDS, Events
from firstday.data.ids import Ids
from firstday.data.load import load
from firstday.errors import DataError
from firstday.model.folder import save_model
from firstday.recommend.recommender import Recommender, open_model
from firstday.training.column_signs import COLUMN, MIN_ITEMS, measure_columns
from firstday.training.refresh_model import refresh
from firstday.training.table_signs import (
    COLUMN_FALL,
    FIRST_ALLOWANCE,
    MAX_FALL,
    N_NIGHTS,
    NEW,
    NEW_FALL,
    NIGHT_ALLOWANCE,
    SIGNS,
    USUAL_FALL,
    compare_signs,
    count_times,
    describe_unusual,
    find_unusual,
    measure_signs,
    record_night,
)
from tests.synthetic import brief_config
from tests.timed import DAY, N_ITEMS, make_log
from tests.tiny import make_model
from tests.training_once import train_once

CONFIG = brief_config(protocol="registration", registration={"target_days": 5.0})
TARGET = pl.col("target_ix")


NUMBER = pl.int_range(N_ITEMS)
COLUMNS = pl.select(
    explicit=NUMBER % 7 == 0,
    section=pl.when(NUMBER % 5 > 0).then((NUMBER % 5).cast(pl.String) + "a"),
    genre=pl.concat_list((NUMBER % 5).cast(pl.String), (NUMBER % 3).cast(pl.String)),
    price=(NUMBER * 7 % N_ITEMS / 10).exp(),
    year=2000.0 + NUMBER * 37 % 20,
    updated_at="2024-05-" + (10 + NUMBER * 37 % 20).cast(pl.String),
)


def with_columns(log: Dataset, *columns: pl.Expr) -> Dataset:
    return replace(log, columns={column.name: column for column in COLUMNS.with_columns(*columns)})


@pytest.fixture(scope="module")
def log() -> Dataset:
    return with_columns(make_log())


@pytest.fixture(scope="module")
def trained(log: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def train() -> Recommender:
        path = tmp_path_factory.mktemp("first") / "model"
        assert refresh(log, path, CONFIG).reason == "first"
        return open_model(path)

    return train_once("signs", tmp_path_factory, train)


@pytest.fixture
def path(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "path"))


def measure(path: Path, dataset: Dataset, end_us: int | None = None) -> dict[str, float]:
    """Measure the signs of tables with the model of the log."""
    return measure_signs(open_model(path).model, dataset, count_times(dataset), count_times(make_log()), end_us)


def change(dataset: Dataset, **columns: pl.Expr) -> Dataset:
    return replace(dataset, events=Events.of(dataset.events.whole().with_columns(**columns)))


def test_unchanged_tables_have_what_the_model_knows(path: Path, log: Dataset) -> None:
    signs = measure(path, log)
    assert {signs[name] for name in ("known items", "kept uses", "item counts", "times")} == {1.0}
    assert signs["similar items"] > 0  # two tastes
    assert {name.removeprefix(COLUMN) for name in signs if name not in SIGNS} == set(COLUMNS.columns)


def first_in_half(column: str) -> dict[str, pl.Expr]:
    """Give half of the rows the first user or item."""
    return {column: pl.when(pl.int_range(pl.len()) % 2 == 0).then(0).otherwise(column).cast(pl.Int32)}


MIRRORED = pl.when(pl.col("entity") == ITEM).then(N_ITEMS - 1 - TARGET).otherwise(TARGET)
SHUFFLED = {"target_ix": TARGET.shuffle(0).over("entity")}


@pytest.mark.parametrize(
    ("columns", "fallen"),
    [
        ({"target_ix": MIRRORED}, "kept uses"),
        (SHUFFLED, "similar items"),
        ({"user_ix": pl.col("user_ix").shuffle(0)}, "kept uses"),
        ({"timestamp": pl.col("timestamp") + pl.duration(days=40)}, "times"),
        ({"timestamp": pl.lit(None, UTC_MICROSECONDS)}, "times"),
        (first_in_half("user_ix"), "other users"),
        (first_in_half("target_ix"), "other items"),
    ],
)
def test_each_damage_shows(path: Path, log: Dataset, columns: dict[str, pl.Expr], fallen: str) -> None:
    before = measure(path, log)
    after = measure(path, change(log, **columns))
    unusual = find_unusual(compare_signs(after, before), {}, 1)
    assert fallen in unusual
    assert SIGNS[fallen] in describe_unusual(unusual, after, before)


def test_ids_that_the_model_does_not_know_show(path: Path, log: Dataset) -> None:
    other = replace(log, items=replace(log.items, values="0" + log.items.values.cast(pl.String)))
    signs = measure(path, other)
    assert (signs["known items"], signs["item counts"], signs["kept uses"]) == (0, 0, 0)


def test_tables_of_other_ids_are_refused_even_over_a_model_of_train(path: Path, log: Dataset, tmp_path: Path) -> None:
    """Such a model has no recorded signs."""
    model = open_model(path).model
    data = {name: fact for name, fact in model.facts["data"].items() if name != "signs"}
    save_model(replace(model, facts={**model.facts, "data": data}), tmp_path / "model")
    other = replace(log, items=replace(log.items, values="0" + log.items.values.cast(pl.String)))
    assert refresh(other, tmp_path / "model", CONFIG).reason == "damaged"


def test_registrations_at_one_time_are_refused_and_never_advised(path: Path, log: Dataset, tmp_path: Path) -> None:
    assert log.registered_at is not None
    assert log.events.first is not None
    damaged = replace(log, registered_at=np.full_like(log.registered_at, log.events.first + 5 * DAY))
    refused = refresh(damaged, path, CONFIG)
    assert (refused.reason, SIGNS["registrations"] in refused.sentence) == ("damaged", True)
    model = open_model(path).model
    data = {name: fact for name, fact in model.facts["data"].items() if name not in ("signs", "held_out_share")}
    save_model(replace(model, facts={**model.facts, "data": data}), tmp_path / "model")  # as train leaves it
    refused = refresh(damaged, tmp_path / "model", CONFIG)
    assert (refused.reason, "users.registered_at" in refused.sentence) == ("not_compared", True)
    assert "gate" not in refused.sentence
    too_late = replace(log, registered_at=np.full_like(log.registered_at, log.events.last))
    with pytest.raises(DataError, match=r"correct users\.registered_at"):
        refresh(too_late, path, CONFIG)


def test_a_refresh_refuses_damaged_tables_unless_forced(path: Path, log: Dataset) -> None:
    """What was forced is not usual, but for other values of a column, which are the standard then."""
    again = partial(refresh, out=path, config=CONFIG)
    shuffled = change(log, **SHUFFLED)
    damaged, shifted = (with_columns(shuffled, column) for column in (~pl.col("explicit"), pl.col("section").shift(1)))
    stages: list[str] = []
    result = again(shuffled, progress=lambda stage, *_: stages.append(stage))
    assert (result.published, result.reason, stages) == (False, "damaged", [])
    assert SIGNS["kept uses"] in result.sentence
    assert "--force" in result.sentence
    assert again(with_columns(log, ~pl.col("explicit"))).reason == "damaged"
    nights = open_model(path).model.facts["data"]["signs"]["nights"]
    assert again(damaged, force=True).published
    known = open_model(path).model.facts["data"]["signs"]["nights"]
    assert {name: falls for name, falls in known.items() if not name.startswith(COLUMN)} == nights
    refused = again(shifted)  # and "explicit" as it was before
    assert (refused.reason, SIGNS["item columns"] in refused.sentence) == ("damaged", True)
    assert ("section" in refused.sentence, "explicit" in refused.sentence) == (True, False)


@pytest.mark.parametrize(
    ("column", "is_damage"),
    [
        (~pl.col("explicit"), True),
        (pl.col("explicit").cast(pl.String), True),
        (pl.col("section").shift(1), True),
        (pl.col("section").str.to_uppercase(), True),
        (pl.lit(None).alias("section"), True),
        (pl.col("genre").shift(1), True),
        (pl.col("price").shift(1), True),
        (pl.col("price") * 1000, True),
        (pl.col("year").shift(1), True),
        (pl.col("updated_at").shift(1), True),
        (pl.col("explicit") | (NUMBER % 3 == 0), False),
        (pl.col("section").fill_null("new"), False),
        (pl.col("genre").list.reverse(), False),
        (pl.col("price") * (0.8 + NUMBER % 5 / 10), False),
        (pl.lit("2024-06-01").alias("updated_at"), False),
    ],
)
def test_a_column_is_damaged_if_most_items_have_other_values(log: Dataset, column: pl.Expr, *, is_damage: bool) -> None:
    clean = with_columns(log)
    catalogue = replace(make_model().catalogue, items=log.items, columns=clean.columns)
    assert set(measure_columns(catalogue, clean).values()) == {1.0}
    falls = compare_signs(measure_columns(catalogue, with_columns(log, column)), {})
    sign = f"{COLUMN}{column.meta.output_name()}"
    assert find_unusual(falls, {}, 1) == ({sign: COLUMN_FALL} if is_damage else {})


def test_items_are_found_by_their_ids_and_few_items_are_no_sign(log: Dataset) -> None:
    clean = with_columns(log)
    catalogue = replace(make_model().catalogue, items=log.items, columns=clean.columns)
    for n, found in ((MIN_ITEMS, {1.0}), (MIN_ITEMS - 1, set())):
        columns = {name: column.tail(n) for name, column in clean.columns.items()}
        tables = replace(log, items=Ids(log.items.values.tail(n)), columns=columns)
        assert set(measure_columns(catalogue, tables).values()) == found


def test_new_rows_have_signs_of_their_own(path: Path, log: Dataset) -> None:
    assert log.events.last is not None
    signs = measure(path, log, log.events.last - 20 * DAY)
    assert signs[f"{NEW}known items"] == 1
    assert f"{NEW}kept uses" not in signs
    assert not [sign for sign in measure(path, log, log.events.last - 1) if sign.startswith(NEW)]  # too few


def test_usual_falls_are_those_of_earlier_nights() -> None:
    def limit(fall: float, *nights: float, sign: str = "known items", n_nights: float = 1) -> float | None:
        return find_unusual({sign: fall}, {sign: list(nights)} if nights else {}, n_nights).get(sign)

    assert limit(FIRST_ALLOWANCE * USUAL_FALL - 0.01) is None
    assert limit(FIRST_ALLOWANCE * USUAL_FALL + 0.01) == pytest.approx(FIRST_ALLOWANCE * USUAL_FALL)
    assert limit(USUAL_FALL - 0.01, 0.0) is None
    assert limit(USUAL_FALL + 0.01, 0.0) == USUAL_FALL
    assert limit(NIGHT_ALLOWANCE * 0.1 - 0.01, 0.0, 0.1) is None
    assert limit(NIGHT_ALLOWANCE * 0.1 + 0.01, 0.0, 0.1) == NIGHT_ALLOWANCE * 0.1
    assert limit(NIGHT_ALLOWANCE * 0.1 + 0.01, 0.0, 0.1, n_nights=2) is None
    assert limit(0.95, 0.5) == MAX_FALL  # however usual
    column = f"{COLUMN}explicit"
    assert limit(COLUMN_FALL - 0.01, 0.0, sign=column, n_nights=9) is None
    assert limit(COLUMN_FALL + 0.01, 0.0, sign=column, n_nights=9) == COLUMN_FALL
    assert limit(NIGHT_ALLOWANCE * 0.2 - 0.01, 0.2, sign=column) is None
    assert limit(1.0, 0.3, sign=column) == MAX_FALL
    assert limit(1.0, 1.0, sign=column) is None
    assert limit(NEW_FALL - 0.01, 0.0, sign=f"{NEW}known items") is None
    assert limit(NEW_FALL + 0.01, 0.5, sign=f"{NEW}known items") == NEW_FALL


def test_the_last_nights_are_recorded() -> None:
    nights: Mapping[str, list[float]] = {}
    for night in range(N_NIGHTS + 2):
        falls = compare_signs({"known items": 1 - night / 100, "times": 0.5}, {"known items": 1.0, "times": 0.0})
        nights = record_night(falls, nights, 2)
    assert nights == {"known items": [night / 200 for night in range(2, N_NIGHTS + 2)]}
    assert record_night({"known items": 0.0}, nights, 1) == nights  # the same tables


def test_times_are_counted_by_month_and_hour() -> None:
    times = ["2024-05-01 09:00", "2024-05-31 09:59", "2024-06-30 23:30", None]
    rows = pl.DataFrame({"user_id": list("abcd"), "item_id": list("wxyz"), "timestamp": times})
    log = load({"interactions": rows.with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC"))})
    assert count_times(log) == {"2024-05": 2, "2024-06": 1, "09 h": 2, "23 h": 1}
