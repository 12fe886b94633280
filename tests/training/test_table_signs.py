"""Damaged tables are refused by what the current model knows; falls as large as those of earlier nights pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Events, Window
from firstday.data.splits.split import Cohort
from firstday.recommend.recommender import open_model
from firstday.sparse import SparseRows
from firstday.training.refresh_model import refresh
from firstday.training.table_signs import (
    FIRST_ALLOWANCE,
    MIN_NEW_ROWS,
    N_NIGHTS,
    NEW,
    NIGHT_ALLOWANCE,
    SIGNS,
    Fall,
    count_times,
    find_falls,
    measure_signs,
    record_night,
)
from tests.synthetic import brief_config
from tests.timed import DAY, HOUR, N_ITEMS, make_log

Change = Callable[[pl.DataFrame], pl.DataFrame]
CONFIG = brief_config(protocol="registration", registration={"target_days": 5.0})
ON_ITEMS = pl.col("entity") == ITEM
TARGET = pl.col("target_ix")


def with_rows(dataset: Dataset, change: Change) -> Dataset:
    return replace(dataset, events=Events.of(change(dataset.events.whole())))


@pytest.fixture(scope="module")
def log() -> Dataset:
    return make_log()


@pytest.fixture(scope="module")
def path(log: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signs") / "model"
    assert refresh(log, path, CONFIG).reason == "first"
    return path


def measure(path: Path, dataset: Dataset, end_us: int | None = None) -> dict[str, float]:
    """Measure the signs without held-out users."""
    recommender = open_model(path)
    nobody = np.zeros(0, np.int64)
    cohort = Cohort(nobody, {}, SparseRows.empty(0, len(dataset.items)), nobody)
    return measure_signs(recommender, dataset, cohort, end_us)


def test_unchanged_tables_have_what_the_model_knows(path: Path, log: Dataset) -> None:
    signs = measure(path, log)
    assert {signs[name] for name in ("known items", "kept uses", "times")} == {1.0}
    assert signs["item shares"] > 0.9  # the model did not count held-out users
    assert signs["similar items"] > 0.1  # two tastes
    assert set(signs) <= set(SIGNS)


def replace_half(column: str) -> Change:
    """Give half of the rows the first user or item."""
    is_half = pl.int_range(pl.len()) % 2 == 0
    return lambda rows: rows.with_columns(pl.when(is_half).then(0).otherwise(column).cast(pl.Int32).alias(column))


def mirror_items(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(target_ix=pl.when(ON_ITEMS).then(N_ITEMS - 1 - TARGET).otherwise(TARGET))


def swap_signals(rows: pl.DataFrame) -> pl.DataFrame:
    is_stream = pl.col("signal") == "stream"
    return rows.with_columns(signal=pl.when(is_stream).then(pl.lit("favorite")).otherwise(pl.lit("stream")))


@pytest.mark.parametrize(
    ("change", "fallen"),
    [
        (mirror_items, "kept uses"),
        (lambda rows: rows.with_columns(TARGET.shuffle(0).over("entity")), "similar items"),
        (lambda rows: rows.with_columns(pl.col("user_ix").shuffle(0)), "kept uses"),
        (lambda rows: rows.with_columns(pl.col("timestamp") + pl.duration(days=40)), "times"),
        (replace_half("user_ix"), "other users"),
        (replace_half("target_ix"), "other items"),
        (swap_signals, "signal shares"),
    ],
)
def test_each_damage_shows(path: Path, log: Dataset, change: Change, fallen: str) -> None:
    before = measure(path, log)
    falls = {fall.sign for fall in find_falls(measure(path, with_rows(log, change)), before, {})}
    assert fallen in falls
    assert list(find_falls(before, before, {})) == []


def test_ids_that_the_model_does_not_know_show(path: Path, log: Dataset) -> None:
    other = replace(log, items=replace(log.items, values="0" + log.items.values.cast(pl.String)))
    signs = measure(path, other)
    assert (signs["known items"], signs["item shares"], signs["kept uses"]) == (0, 0, 0)


def test_a_refresh_refuses_damaged_tables_unless_forced(path: Path, log: Dataset) -> None:
    damaged = with_rows(log, lambda rows: rows.with_columns(TARGET.shuffle(0).over("entity")))
    stages: list[str] = []
    result = refresh(damaged, path, CONFIG, gate=0, progress=lambda stage, *_: stages.append(stage))
    assert (result.published, result.reason, stages) == (False, "damaged", [])
    assert SIGNS["kept uses"][0] in result.sentence
    assert "--force" in result.sentence
    nights = open_model(path).model.facts["data"]["signs"]["nights"]
    forced = refresh(damaged, path, CONFIG, force=True)
    assert forced.published
    assert forced.reason != "damaged"
    assert open_model(path).model.facts["data"]["signs"]["nights"] == nights  # what was forced is not usual
    assert refresh(damaged, path, CONFIG, gate=0).published  # which is the standard now


def test_new_rows_have_signs_of_their_own(path: Path, log: Dataset) -> None:
    assert log.events.last is not None
    end_us = log.events.last - 20 * DAY
    new = Window(np.full(len(log.users), end_us + 1), np.full(len(log.users), log.events.last + HOUR))
    n_new = sum(len(new.select(frame)) for frame in log.events.frames())
    assert n_new >= MIN_NEW_ROWS
    signs = measure(path, log, end_us)
    assert signs[f"{NEW}known items"] == 1
    assert f"{NEW}kept uses" not in signs
    assert not [sign for sign in measure(path, log, log.events.last - 1) if sign.startswith(NEW)]  # too few


def test_usual_falls_are_those_of_earlier_nights() -> None:
    _, usual = SIGNS["known items"]
    before = {"known items": 1.0, "precision": 0.0}

    def falls(value: float, *nights: float) -> list[Fall]:
        recorded = {"known items": list(nights)} if nights else {}
        return list(find_falls({"known items": value, "precision": 0.0}, before, recorded))

    assert not falls(1 - FIRST_ALLOWANCE * usual + 0.01)
    assert falls(1 - FIRST_ALLOWANCE * usual - 0.01)
    assert not falls(1 - usual + 0.01, 0.0)
    assert falls(1 - usual - 0.01, 0.0)
    (fall,) = falls(1 - NIGHT_ALLOWANCE * 0.1 - 0.01, 0.0, 0.1)
    assert fall.usual == pytest.approx(NIGHT_ALLOWANCE * 0.1)
    assert not falls(1 - NIGHT_ALLOWANCE * 0.1 + 0.01, 0.0, 0.1)
    assert falls(0.05, 0.5)  # however usual


def test_the_last_nights_are_recorded() -> None:
    nights: dict[str, list[float]] = {}
    for night in range(N_NIGHTS + 2):
        nights = record_night({"known items": 1 - night / 100}, {"known items": 1.0, "times": 1.0}, nights)
    assert nights == {"known items": [night / 100 for night in range(2, N_NIGHTS + 2)]}
    assert record_night({"known items": 1.0}, {"known items": 1.0}, nights) == nights  # the same tables


def test_times_are_counted_by_month_and_hour(log: Dataset) -> None:
    counts = count_times(log)
    months = sum(n for name, n in counts.items() if "-" in name)
    assert (
        months == sum(n for name, n in counts.items() if name.endswith(" h")) == log.events.whole()["timestamp"].count()
    )
