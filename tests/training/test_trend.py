"""What is used more of late, counted by hand, and what `blend` makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.events import Window
from firstday.data.load import load
from firstday.data.splits.split import Cohort, Split
from firstday.features.signals import Signals
from firstday.methods.blend import KNOTS, Blending
from firstday.recommend.recommender import Recommender
from firstday.sparse import SparseRows
from firstday.training.trend import TREND_DAYS, TREND_SMOOTHING, TREND_WEIGHT, measure_trend
from tests.tiny import with_learned

BLENDING = Blending(({"personal": 0.5, "popular": 1.0},) * len(KNOTS))
END = datetime(2024, 6, 1, tzinfo=UTC)


def test_the_trend_compares_the_last_days_with_all() -> None:
    """Of 40 users, all used `old` long ago, 30 of them `new` in the last days; one use has a ban's signal."""
    long_ago = END - timedelta(days=60)
    lately = END - timedelta(days=1)
    uses = [(user, "old", "stream", long_ago) for user in range(40)]
    uses += [*((user, "new", "stream", lately) for user in range(30)), (0, "old", "ban", lately)]
    log = pl.DataFrame(uses, ["user_id", "item_id", "signal", "timestamp"], orient="row")
    dataset = load({"interactions": log})
    config = Config()
    none = np.zeros(0, np.int64)
    nobody = Cohort(none, {}, SparseRows.empty(0, 2), none)
    window = Window(np.zeros(40, np.int64), np.full(40, int(END.timestamp() * 1e6)))
    split = Split(np.arange(40), dataset.actions(window)[0], (), nobody, nobody, warm_window=window)
    n_pseudo = 2 * TREND_SMOOTHING
    old = n_pseudo * 40 / 70 / (30 + n_pseudo)
    new = (30 + n_pseudo * 30 / 70) / (30 + n_pseudo)
    expected = TREND_WEIGHT * np.log([old / (40 / 70), new / (30 / 70)])
    assert TREND_DAYS < 60
    trend = measure_trend(dataset, split, config)
    assert trend is not None
    assert trend[dataset.items.lookup(pl.Series(["old", "new"]))] == pytest.approx(expected, abs=1e-6)
    assert measure_trend(dataset, replace(split, warm_window=None), config) is None


def test_an_item_that_is_used_more_of_late_rises_in_blend_and_nowhere_else(tiny: Recommender) -> None:
    user = Signals(age=20, country="FR", interactions=[("stream", "item", "i1")])

    def order(strategy: str, rising: int | None = None) -> list[str]:
        trend = None if rising is None else np.where(np.arange(6) == rising, np.float32(9), np.float32(0))
        model = replace(with_learned(tiny.model, blend=BLENDING), trend=trend)
        return [item.item_id for item in replace(tiny, model=model).recommend(user, 4, strategy=strategy).items]

    for rising in (1, 2, 3, 4):
        assert order("blend", rising)[0] == f"i{rising + 1}"
    assert order("segment", 4) == order("segment")
