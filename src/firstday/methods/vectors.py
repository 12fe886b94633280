"""Strategies that rank items by a vector of the user: `day_one`, `fold_in`, `personal` and cold models.

The vector is computed from the day-one items alone, or predicted (the paper's fully personalised system).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from firstday.model.trained_model import TrainedModel
from firstday.ranking import multiply_rows
from firstday.recommend.component import Component, Scores
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, ColdModelSpec, StrategySpec, near_taste


def score_by_vector(model: TrainedModel, vectors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return scores by users' vectors, shape (n_users, d), in standard deviations over all items, shape of `chosen`."""
    variance = ((vectors @ model.vector_covariance) * vectors).sum(axis=1)
    deviation = np.sqrt(np.maximum(variance, np.float32(1e-18)))
    return multiply_rows(model.scoring_vectors, chosen, vectors / deviation[:, None])


def component_of_vectors(find_vectors: Callable[[Query, np.ndarray], np.ndarray]) -> Component:
    """Make a component from a function that returns the vectors of some rows of a query, float32, shape (n_rows, d)."""
    return lambda query, rows: Scores(partial(score_by_vector, query.model, find_vectors(query, rows)))


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
    component=component_of_vectors(lambda query, rows: query.liked_means[rows]),
    scale=PROBABILITY,
)
FOLD_IN = StrategySpec(
    name="fold_in",
    recommend=recommend_fold_in,
    describe="Rank items by the vector fitted to the items that the user likes so far, with item vectors fixed.",
    explain="Items similar to the taste fitted to the items that the user likes so far.",
    reason=near_taste,
    component=component_of_vectors(lambda query, rows: query.model.fold_in.solve(query.liked.take(rows))),
    scale=PROBABILITY,
)


PERSONAL = StrategySpec(
    name="personal",
    recommend=lambda query: query.rank_by_vectors(query.predicted, "personal", query.has_features),
    describe="Rank items by the predicted vector.",
    explain="Items close to the predicted taste.",
    reason=near_taste,
    component=component_of_vectors(lambda query, rows: query.predicted[rows]),
    position=2,
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
        based_on=cold_model.name,
        scale=PROBABILITY,
    )
