"""WarmUsers: the people whom new ones are compared with: neighbours of a predicted vector, and friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.data.rows import SparseRows, stack_rows


@dataclass(frozen=True, eq=False)
class WarmUsers:
    """Warm users that a model keeps, and behind them light ones, who may be friends but never neighbours.

    Parameters
    ----------
    ids
        The caller's ids.
    vectors
        Mature vectors of length 1, float32, shape (n, d).
    uses
        Items that each uses, all weights 1, shape (n, n_items).
    n_light
        How many of them, the last ones, are light; see `firstday.embed.light_users`.
    """

    ids: Ids
    vectors: np.ndarray
    uses: SparseRows
    n_light: int = 0

    @property
    def neighbor_vectors(self) -> np.ndarray:
        """Vectors of those who may be neighbours, the warm ones, float32, shape (n - n_light, d)."""
        return self.vectors[: len(self) - self.n_light]

    @property
    def used_by_neighbors(self) -> SparseRows:
        """Items that each of them uses, shape (n - n_light, n_items)."""
        return self.uses.head(len(self) - self.n_light)

    def __len__(self) -> int:
        return len(self.ids)


def draw_some(n: int, most: int, *, seed: int) -> np.ndarray:
    """Return indexes of n, ascending: all of them, or `most` of them, drawn at random, where there are more."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def keep_warm_users(ids: Ids, vectors: np.ndarray, uses: SparseRows, most: int, *, seed: int) -> WarmUsers:
    """Keep warm users, or so many of them, drawn at random, where there are more.

    Parameters
    ----------
    ids
        The caller's ids of all warm users.
    vectors
        Their mature vectors of length 1, float32, shape (n_warm, d).
    uses
        Items that each uses, shape (n_warm, n_items).
    most
        How many to keep, at most.
    seed
        Seed of the draw.

    Returns
    -------
    WarmUsers
        In the order of `ids`.
    """
    rows = draw_some(len(ids), most, seed=seed)
    if len(rows) == len(ids):
        return WarmUsers(ids, vectors, uses)
    return WarmUsers(Ids(ids.take(rows)), np.ascontiguousarray(vectors[rows]), uses.take(rows))


def add_light_users(warm: WarmUsers, light: WarmUsers) -> WarmUsers:
    """Put light users behind the warm ones."""
    return WarmUsers(
        Ids.of(pl.concat([warm.ids.values, light.ids.values])),
        np.concatenate([warm.vectors, light.vectors]),
        stack_rows([warm.uses, light.uses]),
        len(light),
    )


@dataclass(frozen=True)
class Neighborhood:
    """How `neighbors` and `friends` weigh warm users, chosen on validation users.

    Parameters
    ----------
    temperature
        Difference in cosine to the vector predicted for neighbours at which a neighbour's weight falls by e.
    smoothing
        Weight of everyone's habits beside all neighbours together.
    friend_smoothing
        Friends' worth of people like them added to the friends.
    """

    temperature: float = 0.05
    smoothing: float = 0.02
    friend_smoothing: float = 10.0
