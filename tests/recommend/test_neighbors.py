"""`neighbors` against plain computation."""

from __future__ import annotations

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.recommend.neighbors import N_NEIGHBORS, score_neighbors
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.training.fit import cohort_query


def expected_shares(query: Query, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return shares of all near users by plain computation."""
    model = query.model
    assert model.warm is not None
    all_shares = []
    for row in rows:
        cosine = model.warm.vectors @ vectors[row]
        nearest = np.argsort(-cosine)[:N_NEIGHBORS]
        weights = np.exp((cosine[nearest] - cosine.max()) / model.neighborhood.temperature)
        shares = model.neighborhood.smoothing * model.popularity
        for weight, user in zip(weights / weights.sum(), nearest, strict=True):
            shares = shares + weight * np.isin(np.arange(model.n_items), model.warm.uses.row(user))
        all_shares.append(shares)
    return np.array(all_shares)


def test_shares_are_those_of_plain_computation(world: Dataset, split: Split, recommender: Recommender) -> None:
    query = cohort_query(recommender, world, split.cold, 20)
    rows = np.arange(5)
    plain = expected_shares(query, rows, query.predicted)
    np.testing.assert_allclose(score_neighbors(query, rows), plain, rtol=1e-4, atol=1e-6)
