"""KeptUsers: established people whom a model keeps, as neighbours of a predicted vector and as friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.splits.split import Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.embeddings import Embeddings
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows, stack_rows


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
        How many of them, the last ones, are light; see `firstday.embed.kept_users`.
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


def find_light_users(dataset: Dataset, split: Split, config: Config, embeddings: Embeddings) -> WarmUsers:
    """Return light users with vectors beside those of warm users, from which nothing was learned of them.

    A vector is the one brought for the user, where there is one, and else solved from the few items that they use, with
    the items' vectors as they are. Left out are those who disliked all that they used, and those who only used what no
    warm user does.

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
    rows = rows[draw_some(len(rows), config.recommend.light_users, seed=config.seed)]
    vectors = embeddings.fold_in.solve(affinity.take(rows))
    if dataset.brought is not None:
        brought = dataset.brought.user_vectors[split.light[rows]]
        has_own = np.isfinite(brought).all(axis=1)
        vectors[has_own] = brought[has_own]
    found = vectors.any(axis=1)
    rows, vectors = rows[found], unit_rows(vectors[found])
    uses = select_uses(split.light_actions, config.signals, len(split.light), n_items).take(rows)
    return WarmUsers(Ids(dataset.users.take(split.light[rows])), vectors, uses, len(rows))
