"""PeerData: what the peers of the cold model learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from firstday.embed.embeddings import Embeddings
from firstday.features.encoder import FeatureRows
from firstday.sparse import SparseRows


@dataclass(frozen=True, eq=False)
class PeerData:
    """Warm users' first days and all that they used, and validation users' first days.

    Parameters
    ----------
    features
        One or more day-one samples of the warm users.
    liked
        Items liked in each of these samples, each of shape (n_warm, n_items + n_stand_ins).
    uses
        All that each warm user used, shape (n_warm, n_items + n_stand_ins), no entry being a stand-in.
    embeddings
        Step 1's result.
    validation_features, validation_liked
        Features and liked items of validation users' day one.
    stand_ins
        float32, shape (n_stand_ins, d): vectors that stand in for liked items of which only the mean vector is known,
        scaled as items' scoring vectors are; no lists are made of them.
    """

    features: FeatureRows
    liked: Sequence[SparseRows]
    uses: SparseRows
    embeddings: Embeddings
    validation_features: np.ndarray
    validation_liked: SparseRows
    stand_ins: np.ndarray | None = None

    @cached_property
    def liked_vectors(self) -> np.ndarray:
        """Vectors of what `liked` has for columns, float32, shape (n_items + n_stand_ins, d)."""
        items = self.embeddings.scoring_vectors
        return items if self.stand_ins is None else np.concatenate([items, self.stand_ins])
