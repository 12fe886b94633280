"""What is learned about new items: content by hiding items of each fold, and use by age from the log's first uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.data.ids import Ids
from firstday.methods.calibrate import fit_calibration
from firstday.model.calibration import Calibration
from firstday.model.item_content import (
    FRESH_DAYS,
    ItemContent,
    UseOdds,
    expect_use,
    find_terms,
    index_terms,
    scale_vectors,
    stack_inputs,
)
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.fold import Fold, TrainingRun, head
from firstday.recommend.spec import Choice, SharedValueSpec
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US

MAX_TERMS = 2**17
"""Maximum number of terms to learn from; the most frequent ones are kept."""
SHRINKAGE = 5.0
"""Pseudo-items at the overall mean, added to the items of each term."""
MIN_ITEMS = 20
"""Minimum number of used items to learn from."""
MAX_HIDDEN = 1_000
"""Maximum number of items to hide; at most a fifth are."""
PENALTIES = (1.0, 10.0, 100.0)
"""Penalties of the projection of own vectors to choose from."""
NO_CALIBRATION = Calibration(0.0, 1.0, 1.0, 0.0, 0)
MAX_USERS = 1_000
"""Maximum number of validation users to learn from."""
BURN_IN = 0.2
"""Share of the log at its beginning in which every item looks new."""
RIDGE = 1.0
"""L2 penalty on the weights of the log-odds in `blend`, for inputs in standard deviations."""
NOTHING = np.zeros(0, np.int64)
MIN_USES = 100
"""Minimum number of uses of hidden items that came by the end of day one."""
IS_TIMED = np.array([False, False, False, True, True, False])
"""Which inputs of `UseOdds` depend on times: success and age."""
RATE_USES = 20.0
"""Pseudo-uses at the mean rate, added to those of each member of an entity."""
SMOOTHING = 1_000.0
"""Number of days of an item, used like all items, that are added to those observed."""


def learn_content(run: TrainingRun) -> Choice:
    """Learn from the items of the model, and from the validation users of the folds how often hidden items are used.

    There is no content without folds, if too few items have titles or entities, or if predictions are of no use.
    """
    terms, rows, own_vectors = collect_terms(run.dataset)
    models = [run.model, *(fold.model for fold in run.folds)]
    fits = [fit_content(terms, rows, own_vectors, model.scoring_vectors, model.popularity) for model in models]
    learned = [fitted for fitted in fits if fitted is not None]
    if not run.folds or len(learned) < len(models):
        return None, {}
    folds = head(run.folds, MAX_USERS)
    hidden = [of_fold for _, *of_fold in learned[1:]]
    calibration = calibrate_content(folds, hidden)
    if calibration is None:
        return None, {}
    odds = fit_odds(folds, hidden, run)
    content = replace(learned[0][0], calibration=calibration, odds=odds, rates=measure_rates(run.model, NOTHING))
    if run.first_uses is not None:
        fresh_from = datetime.fromtimestamp(run.first_uses.end_us // 1_000_000, UTC) - timedelta(FRESH_DAYS)
        content = replace(
            content, freshness=measure_freshness(run.first_uses), fresh_from=f"{fresh_from:%Y-%m-%dT%H:%M:%SZ}"
        )
    return content, {}


def collect_terms(dataset: Dataset) -> tuple[Ids, SparseRows, np.ndarray]:
    """Return the terms to learn from, those of each item, and the items' own vectors; see `fit_content`."""
    n_items = len(dataset.items)
    texts = {"title": dataset.titles, "description": dataset.descriptions}
    columns = {name: pl.Series(values, dtype=pl.String) for name, values in texts.items() if values}
    found = find_terms({**columns, **dataset.columns})
    terms = choose_terms(found)
    own_vectors = np.zeros((n_items, 0), dtype=np.float32)
    if dataset.content_vectors is not None:
        own_vectors = scale_vectors(dataset.content_vectors)
    return terms, index_terms(found, terms, n_items), own_vectors


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


def fit_odds(folds: Sequence[Fold], hidden: Sequence[Sequence[np.ndarray]], run: TrainingRun) -> UseOdds:
    """Fit the log-odds with which validation users use the hidden items, given their day ones; see `fit_content`.

    With times, items count that came by the end of a user's day one, with their use by then. Without times, or if too
    few of these were used, age does not count, and the odds are proportional to success.
    """
    samples = [collect_uses(fold, *of_fold, run) for fold, of_fold in zip(folds, hidden, strict=True)]
    inputs, is_used, is_there = map(np.concatenate, zip(*samples, strict=True))
    if (is_used & is_there).sum() >= MIN_USES:
        return fit_use_odds(inputs[is_there], is_used[is_there])
    odds = fit_use_odds(np.where(IS_TIMED, 0, inputs), is_used)
    return replace(odds, success=1.0)


