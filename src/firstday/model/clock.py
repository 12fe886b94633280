"""The log's clock: how much more recent use of an item counts than older use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from firstday.display import readable


@readable
@dataclass(frozen=True, eq=False)
class Clock:
    """A term for each item, the same for every user: the weighted log ratio of its recent to its overall share of use.

    Parameters
    ----------
    half_life_days
        Age at which a use counts half as much for the recent share.
    weight
        Factor on the log ratio.
    is_kept
        Whether the lists use the terms; those of the strategy `recent` always do.
    terms
        float32, shape (n_items,).
    recent_factor
        How often the average use of the last half-life counts as much as the average use.
    gain, error
        Gain in precision of lists by popularity with the terms, on past newcomers other than those for whom half-life
        and weight were chosen, in points; and its standard error over weeks.
    n_users, n_weeks
        Number of these newcomers, and of the weeks of their first days.
    """

    half_life_days: float
    weight: float
    is_kept: bool
    terms: np.ndarray
    recent_factor: float
    gain: float
    error: float
    n_users: int
    n_weeks: int

    def to_json(self) -> Mapping[str, Any]:
        """Return all fields but the terms as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "terms"}

    def describe(self) -> str:
        """Describe the clock and the evidence in one sentence."""
        days = f"{self.half_life_days:g} days"
        users = f"{self.n_users:,} past newcomers of {self.n_weeks:,} week{'s' * (self.n_weeks != 1)}"
        if self.n_weeks < 2:
            return f"Too few past newcomers have a log before them to judge recent use: {users}."
        points = f"{self.gain:+.2f} points, standard error {self.error:.2f}"
        if not self.is_kept:
            return f"Recent use does not improve lists here: lists by popularity gain {points}, for {users}."
        return (
            f"An item's use in the last {days} counts {self.recent_factor:.1f} times as much as its average use: lists "
            f"by popularity gain {points}, for {users}."
        )
