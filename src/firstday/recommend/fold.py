"""Validation users with a model that was trained without them, and what methods choose from after all folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.data.splits.split import Split
from firstday.data.user_rows import take_rows
from firstday.display import readable
from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Query
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


def day_ends(folds: Sequence[Fold]) -> np.ndarray:
    """Return the end of each user's day one, in microseconds since 1970 UTC, folds concatenated."""
    return np.concatenate([fold.day_end_us for fold in folds if fold.day_end_us is not None])


def head(folds: Sequence[Fold], max_users: int) -> list[Fold]:
    """Return the first users of each fold, about `max_users` in total."""
    n_users = max(1, sum(fold.query.n_users for fold in folds))
    return [fold.take(np.arange(fold.query.n_users)[: -(-max_users * fold.query.n_users // n_users)]) for fold in folds]


@readable
@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRun:
    """Data of methods that learn once all folds are trained.

    Parameters
    ----------
    folds
        Validation users, whose models have what earlier methods chose; none if a training chooses no settings.
    model
        The model trained on everyone.
    dataset, split
        The tables, and the users that the model was trained on.
    uses
        Items that each of these users uses, shape (n_training, n_items).
    first_uses
        First uses of all warm users by item and day; None without times.
    apart
        Warm users with a model that was trained on the others, from which lists learn their order; None if there are
        too few, or a training chooses no settings.
    """

    folds: Sequence[Fold]
    model: TrainedModel
    dataset: Dataset
    split: Split
    uses: SparseRows
    first_uses: FirstUses | None
    apart: Fold | None = None

    @property
    def came_us(self) -> np.ndarray:
        """When each item came: `added_at`, else its first use, in microseconds since 1970 UTC, int64; -1 if unknown."""
        added_us = self.dataset.added_at
        first_us = np.full(len(self.dataset.items), -1) if self.first_uses is None else self.first_uses.first_us
        return first_us if added_us is None else np.where(added_us < 0, first_us, added_us)

    def with_learned(self, **learned: Any) -> TrainingRun:
        """Return the run with learned values of methods in its model, and in those of the folds and of `apart`."""
        folds = [fold.with_learned(**learned) for fold in self.folds]
        apart = None if self.apart is None else self.apart.with_learned(**learned)
        return replace(self, folds=folds, apart=apart, model=self.model.with_learned(**learned))
