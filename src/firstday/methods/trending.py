"""`trending`: items used most in the last days; past newcomers decide in how many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.config import SignalConfig
from firstday.data.first_uses import FirstUses
from firstday.data.splits.split import Cohort
from firstday.display import readable
from firstday.methods.clock import measure_newest
from firstday.methods.popularity import rank_use, take_order
from firstday.model.trained_model import TrainedModel
from firstday.recommend.fold import TrainingRun
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import Choice, SharedValueSpec, StrategySpec

N_DAYS = (30, 1, 3, 7, 14, 60, 90, 180, 365)
"""Candidate numbers of days; the first is used if past newcomers prefer none."""


@readable
@dataclass(frozen=True, eq=False)
class Trend:
    """The use of each item in the last days, float64, shape (n_items,); see `count_use`."""

    n_days: int
    use: np.ndarray

    def describe(self) -> str:
        """Describe the choice in one sentence."""
        return f"Trending items are those that most users first used in the last {self.n_days} days."


def recommend_trending(query: Query) -> Answer:
    """Rank items by first uses in the last days, or by popularity without times; answers every user."""
    order, shares = query.model.derive(rank_trending)
    return take_order(query, order, shares, "trending")


def rank_trending(model: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return all items by descending use in the last days, and each item's share; see `rank_use`."""
    trend: Trend | None = model.learned.get("trend")
    return rank_use(model.popularity if trend is None else trend.use)


def learn_trend(run: TrainingRun) -> Choice:
    """Choose the number of days on the newest past newcomers; there is no trend without times."""
    if run.first_uses is None or run.split.newest is None:
        return None, {}
    return choose_trend(run.first_uses, run.split.newest, run.model.config.signals), {}


def choose_trend(first_uses: FirstUses, newest: Cohort, signals: SignalConfig) -> Trend:
    """Choose the number of days whose lists have the highest precision for past newcomers."""
    precision, _ = measure_newest(first_uses, newest, signals, score_days, len(N_DAYS))
    n_days = N_DAYS[int(precision.sum(axis=1).argmax())]
    return Trend(n_days, count_use(first_uses, n_days))


def score_days(past: FirstUses) -> list[np.ndarray]:
    """Return the scores of the items by each of `N_DAYS`."""
    return [count_use(past, n_days) for n_days in N_DAYS]


def count_use(first_uses: FirstUses, n_days: int) -> np.ndarray:
    """Return the first uses of each item in the last days, plus a fraction below 1 that grows with all its uses."""
    n_users = first_uses.n_users
    return first_uses.count_last(n_days) + n_users / (1 + n_users.max(initial=0))


TREND = SharedValueSpec(
    name="trend",
    describe="First uses of each item in the last days.",
    choose=learn_trend,
    value=Trend,
    always_trained=True,
)
TRENDING = StrategySpec(
    name="trending",
    recommend=recommend_trending,
    describe="Rank items by the number of users who first used them in the last days.",
    explain="The most used items of the last days.",
    reason=lambda reason: f"{reason.score:.1%} of the use in the last days is of it.",
    scale="share of use in the last days",
)
