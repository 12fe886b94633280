"""What an evaluation found: figures of every strategy, as values and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from firstday.evaluate.slices import Breakdown, breakdown_json, strategy_json
from firstday.metrics import (
    METRICS,
    Interval,
    PrecisionRule,
    UserMetrics,
    bootstrap_means,
    bootstrap_ratios,
    deviations_of_fifths,
)
from firstday.recommend.registry import FALLBACKS
from firstday.segment.segments import ItemCounts
from firstday.training.tune import Tuning


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


def share_own_lists(strategy: str, routes: Mapping[str, int]) -> float:
    """Return the share of users whose list is a strategy's own, not a fallback's, given users by route."""
    own = sum(n for route, n in routes.items() if route == strategy or route not in FALLBACKS)
    return own / max(1, sum(routes.values()))


DAY_ONE_SIZES: Mapping[str, tuple[int, int]] = {"0": (0, 0), "1-3": (1, 3), "4+": (4, 2**31)}
"""Classes of day-one size, in items: first and last."""
REFERENCE = "segment"
"""The strategy that the others are compared with, user by user."""
BASELINE = "popular"
"""What the main finding compares with."""


@dataclass(frozen=True)
class Compared:
    """A strategy beside another, user by user.

    Parameters
    ----------
    difference
        In precision, in points.
    ratio
        Of mean precision.
    """

    difference: Interval
    ratio: Interval


@dataclass(frozen=True)
class Row:
    """One strategy over all seeds; figures in %.

    Parameters
    ----------
    strategy
        Its name.
    metrics
        Mean and interval by metric.
    by_day_one_size
        Precision by class of day-one size, with the number of users in `n_by_day_one_size`.
    against_reference
        Difference in precision to `segment`, user by user, in points.
    per_seed
        Precision of each seed.
    deviations
        Standard deviation of each metric's mean over random fifths of the users, as the paper states it.
    routes
        Share of users that each route answered.
    ms_per_user
        Time for one user in batch, milliseconds.
    profile_only
        Precision for users who did nothing at all on day one, `n_profile_only` of them; None where there are none.
    friends_only
        The same for those of them who have a friend whom the model keeps, `n_friends_only` of them.
    against
        The strategy beside each of the references that were asked for.
    coverage
        Users who get the strategy's own list and not a fallback's, in %.
    novelty
        Mean of -log2 of the share of warm users who use a recommended item, in bits.
    reached
        Distinct items in the lists of a seed, in % of the catalogue, mean over seeds.
    """

    strategy: str
    metrics: Mapping[str, Interval]
    by_day_one_size: Mapping[str, Interval]
    n_by_day_one_size: Mapping[str, int]
    against_reference: Interval | None
    per_seed: tuple[float, ...]
    deviations: Mapping[str, float]
    routes: Mapping[str, float]
    ms_per_user: float
    profile_only: Interval | None = None
    n_profile_only: int = 0
    friends_only: Interval | None = None
    n_friends_only: int = 0
    against: Mapping[str, Compared] = field(default_factory=dict)
    coverage: float = 100.0
    novelty: float = 0.0
    reached: float = 0.0


@dataclass(frozen=True)
class Results:
    """What `evaluate` found.

    Parameters
    ----------
    dataset, protocol
        What was evaluated, and how.
    k
        Length of the lists.
    seeds
        The seeds.
    divide_by
        The convention of precision.
    n_cold
        Cold users of each seed.
    rows
        One for each strategy.
    fit_seconds
        Time to train, mean over seeds.
    notes
        What the protocol decided about the data, of the first seed.
    tunings
        How each tuned peer's options were chosen, seed by seed.
    breakdown
        By groups of users and popularity of items, and what the first seed's model looks like.
    """

    dataset: str
    protocol: str
    k: int
    seeds: tuple[int, ...]
    divide_by: PrecisionRule
    n_cold: int
    n_warm: int
    rows: tuple[Row, ...]
    fit_seconds: float
    notes: tuple[str, ...] = ()
    tunings: Mapping[str, tuple[Tuning, ...]] = field(default_factory=dict)
    breakdown: Breakdown | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values, figures in % (DESIGN, Commands)."""
        found = self.breakdown
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "k": self.k,
            "seeds": list(self.seeds),
            "precision_convention": "hits / min(K, relevant)" if self.divide_by == "min" else "hits / K",
            "n_warm": self.n_warm,
            "n_cold": self.n_cold,
            "fit_seconds": round(self.fit_seconds, 2),
            "notes": list(self.notes),
            **({} if found is None else breakdown_json(found)),
            "results": [
                _row_json(row) | ({} if found is None else strategy_json(found, row.strategy)) for row in self.rows
            ],
            "tuned_peers": {name: self._tuning_json(tunings) for name, tunings in self.tunings.items()},
        }

    def _tuning_json(self, tunings: tuple[Tuning, ...]) -> dict[str, Any]:
        """Return how one peer was tuned as JSON values."""
        by_seed = [{"seed": seed, **tuning.to_json()} for seed, tuning in zip(self.seeds, tunings, strict=True)]
        return {
            "chosen_on": f"validation users of {'the first' if tunings[-1].grid != tunings[0].grid else 'each'} seed",
            "grid": {name: list(values) for name, values in tunings[0].grid.items()},
            "fit_seconds": round(mean_fit_seconds(tunings), 3),
            "by_seed": by_seed,
        }


