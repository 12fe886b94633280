"""What is learned about new items: content by hiding items of each fold, and use by age from the log's first uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from firstday.data.dataset import Dataset
from firstday.engine.first_uses import FirstUses
from firstday.features.item_content import (
    HiddenItems,
    ItemContent,
    count_words,
    fit_content,
    join_texts,
    lift_by_vectors,
)
from firstday.model.trained_model import TrainedModel
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.validation import Fold, head

SLOPES = np.append(0, np.geomspace(0.5, 50, 25)).round(2)
"""Candidate slopes of the log-odds of use."""
MAX_USERS = 1_000
"""Maximum number of validation users to learn from."""
AGE_DAYS = np.array([0.0, 1, 3, 7, 14, 30, 90, 180])
"""Ages, in days, from which on items are counted together."""
BURN_IN = 0.2
"""Share of the log at its beginning in which every item looks new."""
SMOOTHING = 20.0
"""Pseudo-uses of each age, at the average of all ages."""
MIN_ARRIVALS = 20
"""Minimum number of items that appear in the log to learn from their ages."""


def learn_content(
    dataset: Dataset, folds: Sequence[Fold], model: TrainedModel, first_uses: FirstUses | None
) -> ItemContent | None:
    """Learn from the items of a model, and from the validation users of the folds how often hidden items are used."""
    words = count_words(join_texts(dataset.titles, dataset.descriptions, len(dataset.items)))
    fitted = _fit(model, words)
    fitted_folds = [_fit(fold.model, words) for fold in folds]
    if fitted is None or None in fitted_folds:
        return None
    hidden = [found[1] for found in fitted_folds if found is not None]
    slope, level, shape = calibrate_content(head(folds, MAX_USERS), hidden)
    content = replace(fitted[0], slope=slope, level=level, shape=shape)
    if first_uses is None:
        return content
    return replace(content, age_days=AGE_DAYS, age_factors=measure_ages(first_uses, dataset.added_at))


def _fit(model: TrainedModel, words: SparseRows) -> tuple[ItemContent, HiddenItems] | None:
    n_users = model.everyone.counts.column_sums()
    return fit_content(model.scoring_vectors, n_users, words, model.members_of_items)


def calibrate_content(folds: Sequence[Fold], hidden: Sequence[HiddenItems]) -> tuple[float, float, float]:
    """Return slope and level, by maximum likelihood of what validation users used of the hidden items, and the shape.

    Uses of a pair of user and item are Poisson with the predicted popularity times the lift and the level.
    """
    likelihoods = []
    levels = []
    for slope in SLOPES.tolist():
        expected = [_expect(fold, items, slope) for fold, items in zip(folds, hidden, strict=True)]
        n_used = sum(_used(fold, items).sum() for fold, items in zip(folds, hidden, strict=True))
        levels.append((n_used + 1) / (sum(of_fold.sum() for of_fold in expected) + 1))
        of_uses = [
            np.log(np.maximum(of_fold, 1e-12))[_used(fold, items)].sum()
            for of_fold, fold, items in zip(expected, folds, hidden, strict=True)
        ]
        likelihoods.append(sum(of_uses) + n_used * np.log(levels[-1]))
    best = int(np.argmax(likelihoods))
    squares = noise = 0.0
    for fold, items in zip(folds, hidden, strict=True):
        expected_uses = levels[best] * _expect(fold, items, float(SLOPES[best])).sum(axis=0)
        noise += float(((_used(fold, items).sum(axis=0) - expected_uses) ** 2 - expected_uses).sum())
        squares += float((expected_uses**2).sum())
    shape = float(np.clip(squares / max(noise, 1e-9), 0.1, 10))
    return float(SLOPES[best]), round(float(levels[best]), 4), round(shape, 4)


def _expect(fold: Fold, hidden: HiddenItems, slope: float) -> np.ndarray:
    """Return predicted popularity times lift of each pair, float64, shape (n_users, n_hidden)."""
    model = fold.model
    shares = hidden.n_users / max(1, int(model.everyone.sizes[0]))
    users = np.where(fold.query.has_features[:, None], fold.query.predicted, 0)
    return shares * lift_by_vectors(slope, users, hidden.vectors, model.segments)


def _used(fold: Fold, hidden: HiddenItems) -> np.ndarray:
    """Return which hidden items each user used, bool, shape (n_users, n_hidden)."""
    return fold.truth.has(np.tile(hidden.items, (fold.truth.n_rows, 1)))


def measure_ages(first_uses: FirstUses, added_at: np.ndarray | None) -> np.ndarray:
    """Return the use of items from each of `AGE_DAYS` on, relative to all items of the same days.

    Items count from `added_at`, or from the day after their first use, if they appear after the log's `BURN_IN`.
    """
    counts = first_uses.counts
    n_days = counts.n_rows
    day = n_days - 1 - counts.row_of_entry()
    first = np.full(counts.n_columns, n_days)
    np.minimum.at(first, counts.columns, day)
    uses = np.bincount(day, counts.weights, n_days)
    per_item = uses / np.maximum(1, np.bincount(first, minlength=n_days + 1)[:n_days].cumsum())
    ages_from = 1  # the first use is what makes an item known
    if added_at is not None:
        start_us = first_uses.end_us - n_days * DAY_US
        is_dated = (added_at >= start_us) & (added_at < first_uses.end_us)
        first = np.where(is_dated, (added_at - start_us) // DAY_US, n_days)
        ages_from = 0
    arrives = (first >= BURN_IN * n_days) & (first < n_days)
    if arrives.sum() < MIN_ARRIVALS:
        return np.ones(len(AGE_DAYS))
    is_counted = arrives[counts.columns] & (day - first[counts.columns] >= ages_from)
    used = np.bincount(day[is_counted] - first[counts.columns[is_counted]], counts.weights[is_counted], n_days)
    n_arrived = np.bincount(first[arrives], minlength=n_days)
    typical = np.array([n_arrived[: n_days - age] @ per_item[age:] for age in range(n_days)])
    typical[:ages_from] = 0
    groups = np.searchsorted(AGE_DAYS, np.arange(n_days), side="right") - 1
    n_used = np.bincount(groups, used, len(AGE_DAYS))
    n_typical = np.bincount(groups, typical, len(AGE_DAYS))
    of_all = (n_used.sum() + SMOOTHING) / (n_typical.sum() + SMOOTHING)
    factors: np.ndarray = (n_used + SMOOTHING * of_all) / (n_typical + SMOOTHING)
    return factors.round(4)
