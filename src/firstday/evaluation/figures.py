"""From lists of cold users to the table of figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from firstday.evaluation.results import (
    HEAD_METRICS,
    HEAD_MINUS,
    MINUS,
    MINUS_OTHERS,
    OF_OTHERS,
    RATIO,
    ROUTE,
    Figure,
)
from firstday.evaluation.slices import ALL, MIN_USERS, REFERENCE, TENTH, group_slice, to_shares
from firstday.metrics import (
    HEAD,
    LEVEL,
    METRICS,
    PrecisionRule,
    bootstrap_means,
    cluster_errors,
    deviations_of_fifths,
    mean_intervals,
    measure,
    ratio_intervals,
)
from firstday.recommend.registry import is_plugin
from firstday.recommend.spec import FALLBACKS
from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class Scores:
    """One strategy on the cold users of one training.

    Parameters
    ----------
    metrics
        By name: of each user, in %, shape (n_users,); those of the head only where lists are longer.
    routes
        The route that answered each user, strings, shape (n_users,).
    seconds
        Time to make the lists, features and prediction included.
    novelty
        Mean of each user's list, bits, shape (n_users,).
    catalogue_coverage
        Distinct items in the lists, as a share of the catalogue.
    places
        Places of the lists by popularity of their items, int64, shape (`N_TENTHS`,).
    """

    metrics: Mapping[str, np.ndarray]
    routes: np.ndarray
    seconds: float
    novelty: np.ndarray
    catalogue_coverage: float
    places: np.ndarray


def measure_lists(lists: np.ndarray, truth: SparseRows, divide_by: PrecisionRule = "min") -> dict[str, np.ndarray]:
    """Return the metrics of each user's list in %, and of its head if it is longer; see `firstday.metrics.measure`."""
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
        Item indexes, -1 for an empty place, shape (n_users, K).
    everyone
        How many warm users use each item, one row.

    Returns
    -------
    numpy.ndarray
        Bits, float64, shape (n_users,); 0 for an empty list. An item that nobody uses counts as one that one user uses.

    References
    ----------
    S. Vargas, P. Castells, "Rank and Relevance in Novelty and Diversity Metrics for Recommender Systems", RecSys 2011.
    """
    n_users = np.maximum(everyone.counts.column_sums(), 1)
    bits = np.append(np.log2(max(1, int(everyone.sizes[0])) / n_users), 0.0)  # the last stands for an empty place
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
    """Measure all strategies; the intervals of a slice all come from the same resamples of users.

    Parameters
    ----------
    scores
        Scores of each strategy, one for each training.
    users
        Whose each row is, of all trainings one after the other, integers, shape (n,).
    cohorts
        The cohort of each row, integers, shape (n,): intervals are over these where there are enough.
    slices
        Whether each row is in a slice, bool, shape (n,), by name.
    groups
        The same by profile column and label: from `slice_by_profile`.
    against
        Strategies with which the others are compared by difference and ratio; those that were not judged are passed
        over. The difference to `segment` is always there, and that of a plug-in to every other.

    Returns
    -------
    tuple of Figure
        Strategy by strategy.
    """
    names = tuple(scores)
    columns = {
        (name, metric): np.concatenate([score.metrics[metric] for score in of_runs])
        for name, of_runs in scores.items()
        for metric in of_runs[0].metrics
    }
    by_size = {key: column for key, column in columns.items() if key[1] in ("precision", HEAD_METRICS[0])}
    precision = {name: columns[name, "precision"] for name in names}

    def measure_slice(columns: Columns, of_slice: str, members: np.ndarray) -> Iterator[Figure]:
        values = np.stack([column[members] for column in columns.values()], axis=1)
        intervals = mean_intervals(values, users[members], cohorts[members])
        for (name, metric), mean in zip(columns, intervals, strict=True):
            yield Figure(name, metric, of_slice, n=int(members.sum()), **asdict(mean))

    figures = [
        *measure_slice(columns | _subtract(columns, names, against), ALL, np.ones(len(users), dtype=bool)),
        *_divide(precision, users, cohorts, against),
        *(figure for name, members in slices.items() for figure in measure_slice(by_size, name, members)),
        *measure_groups(precision, users, groups),
        *_measure_fifths(scores),
        *(figure for name in names for figure in _describe_lists(name, scores[name])),
    ]
    return tuple(sorted(figures, key=lambda figure: names.index(figure.strategy)))


Columns = Mapping[tuple[str, str], np.ndarray]
"""By strategy and metric: in %, one row for each user of each training, shape (n,)."""


def _subtract(columns: Columns, names: Sequence[str], against: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return the differences to the references, user by user; those of a plug-in to every other strategy."""
    return {
        (name, f"{start}{reference}"): columns[name, metric] - columns[reference, metric]
        for name in names
        for reference in dict.fromkeys((REFERENCE, *against, *(names if is_plugin(name) else ())))
        for start, metric in ((MINUS, "precision"), (HEAD_MINUS, HEAD_METRICS[0]))
        if reference != name and (reference, metric) in columns
    }


