"""Metrics of lists at K per user, with confidence intervals over users or cohorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from firstday.sparse import SparseRows

PrecisionRule = Literal["min", "k"]
METRICS = ("precision", "recall", "ndcg")
"""The metrics of the paper."""
HIT_METRICS = ("hit_rate", "mrr", "map")
USER_METRICS = (*METRICS, *HIT_METRICS)

HEAD = 10
"""Length of the head of a list, which users see first; metrics are also reported at this length."""
N_RESAMPLES = 2000
LEVEL = 0.95
MIN_COHORTS = 5
"""Minimum number of cohorts for intervals over cohorts; with fewer, intervals are over users."""
N_FIFTHS = 5
N_DIVISIONS = 100


@dataclass(frozen=True, eq=False)
class UserMetrics:
    """Metrics per user as fractions of 1, each float64, shape (n_users,)."""

    precision: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    hit_rate: np.ndarray
    mrr: np.ndarray
    map: np.ndarray


def measure(lists: np.ndarray, truth: SparseRows, *, divide_by: PrecisionRule = "min") -> UserMetrics:
    """Score ranked lists against the relevant items, which users used later, shape (n_users, n_items).

    `lists` are item indexes, best first, -1 for an empty position, shape (n_users, K). Precision is hits / min(K,
    relevant) as in the paper (``min``), also called capped recall, or hits / K (``k``). Recall is hits / relevant. NDCG
    has binary gain and an ideal of min(K, relevant). The hit rate is 1 with any hit. MRR is 1 / rank of the first hit,
    0 without one. MAP is the mean of the precision at each hit's rank, with the denominator min(K, relevant) whatever
    `divide_by`. A user without relevant items scores 0 on all.
    """
    k = lists.shape[1]
    relevant = truth.lengths()
    hit = truth.has(lists)
    hits = hit.sum(axis=1).astype(np.float64)
    max_hits = np.minimum(k, relevant)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(discount)])[max_hits]
    divisor = max_hits if divide_by == "min" else np.where(relevant > 0, k, 0)
    hit_per_rank = hit / np.arange(1, k + 1)
    return UserMetrics(
        precision=_ratio(hits, divisor),
        recall=_ratio(hits, relevant),
        ndcg=_ratio(hit @ discount, ideal),
        hit_rate=(hits > 0).astype(np.float64),
        mrr=hit_per_rank.max(axis=1, initial=0),
        map=_ratio((hit_per_rank * hit.cumsum(axis=1)).sum(axis=1), max_hits),
    )


def _ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divide element-wise; 0 where the denominator is 0."""
    return np.divide(numerators, denominators, out=np.zeros(len(numerators)), where=denominators > 0)


def gini_index(counts: np.ndarray) -> float:
    """Return the Gini index of the exposure of items, given their counts, shape (n_items,).

    It is 0 if all have the same count and 1 if one item has all, for any number of items (G. Shani, A. Gunawardana,
    "Evaluating Recommendation Systems", 2011); 0 without counts.
    """
    last = len(counts) - 1
    weights = np.arange(-last, last + 1, 2)
    return float(weights @ np.sort(counts) / max(1, last * counts.sum()))


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval, in the unit of the values.

    `p` is the two-sided p-value of a mean of zero, by Student's t over the units of the interval; None for one unit.
    """

    mean: float
    low: float
    high: float
    p: float | None = None


def bootstrap_means(values: np.ndarray, users: np.ndarray) -> list[Interval]:
    """Return the mean of each column with its interval; see `bootstrap_ratios`."""
    return bootstrap_ratios(values, np.ones(len(values)), users)


def bootstrap_ratios(values: np.ndarray, denominators: np.ndarray, users: np.ndarray) -> list[Interval]:
    """Return the ratio of each column's mean to the mean denominator, with intervals from shared resamples.

    `values` has one row per user and seed, shape (n, n_columns); `denominators`, with a positive mean, and `users` have
    the shape (n,). The same users give the same resamples in every call, so intervals of differences are paired. Users
    are resampled, since resampling their repeated measurements would make intervals too narrow. See B. Efron,
    R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval).
    """
    if not len(values):
        return [Interval(0.0, 0.0, 0.0)] * values.shape[1]
    sums = _sum_by_unit(np.column_stack([values, denominators]), users)
    n_users = len(sums)
    rng = np.random.default_rng(0)
    resampled = np.empty((N_RESAMPLES, sums.shape[1]))
    step = max(1, 2**22 // n_users)
    for start in range(0, N_RESAMPLES, step):
        sample = rng.integers(n_users, size=(min(step, N_RESAMPLES - start), n_users))
        times_drawn = np.stack([np.bincount(row, minlength=n_users) for row in sample]).astype(np.float64)
        resampled[start : start + step] = times_drawn @ sums
    positive = resampled[resampled[:, -1] > 0]  # a resample without hits has no ratio
    low, high = np.quantile(positive[:, :-1] / positive[:, -1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    ratios = values.mean(axis=0) / denominators.mean()
    if n_users == 1:
        return make_intervals(ratios, low, high)
    return make_intervals(ratios, low, high, _test_zero(*cluster_errors(values, denominators, users), n_users))


def ratio_intervals(
    values: np.ndarray, denominators: np.ndarray, users: np.ndarray, cohorts: np.ndarray
) -> list[Interval]:
    """Return the ratio of each column's mean to the mean denominator, with intervals over cohorts if there are enough.

    Intervals are Student's t with n_cohorts - 1 degrees of freedom; with fewer than `MIN_COHORTS` cohorts, those of
    `bootstrap_ratios` over users. `cohorts` has the cohort of each row, integers, shape (n,). The variance is that of a
    ratio of cluster totals (W. Cochran, "Sampling Techniques", 1977, section 6.3).
    """
    n_cohorts = len(np.unique(cohorts))
    if n_cohorts < MIN_COHORTS:
        return bootstrap_ratios(values, denominators, users)
    from scipy.stats import t

    ratios, errors = cluster_errors(values, denominators, cohorts)
    half_width = t.ppf((1 + LEVEL) / 2, n_cohorts - 1) * errors
    return make_intervals(ratios, ratios - half_width, ratios + half_width, _test_zero(ratios, errors, n_cohorts))


def compare_ratio(values: np.ndarray, denominators: np.ndarray, other_error: float = 0.0) -> Interval:
    """Return the ratio of two means over the same users, shape (n_users,), with the p-value of a ratio of 1.

    The interval is Student's t, by the delta method, as in `ratio_intervals`; `other_error` is a standard error of the
    ratio from another source than the users.
    """
    from scipy.stats import t

    n_users = len(values)
    ratios, errors = cluster_errors(values[:, None], denominators, np.arange(n_users))
    errors = np.hypot(errors, other_error)
    half_width = t.ppf((1 + LEVEL) / 2, n_users - 1) * errors
    p = _test_zero(ratios - 1, errors, n_users)
    return make_intervals(ratios, ratios - half_width, ratios + half_width, p)[0]


def _test_zero(means: np.ndarray, errors: np.ndarray, n_units: int) -> np.ndarray:
    """Return the two-sided p-value of a zero mean, by Student's t; without an error, a mean that is not zero has 0."""
    from scipy.stats import t

    ratios = np.divide(np.abs(means), errors, out=np.where(means == 0, 0, np.inf), where=errors > 0)
    return np.asarray(2 * t.sf(ratios, n_units - 1))


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values of several tests, adjusted for their number, shape (n,).

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    n_left = np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * n_left))
    return adjusted


