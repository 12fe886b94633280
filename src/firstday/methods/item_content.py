"""What is learned about new items by hiding items of each fold: their content, and who uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from firstday.data.dataset import Dataset
from firstday.data.first_uses import FirstUses
from firstday.data.ids import Ids
from firstday.methods.calibrate import fit_logistic
from firstday.model.item_content import (
    N_INPUTS,
    ItemContent,
    expect_use,
    find_terms,
    index_terms,
    scale_vectors,
    stack_inputs,
)
from firstday.model.trained_model import TrainedModel
from firstday.ranking import unit_rows
from firstday.recommend.fold import Fold, TrainingRun, head
from firstday.recommend.new_items.new_items import UseHistory
from firstday.recommend.new_items.placement import known_vectors
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
NO_ODDS = np.zeros(1 + N_INPUTS)
MAX_USERS = 1_000
"""Maximum number of validation users to learn from."""
NOTHING = np.zeros(0, np.int64)
N_USUAL, N_POSITIVE = 3, 4
"""Numbers of the first inputs of log-odds that do not depend on times, and whose weights must not be negative."""
MIN_USES = 100
"""Minimum number of uses of hidden items that came by the end of day one."""
FRESH_DAYS = 30
"""Number of days for which an item counts as new."""
BURN_IN = 0.2
"""Share of the log at its beginning in which every item looks new."""
SMOOTHING = 1_000.0
"""Number of days of an item, used like all items, that are added to those observed."""
RATE_PAIRS = 20.0
"""Pseudo-pairs of items at the mean rate, added to those of each member of an entity."""


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
    odds = learn_odds(head(run.folds, MAX_USERS), [hidden for _, *hidden in learned[1:]], run)
    if odds is None:
        return None, {}
    rates = measure_rates(run.model, NOTHING)
    return replace(learned[0][0], odds=odds[0], usual_odds=odds[1], rates=rates), {}


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


def learn_odds(
    folds: Sequence[Fold], hidden: Sequence[Sequence[np.ndarray]], run: TrainingRun
) -> tuple[np.ndarray, np.ndarray] | None:
    """Learn `ItemContent.odds` and `ItemContent.usual_odds` from hidden items; None if all are used, or none.

    `hidden` has items, and what was predicted of them, for each fold; see `fit_content`. The former need `MIN_USES` of
    items that came by the end of day one; otherwise they are the latter.
    """
    samples = [
        collect_uses(fold, items, predicted, run) for fold, (items, predicted) in zip(folds, hidden, strict=True)
    ]
    inputs, is_used, is_there = map(np.concatenate, zip(*samples, strict=True))
    if is_used.all() or not is_used.any():
        return None
    usual = np.append(fit_odds(inputs[:, :N_USUAL], is_used), [1, 0, 0])
    if run.first_uses is not None:
        usual[0] += np.log(measure_freshness(run.first_uses))
    has_times = (is_used & is_there).sum() >= MIN_USES
    return fit_odds(inputs[is_there], is_used[is_there]) if has_times else usual, usual


def collect_uses(
    fold: Fold, items: np.ndarray, predicted: np.ndarray, run: TrainingRun
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs of log-odds for validation users and the hidden items that their lists may have.

    Also returns whether the user went on to use the item, and whether the log tells that it came by the end of day one.
    """
    query = fold.query
    log_use = predicted[:, -1]
    links = fold.model.members_of_items
    of_hidden = {entity: of_items.take(items) for entity, of_items in links.items()}
    continued = expect_use(query.liked, links, of_hidden, measure_rates(fold.model, items))
    likeness = known_vectors(query) @ predicted[:, :-1].T
    lists = np.tile(items, (query.n_users, 1))
    success = np.ones(lists.shape)
    days = np.full(lists.shape, -1)
    if run.first_uses is not None and fold.day_end_us is not None:
        history = describe_past(run.first_uses, items, run.came_us[items])
        days = history.count_days(fold.day_end_us)
        success = history.measure_success(fold.day_end_us, np.exp(log_use) / fold.model.popularity.sum())
    inputs = stack_inputs(likeness, log_use, continued, success, days, query.n_known[:, None])
    is_open = ~query.excluded.has(lists)
    return inputs[is_open], fold.truth.has(lists)[is_open], days[is_open] >= 0


def describe_past(first_uses: FirstUses, items: np.ndarray, came_us: np.ndarray) -> UseHistory:
    """Return what was used when of some items, by day."""
    counts = first_uses.counts.transposed
    day_ends = first_uses.end_us - 1 - DAY_US * np.arange(counts.n_columns)
    n_until = np.append(0, counts.column_sums()[::-1].cumsum())
    counts = counts.take(items)
    return UseHistory(counts.row_of_entry(), day_ends[counts.columns], counts.weights, day_ends[::-1], n_until, came_us)


def fit_odds(inputs: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Fit the intercept and the weights of inputs by logistic regression.

    Inputs whose weights must not be negative, and would be, are left out.
    """
    is_kept = np.ones(inputs.shape[1], dtype=bool)
    while True:
        odds = fit_logistic(inputs * is_kept, is_used)
        weights = odds[1:]
        is_wrong = (weights < 0) & (np.arange(len(weights)) < N_POSITIVE)
        if not is_wrong.any():
            return odds
        is_kept &= ~is_wrong


def measure_rates(model: TrainedModel, hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Return how usual it is that users go on within each member (`ItemContent.rates`), without the hidden items.

    None is known of a model that stores no warm users.
    """
    rates: dict[str, np.ndarray] = {}
    if model.warm is None:
        return rates
    for entity, links in model.members_of_items.items():
        shown = links.keep(~np.isin(links.row_of_entry(), hidden))
        counts = model.warm.uses.through(shown)
        n_pairs = np.bincount(counts.columns, counts.weights * (counts.weights - 1), links.n_columns)
        n_possible = counts.column_sums() * (shown.column_sums() - 1)
        usual = n_pairs.sum() / max(1, n_possible.sum())
        rates[entity] = ((n_pairs + RATE_PAIRS * usual) / (n_possible + RATE_PAIRS)).astype(np.float32)
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
    content = ItemContent(terms, means, projection, centre, len(hidden), cosine, NO_ODDS, NO_ODDS)
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
