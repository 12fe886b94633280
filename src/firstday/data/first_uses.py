"""First uses: numbers of warm users by item and day of first use, from which counts as of any earlier day follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from firstday.config import Config, SignalConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.ids import Ids
from firstday.data.splits.histories import LogSpan, read_histories
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import DAY_US


@dataclass(frozen=True, eq=False)
class FirstUses:
    """Number of warm users who first used each item on each day of the log, counted back from `end_us`.

    `counts` have the last day as their first row, shape (n_days, n_items).
    """

    counts: SparseRows
    end_us: int

    def until(self, time_us: int) -> FirstUses:
        """Return the uses of the days that ended by a time, in microseconds since 1970 UTC."""
        n_dropped = -((time_us - self.end_us) // DAY_US)
        days = np.arange(min(max(0, n_dropped), self.counts.n_rows), self.counts.n_rows)
        return FirstUses(self.counts.take(days), self.end_us - n_dropped * DAY_US)

    @cached_property
    def n_users(self) -> np.ndarray:
        """Number of users of each item, float64, shape (n_items,)."""
        return self.counts.column_sums().astype(np.float64)

    @cached_property
    def first_us(self) -> np.ndarray:
        """End of the day of each item's first use, in microseconds since 1970 UTC, int64; -1 if never used."""
        first = np.full(self.counts.n_columns, -1)
        first[self.counts.columns] = self.end_us - 1 - DAY_US * self.counts.row_of_entry()  # the last row is the first
        return first

    def count_last(self, n_days: int) -> np.ndarray:
        """Return the number of users who first used each item in the last days, float64, shape (n_items,)."""
        return self.counts.take(np.arange(min(n_days, self.counts.n_rows))).column_sums()

    def count_recent(self, half_life_days: float) -> np.ndarray:
        """Return the number of users of each item, halved with each half-life, float64, shape (n_items,)."""
        weights = 2.0 ** (-np.arange(self.counts.n_rows) / half_life_days)
        weights = weights[self.counts.row_of_entry()] * self.counts.weights
        return np.bincount(self.counts.columns, weights, self.counts.n_columns)


def count_first_uses(
    part: Dataset, users: np.ndarray, signals: SignalConfig, window: Window, log: LogSpan
) -> FirstUses:
    """Count the first uses of some users, `user_ix` of shape (n,), in a window; `log` is the span of all users' log."""
    codes = part.events.codes_of(ITEM, signals.use)
    is_counted = np.zeros(len(part.users), dtype=bool)
    is_counted[users] = True
    n_days = -((log.start - log.end) // DAY_US)
    frames = []
    for frame in part.events.frames():
        rows = window.select(frame.filter(pl.col("pair").is_in(codes)))
        rows = rows.filter(is_counted[rows["user_ix"].to_numpy()])
        first = rows.group_by("user_ix", "target_ix").agg(pl.col("timestamp").min().to_physical())
        days = (log.end - 1 - first["timestamp"].to_numpy()) // DAY_US
        frames.append(SparseRows.from_pairs(days, first["target_ix"].to_numpy(), None, n_days, len(part.items)))
    return FirstUses(union_rows(frames), log.end)


def count_warm_first_uses(part: Dataset, config: Config, log: LogSpan, held_out: Ids) -> FirstUses:
    """Count the first uses of a part's warm users, except held-out ones."""
    histories = read_histories(part, config, log)
    window = histories.life(config.registration)
    assert window is not None
    warm = np.flatnonzero(histories.can_be_warm)
    warm = warm[held_out.lookup(part.users.take(warm)) < 0]
    return count_first_uses(part, warm, config.signals, window, log)


def add_first_uses(parts: Iterable[FirstUses]) -> FirstUses:
    """Add up the first uses of one or more parts, exactly up to 2^24 users per item and day."""
    answers = list(parts)
    return replace(answers[0], counts=union_rows([part.counts for part in answers]))
