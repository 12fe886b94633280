"""Cold users x strategies x seeds: who gets how good a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.split import Cohort, Split
from firstday.evaluate.intervals import Interval, bootstrap_means
from firstday.evaluate.metrics import METRICS, PrecisionRule, UserMetrics, measure
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all

DAY_ONE_SIZES: Mapping[str, tuple[int, int]] = {"0": (0, 0), "1-3": (1, 3), "4+": (4, 2**31)}
"""Classes of day-one size, in items: first and last."""
REFERENCE = "segment"
"""The strategy that the others are compared with, user by user."""


def cohort_query(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int) -> Query:
    """Ask a model for lists for the users of a cohort, from their profile and day one alone."""
    batch, _ = recommender.model.catalogue.translate(dataset, cohort.users, cohort.day_one)
    return Query(recommender.model, batch, k)


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
    """

    metrics: UserMetrics
    routes: Mapping[str, int]
    seconds: float


def score_strategy(query: Query, cohort: Cohort, strategy: str, divide_by: PrecisionRule) -> Scores:
    """Make one strategy's lists for a cohort and measure them."""
    answer_all(query.take(np.arange(1)), strategy)  # what a model prepares once is not a user's time
    fresh = Query(query.model, query.signals, query.k)  # nothing computed for another strategy is counted as free
    began = perf_counter()
    answer = answer_all(fresh, strategy)
    seconds = perf_counter() - began
    metrics = measure(answer.items, cohort.truth, divide_by=divide_by)
    return Scores(metrics, Counter(answer.routes.tolist()), seconds)


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
    routes
        Share of users that each route answered.
    ms_per_user
        Time for one user in batch, milliseconds.
    profile_only
        Precision for users who did nothing at all on day one, `n_profile_only` of them; None where there are none.
    """

    strategy: str
    metrics: Mapping[str, Interval]
    by_day_one_size: Mapping[str, Interval]
    n_by_day_one_size: Mapping[str, int]
    against_reference: Interval | None
    per_seed: tuple[float, ...]
    routes: Mapping[str, float]
    ms_per_user: float
    profile_only: Interval | None = None
    n_profile_only: int = 0


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

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON values, figures in % (DESIGN, Commands)."""
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
            "results": [_row_json(row) for row in self.rows],
        }


def _row_json(row: Row) -> dict[str, Any]:
    """Return one row as JSON values."""
    values: dict[str, Any] = {"strategy": row.strategy}
    for name, interval in row.metrics.items():
        values[name] = round(interval.mean, 4)
        values[f"{name}_ci"] = _pair(interval)
    values["precision_by_seed"] = [round(value, 4) for value in row.per_seed]
    sizes = {size: row.by_day_one_size.get(size) for size in DAY_ONE_SIZES}  # null where there is no such user
    values["by_day_one_size"] = {size: None if found is None else round(found.mean, 4) for size, found in sizes.items()}
    values["by_day_one_size_ci"] = {size: None if found is None else _pair(found) for size, found in sizes.items()}
    values["n_by_day_one_size"] = {size: row.n_by_day_one_size.get(size, 0) for size in DAY_ONE_SIZES}
    only = row.profile_only
    values["profile_only"] = None if only is None else round(only.mean, 4)
    values["profile_only_ci"] = None if only is None else _pair(only)
    values["n_profile_only"] = row.n_profile_only
    if row.against_reference is not None:
        difference = row.against_reference
        values[f"minus_{REFERENCE}"] = round(difference.mean, 4)
        values[f"minus_{REFERENCE}_ci"] = _pair(difference)
    values["routes"] = {route: round(share, 4) for route, share in sorted(row.routes.items())}
    values["ms_per_user"] = round(row.ms_per_user, 4)
    return values


def _pair(interval: Interval) -> list[float]:
    return [round(interval.low, 4), round(interval.high, 4)]


def run_benchmark(
    dataset: Dataset,
    split: Callable[[int], Split],
    fit: Callable[[Split, int], Recommender],
    strategies: Sequence[str],
    *,
    k: int,
    seeds: Sequence[int],
    protocol: str,
    divide_by: PrecisionRule = "min",
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> Results:
    """Train and judge on cold users once for each seed.

    Parameters
    ----------
    dataset
        The data.
    split
        Makes the split of a seed.
    fit
        Trains on a split.
    strategies
        Names of `STRATEGIES`; a name given twice counts once.
    k
        Length of the lists.
    seeds
        Each gives another split, other day ones and another model.
    protocol
        Its name, for the record.
    divide_by
        See `measure`.
    progress
        Called with what is being done, seeds done, and seeds in all.

    Returns
    -------
    Results
        Means over users of all seeds, with intervals over users.
    """
    strategies = tuple(dict.fromkeys(strategies))
    found: dict[str, list[Scores]] = {name: [] for name in strategies}
    users, sizes, idle, fit_seconds, n_warm = [], [], [], [], 0
    notes: tuple[str, ...] = ()
    for number, seed in enumerate(seeds):
        progress(f"seed {seed}", number, len(seeds))
        parts = split(seed)
        began = perf_counter()
        recommender = fit(parts, seed)
        fit_seconds.append(perf_counter() - began)
        query = cohort_query(recommender, dataset, parts.cold, k)
        for name in strategies:
            found[name].append(score_strategy(query, parts.cold, name, divide_by))
        users.append(parts.cold.users)
        sizes.append(parts.cold.day_one_size)
        idle.append(parts.cold.did_nothing)
        n_warm = len(parts.warm)
        notes = notes or parts.notes
    progress("done", len(seeds), len(seeds))
    user, size = np.concatenate(users), np.concatenate(sizes)
    return Results(
        dataset.name,
        protocol,
        k,
        tuple(seeds),
        divide_by,
        len(users[0]),
        n_warm,
        _summarise(found, user, size, np.concatenate(idle)),
        float(np.mean(fit_seconds)),
        notes,
    )


def _joined(scores: Sequence[Scores], metric: str) -> np.ndarray:
    """Return one metric of all users of all seeds, in %."""
    values: np.ndarray = 100 * np.concatenate([getattr(score.metrics, metric) for score in scores])
    return values


def _summarise(
    found: Mapping[str, Sequence[Scores]], user: np.ndarray, size: np.ndarray, idle: np.ndarray
) -> tuple[Row, ...]:
    """Put every strategy's row together; intervals of all come from the same resamples of users."""
    names = tuple(found)
    values = {(name, metric): _joined(found[name], metric) for name in names for metric in METRICS}
    if REFERENCE in found:
        compared = [name for name in names if name != REFERENCE]
        for name in compared:
            values[name, REFERENCE] = values[name, "precision"] - values[REFERENCE, "precision"]
    intervals = dict(zip(values, bootstrap_means(np.stack(list(values.values()), axis=1), user), strict=True))
    precision = np.stack([values[name, "precision"] for name in names], axis=1)
    classes = {label: (size >= low) & (size <= high) for label, (low, high) in DAY_ONE_SIZES.items()}
    classes = {label: members for label, members in classes.items() if members.any()}
    by_size = {label: bootstrap_means(precision[members], user[members]) for label, members in classes.items()}
    only = bootstrap_means(precision[idle], user[idle]) if idle.any() else [None] * len(names)
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
                against_reference=intervals.get((name, REFERENCE)),
                per_seed=tuple(100 * float(score.metrics.precision.mean()) for score in found[name]),
                routes={route: count / len(user) for route, count in routes.items()},
                ms_per_user=1000 * sum(score.seconds for score in found[name]) / len(user),
            )
        )
    return tuple(rows)
