"""Counts are renewed without training: what was used meanwhile counts, and what was learned stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.data.events import Events
from firstday.data.ids import Ids
from firstday.recommend.recommender import Recommender
from firstday.training.fit import train
from firstday.training.renew import renew_counts
from tests.synthetic import brief_config
from tests.timed import BEGIN, DAY, LOG, N_DAYS, N_ITEMS, N_USERS, make_log

START = int(BEGIN.timestamp() * 1e6)
END = START + N_DAYS * DAY
CONFIG = brief_config(
    protocol="registration", registration={"target_days": 5.0}, recommend={"strategy": "popular", "k": 10}
)
RISING, FADING = N_ITEMS - 1, N_ITEMS - 2
"""Items that hardly anyone used before."""
N_NEW = 120
COUNTED = ("learned.clock.terms.npy", "learned.trend.use.npy", "learned.latest.came_us.npy")
"""Files of what is learned from counts."""


def go_on(log: Dataset, liked: int, pushed: list[int]) -> Dataset:
    """Return the log 20 days later: all users used each of `pushed`, and 120 newcomers `liked` after the first day."""
    users = Ids.of([*log.users.values.to_list(), *(f"new {number}" for number in range(N_NEW))])
    rows: list[tuple[int, int | None, int]] = [
        (user, END + DAY // 2, item) for user in range(N_USERS) for item in pushed
    ]
    for number in range(N_NEW):
        registered = END + DAY + number * (12 * DAY // N_NEW)
        rows += [(N_USERS + number, registered, 0), (N_USERS + number, registered + 2 * DAY, liked)]
    rows.append((0, END + 20 * DAY, 0))
    return LOG.add(replace(log, users=users, groups={}), rows)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return replace(make_log(), groups={}, registered_at=None)


@pytest.fixture(scope="module")
def trained(log: Dataset) -> Recommender:
    return train(log, CONFIG, progress=None)


@pytest.fixture
def model(trained: Recommender, tmp_path: Path) -> Path:
    return trained.save(tmp_path / "model")


def count_users(log: Dataset, users: np.ndarray) -> list[int]:
    """Count the users of each item by hand."""
    used = log.events.whole().filter(LOG.is_use(), pl.col("user_ix").is_in(users.tolist()))
    counts = dict(used.group_by("target_ix").agg(pl.col("user_ix").n_unique()).rows())
    return [counts.get(item, 0) for item in range(N_ITEMS)]


def test_all_users_but_held_out_ones_are_counted(trained: Recommender, log: Dataset) -> None:
    later = go_on(log, RISING, [FADING])
    is_held_out = np.arange(len(later.users)) % 3 == 0
    renewed = renew_counts(trained.model, later, is_held_out)
    assert renewed.everyone.counts.dense()[0].tolist() == count_users(later, np.flatnonzero(~is_held_out))
    assert renewed.segments.items.counts.column_sums().max() <= renewed.everyone.counts.column_sums().max()
    terms = renewed.learned["clock"].terms
    assert terms[FADING] > terms[1:FADING].max()  # all its uses are of the last days
    changed = {name for name, value in trained.model.learned.items() if renewed.learned[name] is not value}
    assert changed == {"clock", "trend", "latest"}
    use = renewed.learned["trend"].use
    assert use[FADING] > use[1:FADING].max()
    assert renewed.cold is trained.model.cold


def test_a_model_of_tables_without_times_gets_a_clock(log: Dataset) -> None:
    rows = log.events.whole().with_columns(timestamp=pl.lit(None, log.events.whole().schema["timestamp"]))
    timeless = train(replace(log, events=Events.of(rows)), CONFIG.override("protocol", "auto"), progress=None).model
    renewed = renew_counts(timeless, log, np.zeros(N_USERS, dtype=bool))
    assert timeless.learned.get("trend") is None
    assert renewed.learned["trend"].use.shape == (N_ITEMS,)


def test_items_that_the_model_does_not_know_are_ignored(trained: Recommender, log: Dataset) -> None:
    """The same log, its items in another order, with one more."""
    order = np.random.default_rng(0).permutation(N_ITEMS)
    items = Ids.of(["unknown", *log.items.values.gather(order).to_list()])
    rows = log.events.whole()
    moved = 1 + np.argsort(order)[rows["target_ix"].to_numpy()]
    rows = rows.with_columns(target_ix=pl.Series(moved, dtype=rows.schema["target_ix"]))
    other = LOG.add(replace(log, items=items, events=Events.of(rows)), [(user, END - DAY, 0) for user in range(9)])
    nobody = np.zeros(N_USERS, dtype=bool)
    counts = [renew_counts(trained.model, tables, nobody).everyone.counts.dense() for tables in (log, other)]
    assert counts[0].tolist() == counts[1].tolist()


def test_items_are_as_the_tables_have_them_now(trained: Recommender, log: Dataset) -> None:
    """The first item was withdrawn, the second is back, the fourth is not in the tables."""
    n = N_ITEMS
    old = pl.Series(["old"] * n)
    catalogue = replace(trained.model.catalogue, titles=("Old",) * n, columns={"mood": old, "year": old, "size": old})
    model = replace(trained.model, catalogue=catalogue, unlisted=np.array([1, 3], np.int32))
    later = go_on(log, RISING, [])
    ids = log.items.values.to_list()
    columns = {
        "mood": pl.Series(["new"] * n),
        "year": pl.Series([2026.0] * n),
        "recommendable": pl.Series([False, *[None] * (n - 1)]),
    }
    tables = replace(later, items=Ids.of([*ids[:3], "another", *ids[4:]]), titles=("New",) * n, columns=columns)
    renewed = renew_counts(model, tables, np.zeros(len(later.users), dtype=bool))
    expected = ["old" if ix == 3 else "new" for ix in range(n)]
    assert renewed.catalogue.titles == tuple(text.capitalize() for text in expected)
    assert renewed.catalogue.columns["mood"].to_list() == expected
    assert renewed.catalogue.columns["year"].equals(old)
    assert renewed.catalogue.columns["size"].equals(old)
    assert renewed.unlisted.tolist() == [0, 3]
    assert not np.isin(renewed.segments.top_items, renewed.unlisted).any()
    without = renew_counts(model, replace(later, titles=None, columns={}), np.zeros(len(later.users), dtype=bool))
    assert without.catalogue.titles == catalogue.titles
    assert without.unlisted.tolist() == [1, 3]