def mean_fit_seconds(tunings: tuple[Tuning, ...]) -> float:
    """Return the time to fit a peer with the options chosen, mean over seeds."""
    return sum(tuning.fit_seconds for tuning in tunings) / len(tunings)


def _row_json(row: Row) -> dict[str, Any]:
    """Return one row as JSON values."""
    values: dict[str, Any] = {"strategy": row.strategy}
    for name, interval in row.metrics.items():
        values[name] = round(interval.mean, 4)
        values[f"{name}_ci"] = _pair(interval)
        values[f"{name}_deviation"] = round(row.deviations[name], 4)
    values["precision_by_seed"] = [round(value, 4) for value in row.per_seed]
    sizes = {size: row.by_day_one_size.get(size) for size in DAY_ONE_SIZES}  # null where there is no such user
    values["by_day_one_size"] = {size: None if found is None else round(found.mean, 4) for size, found in sizes.items()}
    values["by_day_one_size_ci"] = {size: None if found is None else _pair(found) for size, found in sizes.items()}
    values["n_by_day_one_size"] = {size: row.n_by_day_one_size.get(size, 0) for size in DAY_ONE_SIZES}
    only = row.profile_only
    values["profile_only"] = None if only is None else round(only.mean, 4)
    values["profile_only_ci"] = None if only is None else _pair(only)
    values["n_profile_only"] = row.n_profile_only
    values["friends_only"] = None if row.friends_only is None else round(row.friends_only.mean, 4)
    values["friends_only_ci"] = None if row.friends_only is None else _pair(row.friends_only)
    values["n_friends_only"] = row.n_friends_only
    if row.against_reference is not None:
        difference = row.against_reference
        values[f"minus_{REFERENCE}"] = round(difference.mean, 4)
        values[f"minus_{REFERENCE}_ci"] = _pair(difference)
    values["against"] = {
        name: {
            "difference": round(compared.difference.mean, 4),
            "difference_ci": _pair(compared.difference),
            "ratio": round(compared.ratio.mean, 4),
            "ratio_ci": _pair(compared.ratio),
        }
        for name, compared in row.against.items()
    }
    values["coverage"] = round(row.coverage, 4)
    values["novelty_bits"] = round(row.novelty, 4)
    values["catalogue_reached"] = round(row.reached, 4)
    values["routes"] = {route: round(share, 4) for route, share in sorted(row.routes.items())}
    values["ms_per_user"] = round(row.ms_per_user, 4)
    return values


def _pair(interval: Interval) -> list[float]:
    return [round(interval.low, 4), round(interval.high, 4)]


@dataclass(frozen=True, eq=False)
class Scores:
    """One strategy on the cold users of one seed.

    Parameters
    ----------
    metrics
        By user.
    routes
        How many users each route answered.
    seconds
        Time to make the lists, features and prediction included.
    novelty
        Mean of each user's list, bits, shape (n_users,).
    reached
        Distinct items in the lists, as a share of the catalogue.
    places
        Places of the lists by popularity of their items, int64, shape (`N_PARTS`,).
    """

    metrics: UserMetrics
    routes: Mapping[str, int]
    seconds: float
    novelty: np.ndarray
    reached: float
    places: np.ndarray


def join_metric(scores: Sequence[Scores], metric: str) -> np.ndarray:
    """Return one metric of all users of all seeds, in %."""
    values: np.ndarray = 100 * np.concatenate([getattr(score.metrics, metric) for score in scores])
    return values


