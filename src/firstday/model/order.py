"""The order: what a network adds to the weighted sum of `blend` for a user and an item.

`firstday.methods.order` learns it, and decides whether lists use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from firstday.cold.cold_model import ColdModel
from firstday.display import readable
from firstday.model.calibration import log_known

LIMIT = 3.0
"""Inputs are limited to this distance from their mean, in standard deviations, as beyond it little was learned."""
OF_BLEND = ("their weighted sum", "number of interactions")
"""Inputs in addition to the scores of the components, in words."""


@readable
@dataclass(frozen=True, eq=False)
class Order:
    """A network from the scores of the components of `blend` to what is added to their weighted sum.

    Parameters
    ----------
    components
        Names of the components.
    network
        Layers from the inputs to one number; None if lists do not use the order.
    centre, spread
        Mean and standard deviation of each input, float32, shape (n_inputs,).
    n_learners
        Number of warm users on whom it was learned; 0 if there are too few.
    n_users
        Number of users on whom it was judged.
    gains
        Gain in precision of their lists by length, and its standard error, in points.
    importance
        Points of precision that learners lose if the values of an input are permuted, by input in words.
    """

    components: tuple[str, ...]
    network: ColdModel | None
    centre: np.ndarray
    spread: np.ndarray
    n_learners: int = 0
    n_users: int = 0
    gains: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)

    def score(self, scores: Mapping[str, np.ndarray], total: np.ndarray, n_known: np.ndarray) -> np.ndarray:
        """Return what is added to the sum, float32, shape (n_users, n_candidates); for parameters see `join_inputs`.

        Nothing is added for users without interactions.
        """
        return self.apply(join_inputs(scores, total, n_known)) * (n_known > 0)[:, None]

    def apply(self, inputs: np.ndarray) -> np.ndarray:
        """Return what is added, float32, shape (n_users, n_candidates), given `join_inputs`."""
        assert self.network is not None
        return self.network.predict(self.scale(inputs))[:, :, 0]  # a product per user, as rounding depends on shapes

    def scale(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs as the network takes them: in standard deviations from the mean, at most `LIMIT`."""
        return np.clip((inputs - self.centre) / self.spread, -LIMIT, LIMIT)

    def to_json(self) -> dict[str, Any]:
        """Return what is known about the order, but not its network, as JSON values."""
        return {
            "used": self.network is not None,
            "learners": self.n_learners,
            "users": self.n_users,
            "gains": {k: list(gain) for k, gain in self.gains.items()},
            "importance": dict(self.importance),
        }

    def describe(self) -> str:
        """Describe in one sentence what the order brings."""
        if not self.n_learners:
            return "There are too few warm users to learn an order for the default list."
        gains = [f"{gain:+.2f} points of P@{k} (standard error {error:.2f})" for k, (gain, error) in self.gains.items()]
        outcome = f"lists gain {' and '.join(gains)} on {self.n_users:,} users"
        learned = f"An order learned on {self.n_learners:,} warm users"
        if self.network is None:
            return f"{learned} is left out of the default list: with it, {outcome}."
        largest = sorted(self.importance, key=lambda name: -self.importance[name])[:3]
        return f"{learned} is part of the default list: {outcome}. It depends most on {', '.join(largest)}."


def join_inputs(scores: Mapping[str, np.ndarray], total: np.ndarray, n_known: np.ndarray) -> np.ndarray:
    """Return the inputs of an order, float32, shape (n_users, n_candidates, n_inputs).

    They are the `scores` by component and their weighted `total`, all without the clock, of shape
    (n_users, n_candidates), and the logarithm of 1 + `n_known`, the users' numbers of interactions, shape (n_users,).
    """
    known = np.broadcast_to(log_known(n_known)[:, None], total.shape)
    return np.stack([*scores.values(), total, known], axis=2).astype(np.float32)
