"""Kept users: the warm and light users whom a model keeps, as neighbours and as friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.splits.split import Split
from firstday.display import readable
from firstday.embed.embeddings import Embeddings, compute_affinity, select_uses
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, stack_rows


@readable
@dataclass(frozen=True, eq=False)
class WarmUsers:
    """The warm users that a model keeps, then the light users, who may be friends but not neighbours.

    Parameters
    ----------
    ids
        The caller's ids.
    vectors
        Mature vectors of length 1, float32, shape (n, d).
    uses
        Items that each uses, all weights 1, shape (n, n_items).
    n_light
        How many are light; these are the last.
    """

    ids: Ids
    vectors: np.ndarray
    uses: SparseRows
    n_light: int = 0

    @property
    def neighbor_vectors(self) -> np.ndarray:
        """Vectors of the warm users, who may be neighbours, float32, shape (n - n_light, d)."""
        return self.vectors[: len(self) - self.n_light]

    @property
    def used_by_neighbors(self) -> SparseRows:
        """Items that each warm user uses, shape (n - n_light, n_items)."""
        return self.uses.head(len(self) - self.n_light)

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


def find_light_users(dataset: Dataset, split: Split, config: Config, embeddings: Embeddings) -> WarmUsers:
    """Return light users with vectors in the space of the warm users, without learning anything from them.

    A vector is the user's precomputed vector, or else folded in from the few items that the user uses. Users are left
    out who dislike all items that they used, and users whose items no warm user has.

    Parameters
    ----------
    dataset, split, config
        See `firstday.training.fit.fit`.
    embeddings
        Vectors of warm users and items.

    Returns
    -------
    WarmUsers
        `recommend.light_users` at most, drawn at random, in the order of `split.light`.
    """
    n_items = len(dataset.items)
    affinity = compute_affinity(split.light_actions, config.signals, len(split.light), n_items)
    rows = np.flatnonzero(affinity.lengths())
    rows = rows[draw_rows(len(rows), config.recommend.light_users, seed=config.seed)]
    vectors = embeddings.fold_in.solve(affinity.take(rows))
    if dataset.precomputed is not None:
        precomputed = dataset.precomputed.user_vectors[split.light[rows]]
        has_precomputed = np.isfinite(precomputed).all(axis=1)
        vectors[has_precomputed] = precomputed[has_precomputed]
    has_vector = vectors.any(axis=1)
    rows, vectors = rows[has_vector], unit_rows(vectors[has_vector])
    uses = select_uses(split.light_actions, config.signals, len(split.light), n_items).take(rows)
    return WarmUsers(Ids(dataset.users.take(split.light[rows])), vectors, uses, len(rows))


def add_light_users(warm: WarmUsers, light: WarmUsers) -> WarmUsers:
    """Put light users after the warm users."""
    return WarmUsers(
        Ids.of(pl.concat([warm.ids.values, light.ids.values])),
        np.concatenate([warm.vectors, light.vectors]),
        stack_rows([warm.uses, light.uses]),
        len(light),
    )


def draw_rows(n: int, max_rows: int, *, seed: int) -> np.ndarray:
    """Return all indexes of n rows, or `max_rows` of them, drawn at random; ascending."""
    if n <= max_rows:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, max_rows, replace=False))
