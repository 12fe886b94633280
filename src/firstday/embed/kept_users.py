"""Warm users stored in the model, who serve as neighbours and friends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.data.ids import Ids
from firstday.display import readable
from firstday.sparse import SparseRows


@readable
@dataclass(frozen=True, eq=False)
class WarmUsers:
    """Warm users stored in a model."""

    ids: Ids
    vectors: np.ndarray  # mature vectors of length 1, float32, shape (n, d)
    uses: SparseRows  # items that each user uses, all weights 1, shape (n, n_items)

    def __len__(self) -> int:
        return len(self.ids)


def keep_warm_users(ids: Ids, vectors: np.ndarray, uses: SparseRows, max_users: int, *, seed: int) -> WarmUsers:
    """Select all warm users, or a random sample of `max_users`, in the order of `ids`.

    `vectors` are mature vectors, of length 1: float32, shape (n_warm, d).
    """
    rows = draw_rows(len(ids), max_users, seed=seed)
    return WarmUsers(Ids(ids.take(rows)), vectors[rows], uses.take(rows))


def draw_rows(n: int, max_rows: int, *, seed: int) -> np.ndarray:
    """Return the ascending indexes of all n rows, or of a random sample of `max_rows`."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, max_rows), replace=False))
