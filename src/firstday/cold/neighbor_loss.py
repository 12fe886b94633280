"""The loss of the vector that looks for neighbours: warm users near to it should use what the user went on to use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from firstday.cold.later_items import LaterItems
from firstday.data.rows import SparseRows

CANDIDATES = 1024
"""Warm users that may be neighbours in one step, at most; of more, each step draws its own."""
MOST_ITEMS = 2048
"""Items that count, at most: the most used ones. Time and memory grow with them."""
TEMPERATURE = 0.06
"""Difference in cosine at which a neighbour's weight falls by e in training; for lists it is chosen afterwards."""
SMOOTHING = 0.02
"""Weight of everyone's habits beside all neighbours together."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_neighbor_loss(goals: torch.Tensor, uses: SparseRows, day_ones: Sequence[SparseRows], *, seed: int) -> Loss:
    """Return a function from predicted vectors, (batch, d), and the rows they are of, (batch,), to a loss.

    It is minus the logarithm of the probability, in nats, of each item that a user went on to use, where one is drawn
    from all uses of warm users, weighted by their nearness, and of everyone. The user is no neighbour of their own, and
    one who went on to use n items counts as the square root of n.

    Parameters
    ----------
    goals
        Mature vectors of length 1, shape (n_warm, d).
    uses
        Items that each warm user uses, shape (n_warm, n_items).
    day_ones
        Items used on day one in each sample; see `LaterItems`.
    seed
        Seed of who are candidates in each step.
    """
    later = LaterItems(uses, day_ones, MOST_ITEMS)
    everyone = SMOOTHING * torch.from_numpy(later.shares.astype(np.float32))  # (n_kept,)
    rng = np.random.default_rng(seed)
    n_warm = len(goals)
    every_user = np.arange(n_warm)
    all_used = torch.from_numpy(later.used_by(every_user)) if n_warm <= CANDIDATES else None

    def loss(vectors: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        if all_used is not None:
            candidates, used = every_user, all_used
        else:
            candidates = rng.choice(n_warm, CANDIDATES, replace=False)
            used = torch.from_numpy(later.used_by(candidates))
        nearness = vectors @ goals[candidates].T / TEMPERATURE  # (batch, n_candidates)
        own = (rows % n_warm)[:, None] == torch.from_numpy(candidates)[None]
        shares = torch.softmax(nearness.masked_fill(own, -torch.inf), dim=1) @ used + everyone  # (batch, n_kept)
        logs = shares.log() - shares.sum(dim=1, keepdim=True).log()
        wanted = torch.from_numpy(later.wanted_after(rows.numpy()))
        n_wanted = wanted.sum(dim=1).clamp(min=1)
        weights = n_wanted.rsqrt()
        total: torch.Tensor = -((wanted * logs).sum(dim=1) * weights).sum() / (wanted.sum(dim=1) * weights).sum().clamp(
            min=1
        )
        return total

    return loss
