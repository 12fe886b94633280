"""PeerData: what the peers of the cold model learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from firstday.data.rows import SparseRows
from firstday.embed.embeddings import Embeddings
from firstday.features.rows import FeatureRows


@dataclass(frozen=True, eq=False)
class PeerData:
    """Warm users' first days and all that they used, and validation users' first days.

    Parameters
    ----------
    features
        One or more day-one samples of the warm users.
    liked
        Items liked in each of these samples, each of shape (n_warm, n_items).
    uses
        All that each warm user used, shape (n_warm, n_items).
    embeddings
        Step 1's result.
    validation_features, validation_liked
        Features and liked items of validation users' day one.
    """

    features: FeatureRows
    liked: Sequence[SparseRows]
    uses: SparseRows
    embeddings: Embeddings
    validation_features: np.ndarray
    validation_liked: SparseRows
