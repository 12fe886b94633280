"""Strategies that rank items by a vector of the user: `day_one`, `fold_in`, `personal`, cold models; and `direct`.

The vector is computed from the day-one items alone, or predicted (the paper's fully personalised system). `direct` maps
features to items by a network, without a vector or segment in between (not in the paper).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from firstday.ranking import spread_scores
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, RANKER, ColdModelSpec, StrategySpec, near_taste


def recommend_day_one(query: Query) -> Answer:
    """Rank items by the mean vector of the liked items; needs a liked item that warm users use."""
    means = query.liked_means
    return query.rank_by_vectors(means, "day_one", np.asarray(means.any(axis=1)))


def recommend_fold_in(query: Query) -> Answer:
    """Rank items by the folded-in vector; needs a liked item that warm users use."""
    vectors = query.model.fold_in.solve(query.liked)
    return query.rank_by_vectors(vectors, "fold_in", np.asarray(vectors.any(axis=1)))


DAY_ONE = StrategySpec(
    name="day_one",
    recommend=recommend_day_one,
    describe="Rank items by the mean vector of the items that the user likes so far.",
    explain="Items similar to the mean of the items that the user likes so far.",
    reason=near_taste,
    reads=("liked",),
    scale=PROBABILITY,
)
FOLD_IN = StrategySpec(
    name="fold_in",
    recommend=recommend_fold_in,
    describe="Rank items by the vector fitted to the items that the user likes so far, with item vectors fixed.",
    explain="Items similar to the taste fitted to the items that the user likes so far.",
    reason=near_taste,
    reads=("liked",),
    scale=PROBABILITY,
)


PERSONAL = StrategySpec(
    name="personal",
    recommend=lambda query: query.rank_by_vectors(query.predicted, "personal", query.has_features),
    describe="Rank items by the predicted vector.",
    explain="Items close to the predicted taste.",
    reason=near_taste,
    reads=(),
    scale=PROBABILITY,
)


def personal_strategy(cold_model: ColdModelSpec) -> StrategySpec:
    """Return the strategy that ranks items by the vector of another cold model."""
    name = f"{cold_model.name}_personal"
    return StrategySpec(
        name=name,
        recommend=lambda query: query.rank_by_vectors(query.predicted_by(cold_model.name), name, query.has_features),
        describe=f"Rank items by the vector that {cold_model.title} predicts.",
        explain=f"Items close to the taste that {cold_model.title} predicts.",
        learned_by=cold_model.name,
        reads=("liked",),
        scale=PROBABILITY,
    )


def score_direct(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float32, shape (n_rows, n_items); minus infinity for items the ranker lacks."""
    ranker = query.model.ranker
    assert ranker is not None
    return spread_scores(ranker.score(query.ranker_hidden[rows]), ranker.items, query.model.n_items)


DIRECT = StrategySpec(
    name="direct",
    recommend=lambda query: query.rank_scores(partial(score_direct, query), "direct", query.has_features),
    describe="Rank items by a network that goes straight from day-one features to items.",
    explain="Items that people with a similar first day went on to use, as predicted by a network.",
    reason=near_taste,
    needs=(RANKER,),
    reads=(),
    scale=PROBABILITY,
)
