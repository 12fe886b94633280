"""`personal`: predicted vector, nearest items (PAPER: full-personalised); the same with other cold models' vectors."""

from __future__ import annotations

from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, ColdModelSpec, StrategySpec, near_taste, reading


def recommend_personal(query: Query) -> Answer:
    """Rank items by the predicted vector; needs a signal or a profile value."""
    return query.rank_by_vectors(query.predicted, "personal", query.known)


PERSONAL = StrategySpec(
    name="personal",
    recommend=recommend_personal,
    describe="Rank items by the predicted vector.",
    explain="Items near to the predicted taste.",
    reason=near_taste,
    reads=reading(),
    scale=PROBABILITY,
)


def by_items_of(cold_model: ColdModelSpec) -> StrategySpec:
    """Make the strategy that ranks items by the vector that another cold model predicts."""
    name = f"{cold_model.name}_personal"
    return StrategySpec(
        name=name,
        recommend=lambda query: query.rank_by_vectors(query.predicted_by(cold_model.name), name, query.known),
        describe=f"Rank items by the vector that {cold_model.title} predicts.",
        explain=f"Items near to the taste that {cold_model.title} predicts.",
        method=cold_model.name,
        reads=reading("liked"),
        scale=PROBABILITY,
    )
