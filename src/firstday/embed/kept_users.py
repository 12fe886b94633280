"""Kept users: the warm users whom a model keeps, as neighbours and as friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, eq=False)
class WarmUsers:
    """The warm users that a model keeps.

    Parameters
    ----------
    ids
        The caller's ids.
    vectors
        Mature vectors of length 1, float32, shape (n, d).
    uses
        Items that each uses, all weights 1, shape (n, n_items).
    """

    ids: Ids
    vectors: np.ndarray
    uses: SparseRows

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Neighborhood:
    """Weights of users in `neighbors` and `friends`, chosen on validation users.

    Parameters
    ----------
    temperature
        Difference in cosine to the predicted vector at which a neighbour's weight falls by e.
    smoothing
        Weight of all users' shares beside the sum of the neighbours' weights.
    friend_smoothing
        How many friends the segments near the friends' mean vector count as.
    """

    temperature: float = 0.05
    smoothing: float = 0.02
    friend_smoothing: float = 10.0


def keep_warm_users(ids: Ids, vectors: np.ndarray, uses: SparseRows, max_users: int, *, seed: int) -> WarmUsers:
    """Keep all warm users, or as many as allowed, drawn at random.

    Parameters
    ----------
    ids
        The caller's ids of all warm users.
    vectors
        Their mature vectors of length 1, float32, shape (n_warm, d).
    uses
        Items that each uses, shape (n_warm, n_items).
    max_users
        How many to keep, at most.
    seed
        Seed of the draw.

    Returns
    -------
    WarmUsers
        In the order of `ids`.
    """
    rows = draw_rows(len(ids), max_users, seed=seed)
    if len(rows) == len(ids):
        return WarmUsers(ids, vectors, uses)
    return WarmUsers(Ids(ids.take(rows)), np.ascontiguousarray(vectors[rows]), uses.take(rows))


def draw_rows(n: int, max_rows: int, *, seed: int) -> np.ndarray:
    """Return all indexes of n rows, or `max_rows` of them, drawn at random; ascending."""
    if n <= max_rows:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, max_rows, replace=False))
