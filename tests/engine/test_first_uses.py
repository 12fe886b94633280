"""First uses by day, counted by hand: what was known on any earlier day."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import Window
from firstday.data.first_uses import FirstUses, add_first_uses, count_first_uses, count_warm_first_uses
from firstday.data.ids import Ids
from firstday.data.load import load
from firstday.data.splits.histories import LogSpan
from firstday.tables.schema import DAY_US
from tests.engine.parts import divide

END_DAY = 10
LOG = LogSpan(0, END_DAY * DAY_US)
USES = [
    ("u0", "a", "stream", 1),
    ("u0", "a", "stream", 8),  # not the first use
    ("u0", "b", "stream", 9),
    ("u1", "a", "favorite", 9),
    ("u1", "b", "ban", 2),  # not a use
    ("u2", "b", "stream", 3),
]


def load_uses(uses: list[tuple[str, str, str, int]]) -> Dataset:
    rows = pl.DataFrame(uses, ["user_id", "item_id", "signal", "day"], orient="row")
    time = pl.from_epoch(pl.col("day") * 86_400).dt.replace_time_zone("UTC")
    dataset = load({"interactions": rows.select("user_id", "item_id", "signal", timestamp=time)})
    assert isinstance(dataset, Dataset)
    return dataset


def count(dataset: Dataset, users: list[int] | None = None) -> FirstUses:
    n_users = len(dataset.users)
    window = Window(np.zeros(n_users, np.int64), np.full(n_users, LOG.end))
    rows = np.arange(n_users) if users is None else np.array(users)
    return count_first_uses(dataset, rows, Config().signals, window, LOG)


def test_each_item_is_counted_on_the_day_of_each_user_s_first_use() -> None:
    counts = count(load_uses(USES)).counts.dense()
    expected = np.zeros((END_DAY, 2), np.float32)
    expected[END_DAY - 1 - 1, 0] = 1  # the last day is the first row
    expected[END_DAY - 1 - 3, 1] = 1
    expected[0] = [1, 1]
    assert counts.tolist() == expected.tolist()
    assert count(load_uses(USES), [2]).n_users.tolist() == [0, 1]


@pytest.mark.parametrize(("time_us", "expected"), [(0, [0, 0]), (2, [1, 0]), (4, [1, 1]), (10, [2, 2]), (11, [2, 2])])
def test_counts_as_of_a_time_have_the_days_before_it(time_us: int, expected: list[int]) -> None:
    first_uses = count(load_uses(USES))
    assert first_uses.until(time_us * DAY_US).n_users.tolist() == expected
    assert first_uses.until(time_us * DAY_US + 1).until(time_us * DAY_US).n_users.tolist() == expected


def test_recent_uses_are_halved_with_each_half_life() -> None:
    assert count(load_uses(USES)).count_recent(2).tolist() == [1 + 2**-4, 1 + 2**-3]
    assert count(load_uses(USES)).until(4 * DAY_US).count_recent(1).tolist() == [0.25, 1]


def test_later_events_of_others_change_nothing_as_of_an_earlier_day() -> None:
    """From the sixth day on, everything is used by everybody, or nothing by anybody."""
    early = [use for use in USES if use[3] < 5]
    later = [(f"u{user}", item, "stream", day) for user in range(3) for item in "ab" for day in range(5, 10)]
    found = [count(load_uses(uses)).until(5 * DAY_US) for uses in (early, [*early, *later], USES)]
    for first_uses in found:
        assert first_uses.counts.dense().tobytes() == found[0].counts.dense().tobytes()
        assert first_uses.count_recent(3.5).tobytes() == found[0].count_recent(3.5).tobytes()


def test_parts_add_up_to_the_whole() -> None:
    """Held-out users are not counted."""
    dataset = load_uses(USES)
    held_out = Ids(dataset.users.take(np.array([2])))
    whole = count_warm_first_uses(dataset, Config(), LOG, held_out)
    assert whole.n_users.tolist() == [2, 1]
    parts = [count_warm_first_uses(part, Config(), LOG, held_out) for part, _ in divide(dataset, 3)]
    assert add_first_uses(parts).counts.dense().tolist() == whole.counts.dense().tolist()