def count_fewer(units: np.ndarray, members: np.ndarray) -> int:
    """Return how many units have rows within a mask or, if these are fewer, how many have others."""
    return min(len(np.unique(units[rows])) for rows in (members, ~members))


def difference_intervals(values: np.ndarray, members: np.ndarray, units: np.ndarray, level: float) -> list[Interval]:
    """Return the mean of each column over some rows, a mask, minus that over all others, with intervals at a level.

    Intervals are Student's t over units, with as many degrees of freedom as the part in fewer units has. A unit may be
    in both parts; the variance is that of a difference of ratios of cluster totals (see `ratio_intervals`).
    """
    from scipy.stats import t

    mean = values[members].mean(axis=0)
    others = values[~members].mean(axis=0)
    share = members.mean()
    deviations = np.where(members[:, None], (values - mean) / share, (others - values) / (1 - share))
    differences, errors = cluster_errors(mean - others + deviations, np.ones(len(values)), units)
    half_width = t.ppf((1 + level) / 2, count_fewer(units, members) - 1) * errors
    return make_intervals(differences, differences - half_width, differences + half_width)


def make_intervals(*columns: np.ndarray) -> list[Interval]:
    """Zip means, lower and upper bounds, and p-values if there are any, into one interval per column."""
    return [Interval(*column_values) for column_values in np.stack(columns, axis=1).tolist()]


def _sum_by_unit(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Sum rows, shape (n, n_columns), by unit; shape (n_units, n_columns)."""
    _, member = np.unique(units, return_inverse=True)
    return np.stack([np.bincount(member, weights=column) for column in values.T], axis=1)


def cluster_errors(values: np.ndarray, denominators: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratio of each column's sum to the denominators' sum, and its standard error over units."""
    sums = _sum_by_unit(np.column_stack([values, denominators]), units)
    sums, denominator_sums = sums[:, :-1], sums[:, -1]
    n_units = len(sums)
    ratios = sums.sum(axis=0) / denominator_sums.sum()
    squares = ((sums - ratios * denominator_sums[:, None]) ** 2).sum(axis=0)
    return ratios, np.sqrt(n_units / (n_units - 1) * squares) / denominator_sums.sum()


def deviations_of_fifths(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column's mean over random fifths of the rows, as in the paper.

    `values` has one row per user, shape (n, n_columns). The result, float64, shape (n_columns,), averages the standard
    deviation of the five means over `N_DIVISIONS` random divisions; zeros for fewer than five rows.
    """
    n = len(values)
    if n < N_FIFTHS:
        return np.zeros(values.shape[1])
    rng = np.random.default_rng(0)
    deviations = np.zeros(values.shape[1])
    starts = np.linspace(0, n, N_FIFTHS, endpoint=False).astype(np.int64)
    sizes = np.diff(np.append(starts, n))[:, None]
    for _ in range(N_DIVISIONS):
        means = np.add.reduceat(values[rng.permutation(n)], starts, axis=0) / sizes
        deviations += means.std(axis=0, ddof=1)
    return deviations / N_DIVISIONS