def collect_uses(
    fold: Fold, items: np.ndarray, predicted: np.ndarray, run: TrainingRun
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs of `UseOdds` for validation users and the hidden items that their lists may have.

    Also returns whether the user went on to use the item, and whether the log tells that it came by the end of day one.
    """
    query = fold.query
    links = fold.model.members_of_items
    of_hidden = {entity: of_items.take(items) for entity, of_items in links.items()}
    log_use = predicted[:, -1]
    users = np.where(query.has_features[:, None], query.predicted, 0)
    continued = expect_use(query.liked, links, of_hidden, measure_rates(fold.model, items), len(items))
    success, days = np.ones((2, *continued.shape))
    is_there = np.zeros(continued.shape, dtype=bool)
    if run.first_uses is not None and fold.day_end_us is not None:
        came_us = run.came_us[items]
        days = (fold.day_end_us[:, None] - came_us) // DAY_US
        is_there = days >= 0
        shares = np.exp(log_use) / fold.model.popularity.sum()
        success = measure_success(run.first_uses, fold.day_end_us, items, came_us, shares)
    inputs = stack_inputs(users @ predicted[:, :-1].T, log_use, continued, success, days, query.n_known)
    lists = np.tile(items, (query.n_users, 1))
    is_open = ~query.excluded.has(lists)
    return inputs[is_open], fold.truth.has(lists)[is_open], is_there[is_open]


def measure_success(
    first_uses: FirstUses, moments: np.ndarray, items: np.ndarray, came_us: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the use of items by each moment relative to what was expected, as `NewItems.measure_success` does.

    `shares` are the items' predicted shares in all use since they came. The result has the shape (n_moments, n_items).
    """
    counts = first_uses.counts
    of_items = _sum_until(counts.transposed.take(items).dense())
    of_all = _sum_until(counts.transposed.column_sums())
    n_days = counts.n_rows
    ends = np.clip((first_uses.end_us - moments + DAY_US - 1) // DAY_US, 0, n_days)
    begins = np.clip((first_uses.end_us - came_us + DAY_US - 1) // DAY_US, 0, n_days)
    n_since = np.maximum(of_all[ends][:, None] - of_all[begins], 0)
    success: np.ndarray = (1 + of_items[:, ends].T) / (1 + shares * n_since)
    return success


def _sum_until(counts: np.ndarray) -> np.ndarray:
    """Return the sum of each day and all before it, given counts with the last day first; 0 before the first day."""
    sums = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return np.append(sums, np.zeros_like(sums[..., :1]), axis=-1)


def fit_use_odds(inputs: np.ndarray, is_used: np.ndarray) -> UseOdds:
    """Fit a logistic regression with weights that are not negative, but for that of the number known.

    `inputs` are rows of `stack_inputs`, and `is_used` is whether the user went on to use the item, shape (n,).
    """
    from scipy.optimize import minimize

    centre = inputs.mean(axis=0)
    spread = np.maximum(inputs.std(axis=0), 1e-9)
    scaled = np.column_stack([np.ones(len(inputs)), (inputs - centre) / spread])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = scaled @ weights
        chances = 0.5 + 0.5 * np.tanh(log_odds / 2)
        value = np.logaddexp(0, log_odds).sum() - log_odds[is_used].sum() + RIDGE / 2 * weights[1:] @ weights[1:]
        return float(value), scaled.T @ (chances - is_used) + RIDGE * np.append(0, weights[1:])

    bounds = [(None, None), *[(0, None)] * 4, (None, None), (None, None)]
    fitted = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = fitted[1:] / spread
    return UseOdds(*np.append(fitted[0] - centre @ slopes, slopes).tolist())


def measure_rates(model: TrainedModel, hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Return how usual it is that users go on within each member (`ItemContent.rates`), without the hidden items.

    None is known of a model that stores no warm users.
    """
    rates: dict[str, np.ndarray] = {}
    if model.warm is None:
        return rates
    uses = model.warm.uses
    is_shown = ~np.isin(np.arange(model.n_items), hidden)
    uses = uses.keep(is_shown[uses.columns])
    for entity, links in model.members_of_items.items():
        counts = uses.through(links)
        n_others = links.take(np.flatnonzero(is_shown)).column_sums() - 1
        n_used = counts.weights * (n_others > 0)[counts.columns]
        n_uses = np.bincount(counts.columns, n_used, links.n_columns)
        n_more = np.bincount(counts.columns, n_used * (counts.weights - 1), links.n_columns)
        shares = n_more / np.maximum(n_others, 1)
        usual = shares.sum() / max(1.0, n_uses.sum())
        rates[entity] = ((shares + RATE_USES * usual) / (n_uses + RATE_USES)).astype(np.float32)
    return rates


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


def choose_terms(found: pl.DataFrame) -> Ids:
    """Return the terms that more than one item has, the most frequent first."""
    counts = found["term"].value_counts(sort=True).filter(pl.col("count") > 1)
    return Ids(counts["term"][:MAX_TERMS])


def fit_content(
    terms: Ids, rows: SparseRows, own_vectors: np.ndarray, vectors: np.ndarray, popularity: np.ndarray
) -> tuple[ItemContent, np.ndarray, np.ndarray] | None:
    """Learn from the used items of a model; None if there are fewer than `MIN_ITEMS`, or nothing is known of any.

    `rows` are the terms of each item, shape (n_items, n_terms), `own_vectors` the result of `scale_vectors`, `vectors`
    those of the items, float32, shape (n_items, d), and `popularity` has the share of users who use each, shape
    (n_items,). Also returns the hidden items, and their predicted vectors and logarithms of popularity, shape
    (n_hidden, d + 1).
    """
    used = np.flatnonzero(vectors.any(axis=1) & (popularity > 0))
    rows = rows.take(used)
    own_vectors = own_vectors[used]
    if len(used) < MIN_ITEMS or not (rows.n_entries or own_vectors.any()):
        return None
    targets = np.column_stack([unit_rows(vectors[used]), np.log(popularity[used])]).astype(np.float32)
    centre = targets.mean(axis=0)
    targets -= centre
    order = np.random.default_rng(0).permutation(len(used))
    hidden, shown = np.split(order, [min(MAX_HIDDEN, len(order) // 5)])
    relative, scales, penalty = predict_hidden(rows, own_vectors, targets, hidden, shown)
    predicted = relative + centre
    cosines = unit_rows(predicted[:, :-1]) * unit_rows(vectors[used[hidden]])
    means = average_terms(rows, targets) * np.float32(scales[0])
    projection = project(own_vectors, targets, penalty) * np.float32(scales[1])
    cosine = round(float(cosines.sum(axis=1).mean()), 4)
    content = ItemContent(terms, means, projection, centre, len(hidden), cosine, NO_CALIBRATION)
    return content, used[hidden], predicted


def predict_hidden(
    rows: SparseRows, own_vectors: np.ndarray, targets: np.ndarray, hidden: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Predict hidden items from the others, float32, shape (n_hidden, d + 1).

    Also returns the factors of what terms and own vectors predict, shape (2,), and the best of `PENALTIES` for the
    latter. For `rows` and `own_vectors` see `fit_content`; `targets` are those of its items, shape (n_items, d + 1).
    """
    by_terms = rows.take(hidden).mean_vectors(average_terms(rows.take(shown), targets[shown]))
    projections = [project(own_vectors[shown], targets[shown], penalty) for penalty in PENALTIES]
    by_vectors = [own_vectors[hidden] @ projection for projection in projections]
    errors = [float(((predicted - targets[hidden]) ** 2).sum()) for predicted in by_vectors]
    best = int(np.argmin(errors))
    parts = np.stack([by_terms, by_vectors[best]])
    scales = np.linalg.lstsq(parts[:, :, :-1].reshape(2, -1).T, targets[hidden, :-1].ravel(), rcond=1e-6)[0]
    return np.tensordot(scales, parts, axes=1).astype(np.float32), scales, PENALTIES[best]


def average_terms(rows: SparseRows, targets: np.ndarray) -> np.ndarray:
    """Return the mean of each term's items, shrunk towards zero, float32, shape (n_terms, c)."""
    n_items = rows.column_sums()
    shrunk = (n_items / (n_items + SHRINKAGE)).astype(np.float32)
    return rows.transpose().mean_vectors(targets) * shrunk[:, None]


def project(own_vectors: np.ndarray, targets: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights of a ridge regression without intercept, float32, shape (c, n_targets)."""
    gram = own_vectors.T @ own_vectors + np.float32(penalty) * np.eye(own_vectors.shape[1], dtype=np.float32)
    weights: np.ndarray = np.linalg.solve(gram, own_vectors.T @ targets)
    return weights


CONTENT = SharedValueSpec(
    name="content",
    describe="Vectors and use of new items, predicted from their content.",
    choose=learn_content,
    value=ItemContent,
    always_trained=True,
)
