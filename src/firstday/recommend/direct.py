"""`direct`: day-one features, network, items, without a vector or a segment in between (not in the paper)."""

from __future__ import annotations

import numpy as np

from firstday.ranking import spread_scores
from firstday.recommend.query import Answer, Query
from firstday.recommend.spec import PROBABILITY, RANKER, StrategySpec, near_taste, reading


def recommend_direct(query: Query) -> Answer:
    """Rank items by the ranker; needs a signal or a profile value."""
    return query.rank_scores(lambda rows: score_direct(query, rows), "direct", query.known)


def score_direct(query: Query, rows: np.ndarray) -> np.ndarray:
    """Return log-probabilities, minus infinity for items that are not ranked, float32, shape (n_rows, n_items)."""
    ranker = query.model.ranker
    assert ranker is not None
    return spread_scores(ranker.score(query.ranker_hidden[rows]), ranker.items, query.model.n_items)


DIRECT = StrategySpec(
    name="direct",
    recommend=recommend_direct,
    describe="Rank items by a network that goes straight from day-one features to items.",
    explain="Items that people with such a first day went on to use, as a network has learned it.",
    reason=near_taste,
    needs=(RANKER,),
    reads=reading(),
    scale=PROBABILITY,
)
