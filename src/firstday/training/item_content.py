"""What is learned about new items: content by hiding items of each fold, and use by age from the log's first uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.model.calibration import Calibration
from firstday.model.item_content import (
    ItemContent,
    choose_terms,
    find_terms,
    fit_content,
    index_terms,
    scale_vectors,
)
from firstday.model.trained_model import TrainedModel
from firstday.recommend.fold import Fold, head
from firstday.training.calibrate import fit_calibration

MAX_USERS = 1_000
"""Maximum number of validation users to learn from."""
FRESH_DAYS = 30
"""Number of days for which an item counts as new."""
BURN_IN = 0.2
"""Share of the log at its beginning in which every item looks new."""
SMOOTHING = 1_000.0
"""Number of days of an item, used like all items, that are added to those observed."""


def learn_content(
    dataset: Dataset, folds: Sequence[Fold], model: TrainedModel, first_uses: FirstUses | None
) -> ItemContent | None:
    """Learn from the items of a model, and from the validation users of the folds how often hidden items are used."""
    n_items = len(dataset.items)
    texts = {"title": dataset.titles, "description": dataset.descriptions}
    columns = {name: pl.Series(values, dtype=pl.String) for name, values in texts.items() if values}
    found = find_terms({**columns, **dataset.columns})
    terms = choose_terms(found)
    rows = index_terms(found, terms, n_items)
    own_vectors = np.zeros((n_items, 0), dtype=np.float32)
    if dataset.content_vectors is not None:
        own_vectors = scale_vectors(dataset.content_vectors)

    models = [model, *(fold.model for fold in folds)]
    fits = [fit_content(terms, rows, own_vectors, one.scoring_vectors, one.popularity) for one in models]
    learned = [one for one in fits if one is not None]
    if len(learned) < len(models):
        return None
    calibration = calibrate_content(head(folds, MAX_USERS), [hidden for _, *hidden in learned[1:]])
    if calibration is None:
        return None
    content = replace(learned[0][0], calibration=calibration)
    if first_uses is not None:
        fresh_from = datetime.fromtimestamp(first_uses.end_us // 1_000_000, UTC) - timedelta(FRESH_DAYS)
        content = replace(
            content, freshness=measure_freshness(first_uses), fresh_from=f"{fresh_from:%Y-%m-%dT%H:%M:%SZ}"
        )
    return content


def calibrate_content(folds: Sequence[Fold], hidden: Sequence[Sequence[np.ndarray]]) -> Calibration | None:
    """Fit the log-odds with which validation users use the hidden items; None if predictions are of no use.

    `hidden` has items, and what was predicted of them, for each fold; see `fit_content`.
    """
    inputs = []
    is_used = []
    n_users = 0
    for fold, (items, predicted) in zip(folds, hidden, strict=True):
        known = np.flatnonzero(fold.query.has_features)
        n_users += len(known)
        likeness = fold.query.predicted[known] @ predicted[:, :-1].T
        columns = np.broadcast_arrays(likeness, predicted[:, -1], 0.0)
        inputs.append(np.stack(columns, axis=-1).reshape(-1, 3))
        is_used.append(fold.truth.take(known).has(np.tile(items, (len(known), 1))).ravel())
    return fit_calibration(np.concatenate(inputs), np.concatenate(is_used), n_users)


def measure_freshness(first_uses: FirstUses) -> float:
    """Return the daily use of items in the `FRESH_DAYS` after their first use, relative to that of all items.

    Items count if they appear after the log's `BURN_IN`.
    """
    counts = first_uses.counts
    n_days = counts.n_rows
    day = n_days - 1 - counts.row_of_entry()
    first = np.full(counts.n_columns, n_days)
    np.minimum.at(first, counts.columns, day)
    age = day - first[counts.columns]
    arrives = (first >= BURN_IN * n_days) & (first < n_days)
    is_counted = arrives[counts.columns] & (age > 0) & (age <= FRESH_DAYS)
    n_observed = np.minimum(n_days - 1 - first, FRESH_DAYS)[arrives].sum()
    usual = counts.weights.sum() / (n_days - first).sum()
    return round(float((counts.weights[is_counted].sum() / usual + SMOOTHING) / (n_observed + SMOOTHING)), 4)
