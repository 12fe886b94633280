"""`day_one` and `fold_in`: items near to a vector made of the day's items alone."""

from __future__ import annotations

import numpy as np

from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, StrategySpec, near_taste, reading


def recommend_day_one(query: Query) -> Answer:
    """Rank items by the mean vector of the items that the user likes so far; needs one that warm users have too."""
    means = query.liked_means
    return query.rank_by_vectors(means, "day_one", np.asarray(means.any(axis=1)))


def recommend_fold_in(query: Query) -> Answer:
    """Rank items by the folded-in vector; needs a liked item that warm users have too."""
    vectors = query.model.fold_in.solve(query.liked)
    return query.rank_by_vectors(vectors, "fold_in", np.asarray(vectors.any(axis=1)))


DAY_ONE = StrategySpec(
    name="day_one",
    recommend=recommend_day_one,
    describe="Rank items by the mean vector of the items that the user likes so far.",
    explain="Items near to the mean of what the user did so far.",
    reason=near_taste,
    reads=reading("liked"),
    scale=PROBABILITY,
)
FOLD_IN = StrategySpec(
    name="fold_in",
    recommend=recommend_fold_in,
    describe="Rank items by the vector solved from the items that the user likes so far, items fixed.",
    explain="Items near to the vector solved from what the user did so far.",
    reason=near_taste,
    reads=reading("liked"),
    scale=PROBABILITY,
)
