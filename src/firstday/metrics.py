"""Precision, recall and NDCG at K for each user, and confidence intervals by bootstrap over users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from firstday.sparse import SparseRows

PrecisionRule = Literal["min", "k"]
METRICS = ("precision", "recall", "ndcg")

HEAD = 10
"""Length of the head of a list, which people see: precision and NDCG are measured at it, too."""
N_RESAMPLES = 2000
LEVEL = 0.95
FEWEST_COHORTS = 5
"""With fewer cohorts than this, users are the units of intervals, not cohorts."""
N_FIFTHS, N_DIVISIONS = 5, 100


@dataclass(frozen=True, eq=False)
class UserMetrics:
    """Metrics of each user, fractions of 1, float64, shape (n_users,)."""

    precision: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray


def measure(lists: np.ndarray, truth: SparseRows, *, divide_by: PrecisionRule = "min") -> UserMetrics:
    """Compare ranked lists with the items that users used afterwards.

    Parameters
    ----------
    lists
        Item indexes, best first, -1 for an empty place, shape (n_users, K).
    truth
        Relevant items of each user, shape (n_users, n_items).
    divide_by
        Precision is hits / min(K, relevant) as in the paper (``min``), or hits / K (``k``).

    Returns
    -------
    UserMetrics
        Recall is hits / relevant; NDCG has binary gain and an ideal of min(K, relevant). A user without relevant
        items has 0 throughout.
    """
    n_users, k = lists.shape
    relevant = truth.lengths()
    truth_keys = truth.row_of_entry() * truth.n_columns + truth.columns
    list_keys = np.arange(n_users)[:, None] * truth.n_columns + lists
    position = np.searchsorted(truth_keys, list_keys)  # keys ascend
    hit = (np.append(truth_keys, -1)[position] == list_keys) & (lists >= 0)
    hits = hit.sum(axis=1).astype(np.float64)
    max_hits = np.minimum(k, relevant)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], np.cumsum(discount)])[max_hits]
    divisor = max_hits if divide_by == "min" else np.where(relevant > 0, k, 0)
    return UserMetrics(_ratio(hits, divisor), _ratio(hits, relevant), _ratio(hit @ discount, ideal))


def _ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Divide, with 0 where there is nothing to divide by."""
    ratio: np.ndarray = np.divide(numerators, denominators, out=np.zeros(len(numerators)), where=denominators > 0)
    return ratio


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, users: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean of one column, shape (n,), and its interval; see `bootstrap_means`."""
    return bootstrap_means(np.asarray(values)[:, None], users, seed=seed)[0]


def bootstrap_means(values: np.ndarray, users: np.ndarray, *, seed: int = 0) -> list[Interval]:
    """Return the means of several columns and their percentile bootstrap intervals, all from the same resamples.

    Parameters
    ----------
    values
        One row for each user and seed, shape (n, n_columns).
    users
        The user of each row, integers, shape (n,).
    seed
        Seed of the resampling: equal seeds and users give the same resamples, so that intervals of differences are
        paired.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile interval); users are
    resampled, not their repeated measurements, which would make intervals too narrow.
    """
    if not len(values):
        return [Interval(0.0, 0.0, 0.0)] * values.shape[1]
    return _between(values.mean(axis=0), _resample_means(values, users, seed))


def bootstrap_ratios(
    values: np.ndarray, denominators: np.ndarray, users: np.ndarray, *, seed: int = 0
) -> list[Interval]:
    """Return the means of several columns divided by the mean of another, with paired intervals (`bootstrap_means`).

    Parameters
    ----------
    values
        One row for each user and seed, shape (n, n_columns).
    denominators
        Denominator of the ratios, shape (n,); its mean is positive.
    users, seed
        See `bootstrap_means`.
    """
    means = _resample_means(np.column_stack([values, denominators]), users, seed)
    positive = means[means[:, -1] > 0]  # a resample without hits has no ratio
    return _between(values.mean(axis=0) / denominators.mean(), positive[:, :-1] / positive[:, -1:])


def mean_intervals(values: np.ndarray, users: np.ndarray, cohorts: np.ndarray) -> list[Interval]:
    """Return the means of several columns with paired intervals, cohorts being the units where there are enough.

    Parameters
    ----------
    values, users
        See `bootstrap_means`.
    cohorts
        The cohort of each row, integers, shape (n,). With fewer than `FEWEST_COHORTS`, users are the units.

    Returns
    -------
    list of Interval
        Means over users; Student's t with one degree of freedom less than cohorts.

    References
    ----------
    W. Cochran, "Sampling Techniques", 1977, section 6.3: the variance of a ratio of cluster totals.
    """
    if len(np.unique(cohorts)) < FEWEST_COHORTS:
        return bootstrap_means(values, users)
    return _cluster_ratios(values, np.ones(len(values)), cohorts)


def ratio_intervals(
    values: np.ndarray, denominators: np.ndarray, users: np.ndarray, cohorts: np.ndarray
) -> list[Interval]:
    """Return the means of several columns divided by that of another; see `bootstrap_ratios` and `mean_intervals`."""
    if len(np.unique(cohorts)) < FEWEST_COHORTS:
        return bootstrap_ratios(values, denominators, users)
    return _cluster_ratios(values, denominators, cohorts)


def _cluster_ratios(values: np.ndarray, denominators: np.ndarray, cohorts: np.ndarray) -> list[Interval]:
    """Return ratios of the sums of columns, shape (n, n_columns), to a sum, with intervals over cohorts."""
    from scipy.stats import t

    ratios, errors = cluster_errors(values, denominators, cohorts)
    reach = t.ppf((1 + LEVEL) / 2, len(np.unique(cohorts)) - 1) * errors
    ends = zip(ratios.tolist(), (ratios - reach).tolist(), (ratios + reach).tolist(), strict=True)
    return [Interval(*end) for end in ends]


def cluster_errors(values: np.ndarray, denominators: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ratios of the sums of columns, shape (n, n_columns), to a sum, and their standard errors over units."""
    _, member = np.unique(units, return_inverse=True)
    sums = np.stack([np.bincount(member, weights=column) for column in values.T], axis=1)
    below = np.bincount(member, weights=denominators)
    n_units, ratios = len(sums), sums.sum(axis=0) / below.sum()
    squares = ((sums - ratios * below[:, None]) ** 2).sum(axis=0)
    return ratios, np.sqrt(n_units / (n_units - 1) * squares) / below.sum()


