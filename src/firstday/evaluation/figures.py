"""Compute the figures of an evaluation from the lists of cold users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from firstday.evaluation.results import (
    DEVIATIONS,
    HEAD_METRICS,
    HEAD_MINUS,
    MINUS,
    MINUS_OTHERS,
    RATIO,
    ROUTE,
    Figure,
)
from firstday.evaluation.slices import ALL, BASELINE, MIN_USERS, REFERENCE, TENTH, group_slice, to_shares
from firstday.metrics import (
    HEAD,
    LEVEL,
    METRICS,
    PrecisionRule,
    bootstrap_means,
    cluster_errors,
    deviations_of_fifths,
    measure,
    ratio_intervals,
)
from firstday.recommend.registry import is_plugin
from firstday.recommend.spec import FALLBACKS
from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one strategy on the cold users of one training run.

    Parameters
    ----------
    metrics
        Per-user values by metric, in % (novelty in bits), shape (n_users,); of the head only if lists are longer.
    routes
        Route of each user's list, strings, shape (n_users,).
    seconds
        Time to make the lists, including features and prediction.
    catalogue_coverage
        Distinct items in the lists, as a share of the catalogue.
    places
        List entries by popularity of the item, int64, shape (`N_TENTHS`,).
    """

    metrics: Mapping[str, np.ndarray]
    routes: np.ndarray
    seconds: float
    catalogue_coverage: float
    places: np.ndarray


def measure_lists(lists: np.ndarray, truth: SparseRows, divide_by: PrecisionRule = "min") -> dict[str, np.ndarray]:
    """Return the metrics of each user's list in %, and of its head if the list is longer."""
    whole = measure(lists, truth, divide_by=divide_by)
    metrics = {metric: 100 * getattr(whole, metric) for metric in METRICS}
    if lists.shape[1] > HEAD:
        head = measure(lists[:, :HEAD], truth, divide_by=divide_by)
        metrics |= dict(zip(HEAD_METRICS, (100 * head.precision, 100 * head.ndcg), strict=True))
    return metrics


def measure_novelty(lists: np.ndarray, everyone: ItemCounts) -> np.ndarray:
    """Return the mean self-information of each list's items: -log2 of the share of warm users who use them.

    Parameters
    ----------
    lists
        Item indexes, -1 for empty positions, shape (n_users, K).
    everyone
        Number of warm users of each item, a single row.

    Returns
    -------
    numpy.ndarray
        Bits, float64, shape (n_users,); 0 for an empty list. An item without users counts as having one.

    References
    ----------
    S. Vargas, P. Castells, "Rank and Relevance in Novelty and Diversity Metrics for Recommender Systems", RecSys 2011.
    """
    n_users = np.maximum(everyone.counts.column_sums(), 1)
    bits = np.append(np.log2(max(1, int(everyone.sizes[0])) / n_users), 0.0)  # last entry: empty positions
    mean: np.ndarray = bits[lists].sum(axis=1) / np.maximum((lists >= 0).sum(axis=1), 1)
    return mean


def make_figures(
    scores: Mapping[str, Sequence[Scores]],
    users: np.ndarray,
    cohorts: np.ndarray,
    *,
    slices: Mapping[str, np.ndarray],
    groups: Mapping[str, Mapping[str, np.ndarray]],
    against: Sequence[str] = (REFERENCE,),
) -> tuple[Figure, ...]:
    """Compute all figures; the intervals of a slice share the same resamples of users.

    Parameters
    ----------
    scores
        Scores of each strategy, one entry per training run.
    users
        User of each row, training runs concatenated, integers, shape (n,).
    cohorts
        Cohort of each row, integers, shape (n,). Intervals are over cohorts if there are enough.
    slices
        Mask of the rows in each slice, bool, shape (n,), by name.
    groups
        Masks by profile column and label, from `slice_by_profile`.
    against
        Reference strategies for differences and ratios; those not evaluated are ignored. Differences to `segment` and
        `popular`, and of a plug-in to every other strategy, are always included.

    Returns
    -------
    tuple of Figure
        Grouped by strategy.
    """
    names = tuple(scores)
    columns = {
        (name, metric): np.concatenate([score.metrics[metric] for score in of_runs])
        for name, of_runs in scores.items()
        for metric in of_runs[0].metrics
    }
    by_size = {key: column for key, column in columns.items() if key[1] in ("precision", HEAD_METRICS[0])}
    precision = {name: columns[name, "precision"] for name in names}
    everyone, ones = np.ones(len(users), dtype=bool), np.ones(len(users))

    def measure_slice(
        columns: Columns, of_slice: str = ALL, members: np.ndarray = everyone, denominators: np.ndarray = ones
    ) -> Iterator[Figure]:
        values = np.stack([column[members] for column in columns.values()], axis=1)
        intervals = ratio_intervals(values, denominators[members], users[members], cohorts[members])
        for (name, metric), interval in zip(columns, intervals, strict=True):
            yield Figure(name, metric, of_slice, n=int(members.sum()), **asdict(interval))

    figures = [*measure_slice(columns | _subtract(columns, names, against))]
    for reference in dict.fromkeys(against):
        if reference in names and precision[reference].any():  # without hits, there is no ratio
            ratios = {(name, f"{RATIO}{reference}"): values for name, values in precision.items()}
            found = measure_slice(ratios, denominators=precision[reference])
            figures += [figure for figure in found if figure.strategy != reference]
    for of_slice, members in slices.items():
        figures += measure_slice(by_size, of_slice, members)
    figures += measure_groups(precision, users, groups)
    for name in names:
        figures += _describe_lists(name, scores[name])
    return tuple(sorted(figures, key=lambda figure: names.index(figure.strategy)))