def _divide(
    precision: Mapping[str, np.ndarray], users: np.ndarray, cohorts: np.ndarray, against: Sequence[str]
) -> Iterator[Figure]:
    """Measure the ratios of precision to the references; nothing is a multiple of no hit at all."""
    values = np.stack(list(precision.values()), axis=1)
    for reference in dict.fromkeys(against):
        if reference in precision and precision[reference].any():
            ratios = ratio_intervals(values, precision[reference], users, cohorts)
            for name, ratio in zip(precision, ratios, strict=True):
                if name != reference:
                    yield Figure(name, f"{RATIO}{reference}", ALL, n=len(users), **asdict(ratio))


def measure_groups(
    precision: Mapping[str, np.ndarray], users: np.ndarray, groups: Mapping[str, Mapping[str, np.ndarray]]
) -> Iterator[Figure]:
    """Measure the precision of profile groups, and compare those that are large enough with all other users.

    Parameters
    ----------
    precision
        By strategy: in %, one row for each user and training, shape (n,).
    users, groups
        See `make_figures`. Users are the units; the intervals of differences hold for all groups at once (Bonferroni).
    """
    values = np.stack(list(precision.values()), axis=1)
    parts = {group_slice(column, label): group for column, labels in groups.items() for label, group in labels.items()}
    n_of = {name: [len(np.unique(users[rows])) for rows in (group, ~group)] for name, group in parts.items()}
    n_compared = sum(min(n) >= MIN_USERS for n in n_of.values())
    for of_slice, members in parts.items():
        n_users, n_others = n_of[of_slice]
        for name, interval in zip(precision, bootstrap_means(values[members], users[members]), strict=True):
            yield Figure(name, "precision", of_slice, n=n_users, **asdict(interval))
        if min(n_users, n_others) < MIN_USERS:
            continue
        (means, errors), (others, other_errors) = (
            cluster_errors(values[rows], np.ones(int(rows.sum())), users[rows]) for rows in (members, ~members)
        )
        minus = means - others
        reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / n_compared) * np.hypot(errors, other_errors)
        columns = np.stack([minus, minus - reach, minus + reach, others], axis=1)
        for name, (mean, low, high, other) in zip(precision, columns.tolist(), strict=True):
            yield Figure(name, MINUS_OTHERS, of_slice, mean, low, high, n_users)
            yield Figure(name, OF_OTHERS, of_slice, other, n=n_others)


def _measure_fifths(scores: Mapping[str, Sequence[Scores]]) -> Iterator[Figure]:
    """Measure the standard deviation of means over fifths of the users, mean over trainings."""
    for name, of_runs in scores.items():
        by_run = [
            deviations_of_fifths(np.stack([score.metrics[metric] for metric in METRICS], axis=1)) for score in of_runs
        ]
        n = sum(len(score.novelty) for score in of_runs)
        for metric, deviation in zip(METRICS, np.mean(by_run, axis=0).tolist(), strict=True):
            yield Figure(name, f"{metric}_deviation", ALL, deviation, n=n)


def _describe_lists(strategy: str, scores: Sequence[Scores]) -> Iterator[Figure]:
    """Measure what has no interval: what the lists hold, who answered, and how long it took."""
    novelty, routes = (np.concatenate([getattr(score, name) for score in scores]) for name in ("novelty", "routes"))
    n = len(novelty)
    places = to_shares(np.sum([score.places for score in scores], axis=0))
    values = {
        "user_coverage": 100 * float(((routes == strategy) | ~np.isin(routes, FALLBACKS)).mean()),
        "catalogue_coverage": 100 * float(np.mean([score.catalogue_coverage for score in scores])),
        "novelty_bits": float(novelty.mean()),
        "ms_per_user": 1000 * sum(score.seconds for score in scores) / n,
        **{f"{ROUTE}{route}": 100 * count / n for route, count in Counter(routes.tolist()).items()},
        **{f"{TENTH}{tenth}": share for tenth, share in enumerate(places, 1)},
    }
    for metric, value in values.items():
        yield Figure(strategy, metric, ALL, value, n=n)
