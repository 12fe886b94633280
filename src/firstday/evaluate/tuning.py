"""Tuning: a peer that is fitted for an evaluation alone, and how its options were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstday.recommend.query import Strategy


@dataclass(frozen=True)
class Tuning:
    """How the options of a peer were chosen, on validation users alone.

    Parameters
    ----------
    grid
        Values of each option; every combination was fitted.
    options
        What was chosen.
    precision
        Precision of that on the validation users, in %.
    n_users
        How many validation users.
    fit_seconds
        Time to fit with the options chosen, from the start.
    tune_seconds
        Time to fit and judge the whole grid.
    n_items
        How many items the peer ranks; None: all that warm users use.
    """

    grid: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    n_items: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what differs from seed to seed as JSON values."""
        return {
            "options": dict(self.options),
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
            "n_items": self.n_items,
        }


@dataclass(frozen=True, eq=False)
class TunedPeer:
    """A fitted peer as a strategy, and how it was tuned."""

    recommend: Strategy
    tuning: Tuning