def _resample_means(values: np.ndarray, users: np.ndarray, seed: int) -> np.ndarray:
    """Return the means of the columns in each resample of users, shape (N_RESAMPLES, n_columns)."""
    _, member = np.unique(users, return_inverse=True)
    n_users = int(member.max()) + 1
    sums = np.stack([np.bincount(member, weights=column, minlength=n_users) for column in values.T], axis=1)
    counts = np.bincount(member, minlength=n_users).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty((N_RESAMPLES, values.shape[1]))
    step = max(1, 2**22 // n_users)
    for start in range(0, N_RESAMPLES, step):
        sample = rng.integers(n_users, size=(min(step, N_RESAMPLES - start), n_users))
        counts_in_sample = np.stack([np.bincount(row, minlength=n_users) for row in sample]).astype(np.float64)
        means[start : start + step] = (counts_in_sample @ sums) / (counts_in_sample @ counts)[:, None]
    return means


def _between(centre: np.ndarray, resampled: np.ndarray) -> list[Interval]:
    """Return each column's value with its percentile interval."""
    ends = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(float(mean), float(low), float(high)) for mean, low, high in zip(centre, *ends, strict=True)]


def deviations_of_fifths(values: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Return the standard deviation of each column's mean over random fifths of the rows, as in the paper.

    Parameters
    ----------
    values
        One row for each user, shape (n, n_columns).
    seed
        Seed of the divisions.

    Returns
    -------
    numpy.ndarray
        float64, shape (n_columns,): the mean over `N_DIVISIONS` random divisions of the deviation among five means;
        zeros for fewer than five rows.

    References
    ----------
    PAPER, "Offline protocol": "+-" is the standard deviation over random fifths of the test users, repeated.
    """
    n = len(values)
    if n < N_FIFTHS:
        return np.zeros(values.shape[1])
    rng = np.random.default_rng(seed)
    deviations = np.zeros(values.shape[1])
    starts = np.linspace(0, n, N_FIFTHS, endpoint=False).astype(np.int64)
    sizes = np.diff(np.append(starts, n))[:, None]
    for _ in range(N_DIVISIONS):
        means = np.add.reduceat(values[rng.permutation(n)], starts, axis=0) / sizes
        deviations += means.std(axis=0, ddof=1)
    return deviations / N_DIVISIONS
