"""Compute the figures of an evaluation from the lists of cold users."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from firstday.evaluation.results import (
    COMPARED,
    DEVIATIONS,
    JUDGED,
    MARGIN_NAME,
    MINUS_NAME,
    MINUS_OTHERS,
    OF_ALL,
    RATIO,
    ROUTE_PREFIX,
    Figure,
)
from firstday.evaluation.slices import ALL, MIN_USERS, group_slice
from firstday.evaluation.verdicts import MARGIN
from firstday.metrics import (
    HEAD,
    LEVEL,
    METRICS,
    MIN_COHORTS,
    PrecisionRule,
    count_fewer,
    deviations_of_fifths,
    difference_intervals,
    gini_index,
    measure,
    ratio_intervals,
)
from firstday.ranking import unit_rows
from firstday.recommend.registry import is_plugin
from firstday.recommend.spec import is_own
from firstday.segment.segments import ItemCounts
from firstday.sparse import MAX_GATHERED_NUMBERS, SparseRows


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one strategy on the cold users of one training run.

    `metrics` has values per user, in the units of `Figure`, NaN for users without relevant items, and `routes` their
    routes, shape (n_users,). `seconds` is the time to make the lists, with features and prediction, NaN if
    unknown. `lists` are indexes of items, best first, -1 for empty positions, shape (n_users, k); `all_lists` are the
    same with the items that came by the end of each user's day one, None under `sampled`.
    """

    metrics: Mapping[str, np.ndarray]
    routes: np.ndarray
    seconds: float
    lists: np.ndarray
    all_lists: np.ndarray | None = None

    def with_all_uses(self, lists: np.ndarray, truth: SparseRows, divide_by: PrecisionRule) -> Scores:
        """Add the metrics of lists with the items that came by the end of day one, given what users used of all."""
        of_all = measure_all_uses(lists, truth, divide_by)
        return replace(self, metrics={**self.metrics, **of_all}, all_lists=lists)

    @property
    def is_evaluated(self) -> np.ndarray:
        """Mask of users with a precision: those who used an item that existed at training, bool, shape (n_users,)."""
        return ~np.isnan(self.metrics["precision"])

    def count_items(self, n_items: int) -> np.ndarray:
        """Count the lists of evaluated users that have each item, int64, shape (n_items,)."""
        listed = self.lists[self.is_evaluated]
        return np.bincount(listed[listed >= 0], minlength=n_items)


def measure_lists(lists: np.ndarray, truth: SparseRows, divide_by: PrecisionRule = "min") -> dict[str, np.ndarray]:
    """Return the metrics of each user's list in %, and of its head if the list is longer."""
    metrics = {name: 100 * values for name, values in vars(measure(lists, truth, divide_by=divide_by)).items()}
    if lists.shape[1] > HEAD:
        head = measure(lists[:, :HEAD], truth, divide_by=divide_by)
        metrics |= {f"{name}_at_{HEAD}": 100 * values for name, values in vars(head).items()}
    return metrics


def measure_all_uses(lists: np.ndarray, truth: SparseRows, divide_by: PrecisionRule = "min") -> dict[str, np.ndarray]:
    """Return the metrics of each user's list over all later uses (`OF_ALL`), in %."""
    metrics = measure_lists(lists, truth, divide_by)
    return {of_all: metrics[metric] for metric, of_all in OF_ALL.items() if metric in metrics}


def measure_novelty(lists: np.ndarray, everyone: ItemCounts) -> np.ndarray:
    """Return the mean self-information of each list's items in bits, shape (n_users,), 0 for an empty list.

    It is -log2 of the share of warm users who use an item; an item without users counts as having one.

    References
    ----------
    S. Vargas, P. Castells, "Rank and Relevance in Novelty and Diversity Metrics for Recommender Systems", RecSys 2011.
    """
    n_users = np.maximum(everyone.counts.column_sums(), 1)
    bits = np.append(np.log2(int(everyone.sizes[0]) / n_users), 0.0)  # last entry: empty positions
    return bits[lists].sum(axis=1) / np.maximum((lists >= 0).sum(axis=1), 1)