def summarise(
    found: Mapping[str, Sequence[Scores]],
    user: np.ndarray,
    size: np.ndarray,
    idle: np.ndarray,
    befriended: np.ndarray,
    against: Sequence[str],
) -> tuple[Row, ...]:
    """Put every strategy's row together; intervals of all come from the same resamples of users.

    Parameters
    ----------
    found
        Scores of each strategy, one for each seed.
    user
        Who they are, of all seeds one after the other, shape (n,).
    size
        Items used on day one, shape (n,).
    idle, befriended
        Whether each did nothing on day one, and whether each has a friend whom the model keeps, bool, shape (n,).
    against
        Strategies with which the others are compared.
    """
    names = tuple(found)
    values = {(name, metric): join_metric(found[name], metric) for name in names for metric in METRICS}
    if REFERENCE in found:
        for name in (name for name in names if name != REFERENCE):
            values[name, REFERENCE] = values[name, "precision"] - values[REFERENCE, "precision"]
    intervals = dict(zip(values, bootstrap_means(np.stack(list(values.values()), axis=1), user), strict=True))
    deviations = _spread_fifths(found)
    precision = np.stack([values[name, "precision"] for name in names], axis=1)
    classes = {label: (size >= low) & (size <= high) for label, (low, high) in DAY_ONE_SIZES.items()}
    classes = {label: members for label, members in classes.items() if members.any()}
    by_size = {label: bootstrap_means(precision[members], user[members]) for label, members in classes.items()}
    only, friends_only = (
        bootstrap_means(precision[chosen], user[chosen]) if chosen.any() else [None] * len(names)
        for chosen in (idle, idle & befriended)
    )
    compared = {other: _compare(precision, names.index(other), user) for other in against if other in names}
    rows = []
    for number, name in enumerate(names):
        routes: Counter[str] = Counter()
        for score in found[name]:
            routes.update(score.routes)
        rows.append(
            Row(
                strategy=name,
                metrics={metric: intervals[name, metric] for metric in METRICS},
                by_day_one_size={label: means[number] for label, means in by_size.items()},
                n_by_day_one_size={label: int(members.sum()) for label, members in classes.items()},
                profile_only=only[number],
                n_profile_only=int(idle.sum()),
                friends_only=friends_only[number],
                n_friends_only=int((idle & befriended).sum()),
                against_reference=intervals.get((name, REFERENCE)),
                per_seed=tuple(100 * float(score.metrics.precision.mean()) for score in found[name]),
                deviations=dict(zip(METRICS, deviations[number], strict=True)),
                routes={route: count / len(user) for route, count in routes.items()},
                ms_per_user=1000 * sum(score.seconds for score in found[name]) / len(user),
                against={other: beside[number] for other, beside in compared.items() if beside and other != name},
                coverage=100 * share_own_lists(name, routes),
                novelty=float(np.concatenate([score.novelty for score in found[name]]).mean()),
                reached=100 * float(np.mean([score.reached for score in found[name]])),
            )
        )
    return tuple(rows)


def _compare(precision: np.ndarray, reference: int, user: np.ndarray) -> list[Compared]:
    """Compare columns of precision with one of them; empty where that is 0 for everyone."""
    below = precision[:, reference]
    if not below.any():
        return []
    differences = bootstrap_means(precision - below[:, None], user)
    ratios = bootstrap_ratios(precision, below, user)
    return [Compared(*both) for both in zip(differences, ratios, strict=True)]


def _spread_fifths(found: Mapping[str, Sequence[Scores]]) -> np.ndarray:
    """Return the standard deviation over fifths, in %, mean over seeds, shape (n_strategies, n_metrics)."""
    by_seed = []
    for scores in zip(*found.values(), strict=True):
        columns = [100 * getattr(score.metrics, metric) for score in scores for metric in METRICS]
        by_seed.append(deviations_of_fifths(np.stack(columns, axis=1)))
    spread: np.ndarray = np.mean(by_seed, axis=0).reshape(len(found), len(METRICS))
    return spread


def by_precision(results: Results) -> list[Row]:
    """Return the rows, best precision first, ties in the order of the results."""
    return sorted(results.rows, key=lambda row: -row.metrics["precision"].mean)


@dataclass(frozen=True)
class Finding:
    """The main finding, in figures.

    Parameters
    ----------
    leader
        `segment`, or the best strategy where that was not evaluated.
    other
        `popular`, or the next best to compare with; None where there is one strategy only.
    gain
        Relative gain in %; None without a comparison or where the other has no hit at all.
    difference
        Leader minus other in points, user by user; None where it was not measured.
    best
        A strategy with more precision than the leader, the best of them; None where there is none.
    """

    leader: Row
    other: Row | None
    gain: float | None
    difference: Interval | None
    best: Row | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference lies on one side of zero."""
        return self.difference is not None and (self.difference.low > 0 or self.difference.high < 0)


def find_main(results: Results) -> Finding:
    """Compare `segment` with `popular`, or the nearest thing to it that was evaluated."""
    rows = by_precision(results)
    by_name = {row.strategy: row for row in rows}
    leader = by_name.get(REFERENCE, rows[0])
    others = [row for row in rows if row is not leader]
    other = by_name.get(BASELINE) if leader.strategy != BASELINE else None
    if other is None and others:
        other = others[0]
    gain = difference = None
    if other is not None:
        ours, theirs = leader.metrics["precision"].mean, other.metrics["precision"].mean
        gain = 100 * (ours / theirs - 1) if theirs > 0 else None
        if leader.strategy == REFERENCE and other.against_reference is not None:
            back = other.against_reference  # other minus leader
            difference = Interval(-back.mean, -back.high, -back.low)
    best = rows[0] if rows[0].metrics["precision"].mean > leader.metrics["precision"].mean else None
    return Finding(leader, other, gain, difference, best)
