"""Blending: how `blend` weighs other strategies, by how much is known of a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

BOUNDS = (1, 4)
"""Items liked so far at which the second and the third class of users begin: 0, 1 to 3, 4 and more."""


def _personal_alone() -> tuple[Mapping[str, float], ...]:
    return tuple({"personal": 1.0} for _ in range(len(BOUNDS) + 1))


@dataclass(frozen=True)
class Blending:
    """The weights, chosen on validation users.

    Parameters
    ----------
    weights
        For each class of users, least known first: the weight of each strategy that speaks, by name.
    """

    weights: tuple[Mapping[str, float], ...] = field(default_factory=_personal_alone)

    def class_of(self, n_liked: np.ndarray) -> np.ndarray:
        """Return the class of users by how many items they like so far, integers, shape (n,)."""
        classes: np.ndarray = np.digitize(n_liked, BOUNDS)
        return classes
