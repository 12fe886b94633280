"""What an evaluation found: one row for each strategy, and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from firstday.evaluate.breakdown import Breakdown, breakdown_json, strategy_json
from firstday.evaluate.intervals import Interval
from firstday.evaluate.metrics import PrecisionRule
from firstday.evaluate.tuning import Tuning

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
