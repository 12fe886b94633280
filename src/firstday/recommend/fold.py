"""Validation users with a model that was trained without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstday.data.user_rows import take_rows
from firstday.metrics import measure
from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_query
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class Fold:
    """Validation users, a model and the items that they went on to use (`truth`).

    The model is trained without these users, but for the final one after cross-fitting, which serves no choice.
    """

    query: Query
    truth: SparseRows
    day_end_us: np.ndarray | None = None  # see `Cohort`
    moment_us: int | None = None  # time as of which the model's clock is, in microseconds since 1970 UTC

    def take(self, rows: np.ndarray) -> Fold:
        """Return the users in some rows."""
        day_end_us = take_rows(self.day_end_us, rows)
        return replace(self, query=self.query.take(rows), truth=self.truth.take(rows), day_end_us=day_end_us)

    @property
    def model(self) -> TrainedModel:
        """The model."""
        return self.query.model

    def with_learned(self, **learned: Any) -> Fold:
        """Return the same users, with other learned values of methods."""
        return replace(self, query=self.query.ask(model=self.model.with_learned(**learned)))

    def with_length(self, k: int) -> Fold:
        """Return the same users, with lists of another length."""
        return replace(self, query=self.query.ask(k=min(k, self.model.n_items)))


def measure_folds(folds: Sequence[Fold], strategy: str) -> np.ndarray:
    """Return the precision of each user's list, from 0 to 1, folds concatenated, float64, shape (n_users,)."""
    return np.concatenate([measure(answer_query(fold.query, strategy).items, fold.truth).precision for fold in folds])


def day_ends(folds: Sequence[Fold]) -> np.ndarray:
    """Return the end of each user's day one, in microseconds since 1970 UTC, folds concatenated."""
    return np.concatenate([fold.day_end_us for fold in folds if fold.day_end_us is not None])


def head(folds: Sequence[Fold], max_users: int) -> list[Fold]:
    """Return the first users of each fold, about `max_users` in total."""
    n_users = max(1, sum(fold.query.n_users for fold in folds))
    return [fold.take(np.arange(fold.query.n_users)[: -(-max_users * fold.query.n_users // n_users)]) for fold in folds]