def measure_diversity(lists: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the mean distance, 1 - cosine, of two items of each list, shape (n_users,), NaN for fewer than two.

    Items without a vector, whose row of `vectors`, shape (n_items, d), is zero, are left out.

    References
    ----------
    C.-N. Ziegler et al., "Improving Recommendation Lists Through Topic Diversification", WWW 2005.
    """
    directions = np.vstack([unit_rows(vectors), np.zeros_like(vectors[:1])])  # last row: empty positions
    has_vector = np.asarray(directions.any(axis=1))
    n_items = has_vector[lists].sum(axis=1)
    n_parts = 1 + lists.size * vectors.shape[1] // MAX_GATHERED_NUMBERS
    sums = np.concatenate([directions[part].sum(axis=1) for part in np.array_split(lists, n_parts)])
    # The squared length of the sum is the sum of the cosines of all pairs, with those of each item and itself.
    cosines = (sums**2).sum(axis=1) - n_items
    n_pairs = np.where(n_items > 1, n_items * (n_items - 1), np.nan)
    return 1 - cosines / n_pairs


Columns = Mapping[tuple[str, str], np.ndarray]
"""Values by strategy and metric, in %, one row per user and training run, shape (n,)."""


def make_figures(
    scores: Mapping[str, Sequence[Scores]],
    n_items: Sequence[int],
    users: np.ndarray,
    cohorts: np.ndarray,
    *,
    slices: Mapping[str, np.ndarray],
    groups: Mapping[str, Mapping[str, np.ndarray]],
    against: Sequence[str],
) -> Iterator[Figure]:
    """Compute all figures, over the users who have each metric; those of a slice share the same resamples of users.

    Parameters
    ----------
    scores
        Scores of each strategy, one entry per training run.
    n_items
        Number of items, one entry per training run.
    users, cohorts
        User and cohort of each row, training runs concatenated, integers, shape (n,).
    slices, groups
        Masks of rows from `slice_users`, and of rows with a precision from `slice_by_profile`.
    against
        Reference strategies for differences and ratios, each once.
    """
    columns = {}
    for name, of_runs in scores.items():
        for metric in of_runs[0].metrics:
            columns[name, metric] = np.concatenate([score.metrics[metric] for score in of_runs])
    columns |= _subtract(columns, tuple(scores), against)
    in_slices = {
        key: column
        for key, column in columns.items()
        if key[1] in COMPARED or key[1].startswith(tuple(OF_ALL.values()))
    }
    is_evaluated = np.concatenate([score.is_evaluated for score in next(iter(scores.values()))])
    precision = {name: columns[name, "precision"] for name in scores}

    measure_slice = partial(_measure_columns, users=users, cohorts=cohorts)
    everyone = np.ones(len(users), dtype=bool)
    once = np.ones(len(users))
    yield from measure_slice(columns, ALL, everyone, once)
    for reference in against:
        if precision[reference][is_evaluated].any():  # without hits, there is no ratio
            ratios = {(name, f"{RATIO}{reference}"): values for name, values in precision.items() if name != reference}
            yield from measure_slice(ratios, ALL, everyone, precision[reference])
    for of_slice, members in slices.items():
        yield from measure_slice(in_slices, of_slice, members, once)
    evaluated = {name: values[is_evaluated] for name, values in precision.items()}
    yield from measure_groups(evaluated, users[is_evaluated], cohorts[is_evaluated], groups)
    for name, of_runs in scores.items():
        yield from _describe_lists(name, of_runs, n_items)


def _measure_columns(
    columns: Columns,
    of_slice: str,
    members: np.ndarray,
    denominator: np.ndarray,
    *,
    users: np.ndarray,
    cohorts: np.ndarray,
) -> Iterator[Figure]:
    """Compute the figures of the members of a slice; columns that the same users have share resamples."""
    of_users: dict[bytes, dict[tuple[str, str], np.ndarray]] = defaultdict(dict)
    for key, column in columns.items():
        of_users[np.isnan(column).tobytes()][key] = column
    for same_users in of_users.values():
        values = np.stack(list(same_users.values()), axis=1)
        rows = np.flatnonzero(~np.isnan(values[:, 0]) & members)
        intervals = ratio_intervals(values[rows], denominator[rows], users[rows], cohorts[rows])
        for (name, metric), interval in zip(same_users, intervals, strict=True):
            if len(rows):
                yield Figure(name, metric, of_slice, n=len(rows), **vars(interval))


def _subtract(columns: Columns, names: Sequence[str], against: Sequence[str]) -> dict[tuple[str, str], np.ndarray]:
    """Return the per-user differences to the references, also plus `MARGIN`; for a plug-in, to every other strategy."""
    differences = {}
    for name in names:
        references = (*against, *(names if is_plugin(name) else ()))
        for reference in dict.fromkeys(references):
            for metric in COMPARED:
                if reference != name and (reference, metric) in columns:
                    difference = columns[name, metric] - columns[reference, metric]
                    differences[name, f"{metric}{MINUS_NAME}{reference}"] = difference
                    if metric in JUDGED:
                        gain = difference + MARGIN * columns[reference, metric]
                        differences[name, f"{metric}{MARGIN_NAME}{reference}"] = gain
    return differences


def measure_groups(
    precision: Mapping[str, np.ndarray],
    users: np.ndarray,
    cohorts: np.ndarray,
    groups: Mapping[str, Mapping[str, np.ndarray]],
) -> Iterator[Figure]:
    """Compute the precision of profile groups, and the differences of large enough groups to all other users.

    A group and the others need `MIN_USERS` users each and, if intervals are over cohorts, `MIN_COHORTS` of these.
    Intervals of differences are simultaneous over all groups (Bonferroni). Arguments are as in `make_figures`;
    `precision` is by strategy.
    """
    values = np.stack(list(precision.values()), axis=1)
    units = cohorts if len(np.unique(cohorts)) >= MIN_COHORTS else users
    parts = {group_slice(column, label): mask for column, masks in groups.items() for label, mask in masks.items()}
    compared = [
        name
        for name, members in parts.items()
        if count_fewer(users, members) >= MIN_USERS and count_fewer(units, members) >= MIN_COHORTS
    ]
    for of_slice, members in parts.items():
        n = len(np.unique(users[members]))
        figures = {
            "precision": ratio_intervals(values[members], np.ones(members.sum()), users[members], cohorts[members])
        }
        if of_slice in compared:
            figures[MINUS_OTHERS] = difference_intervals(values, members, units, 1 - (1 - LEVEL) / len(compared))
        for metric, intervals in figures.items():
            for name, interval in zip(precision, intervals, strict=True):
                yield Figure(name, metric, of_slice, n=n, **vars(interval))


def _describe_lists(strategy: str, scores: Sequence[Scores], n_items: Sequence[int]) -> Iterator[Figure]:
    """Compute figures without an interval: deviations over fifths of users, list contents, routes and run time."""
    routes = np.concatenate([score.routes[score.is_evaluated] for score in scores])
    n = len(routes)
    means = [[score.metrics[metric][score.is_evaluated] for metric in METRICS] for score in scores]
    deviations = [deviations_of_fifths(np.stack(columns, axis=1)) for columns in means]
    n_lists = [score.count_items(n_of_run) for score, n_of_run in zip(scores, n_items, strict=True)]
    values = dict(zip(DEVIATIONS, np.mean(deviations, axis=0).tolist(), strict=True))
    values["user_coverage"] = 100 * float(is_own(routes, strategy).mean())
    values["catalogue_coverage"] = 100 * float(np.mean([(n > 0).mean() for n in n_lists]))
    values["exposure_gini"] = float(np.mean([gini_index(n) for n in n_lists]))
    seconds = sum(score.seconds for score in scores)
    if not np.isnan(seconds):
        values["ms_per_user"] = 1000 * seconds / sum(len(score.routes) for score in scores)
    for route, count in Counter(routes.tolist()).items():
        values[f"{ROUTE_PREFIX}{route}"] = 100 * count / n
    for metric, value in values.items():
        yield Figure(strategy, metric, ALL, value, n=n)