Columns = Mapping[tuple[str, str], np.ndarray]
"""Values by strategy and metric, in %, one row per user and training run, shape (n,)."""


def _subtract(columns: Columns, names: Sequence[str], against: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return the per-user differences to the references; for a plug-in, to every other strategy."""
    return {
        (name, f"{start}{reference}"): columns[name, metric] - columns[reference, metric]
        for name in names
        for reference in dict.fromkeys((REFERENCE, BASELINE, *against, *(names if is_plugin(name) else ())))
        for start, metric in ((MINUS, "precision"), (HEAD_MINUS, HEAD_METRICS[0]))
        if reference != name and (reference, metric) in columns
    }


def measure_groups(
    precision: Mapping[str, np.ndarray], users: np.ndarray, groups: Mapping[str, Mapping[str, np.ndarray]]
) -> Iterator[Figure]:
    """Compute the precision of profile groups, and the differences of large enough groups to all other users.

    Parameters
    ----------
    precision
        Precision by strategy, in %, one row per user and training run, shape (n,).
    users, groups
        See `make_figures`. Intervals are over users; those of differences are simultaneous over all groups
        (Bonferroni).
    """
    values = np.stack(list(precision.values()), axis=1)
    parts = {group_slice(column, label): group for column, labels in groups.items() for label, group in labels.items()}
    sizes = {name: [len(np.unique(users[rows])) for rows in (group, ~group)] for name, group in parts.items()}
    n_compared = sum(min(n) >= MIN_USERS for n in sizes.values())
    for of_slice, members in parts.items():
        n_users, n_others = sizes[of_slice]
        for name, interval in zip(precision, bootstrap_means(values[members], users[members]), strict=True):
            yield Figure(name, "precision", of_slice, n=n_users, **asdict(interval))
        if min(n_users, n_others) < MIN_USERS:
            continue
        (means, errors), (others, other_errors) = (
            cluster_errors(values[rows], np.ones(rows.sum()), users[rows]) for rows in (members, ~members)
        )
        minus = means - others
        reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / n_compared) * np.hypot(errors, other_errors)
        rows = np.stack([minus, minus - reach, minus + reach], axis=1).tolist()
        for name, (mean, low, high) in zip(precision, rows, strict=True):
            yield Figure(name, MINUS_OTHERS, of_slice, mean, low, high, n_users)


def _describe_lists(strategy: str, scores: Sequence[Scores]) -> Iterator[Figure]:
    """Compute figures without an interval: deviations over fifths of users, list contents, routes and run time."""
    routes = np.concatenate([score.routes for score in scores])
    n = len(routes)
    places = to_shares(np.sum([score.places for score in scores], axis=0))
    deviations = [
        deviations_of_fifths(np.stack([score.metrics[metric] for metric in METRICS], axis=1)) for score in scores
    ]
    values = {
        **dict(zip(DEVIATIONS, np.mean(deviations, axis=0).tolist(), strict=True)),
        "user_coverage": 100 * float(((routes == strategy) | ~np.isin(routes, FALLBACKS)).mean()),
        "catalogue_coverage": 100 * float(np.mean([score.catalogue_coverage for score in scores])),
        "ms_per_user": 1000 * sum(score.seconds for score in scores) / n,
        **{f"{ROUTE}{route}": 100 * count / n for route, count in Counter(routes.tolist()).items()},
        **{f"{TENTH}{tenth}": share for tenth, share in enumerate(places, 1)},
    }
    for metric, value in values.items():
        yield Figure(strategy, metric, ALL, value, n=n)
