"""`dropoutnet_personal`, `dropoutnet_segment`: DropoutNet's predicted vector, used in the paper's two ways."""

from __future__ import annotations

from firstday.recommend.nearest_segment import take_nearest_segment
from firstday.recommend.personal import rank_nearest
from firstday.recommend.query import Answer, Query


def recommend_dropoutnet_personal(query: Query) -> Answer:
    """Rank items by the vector that DropoutNet predicts; needs a signal or a profile value.

    References
    ----------
    M. Volkovs, G. Yu, T. Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017.
    """
    return rank_nearest(query, query.predicted_by("dropoutnet"), "dropoutnet_personal")


def recommend_dropoutnet_segment(query: Query) -> Answer:
    """Take the most used items of the segment nearest to DropoutNet's vector; needs a signal or a profile value."""
    return take_nearest_segment(query, query.predicted_by("dropoutnet"), "dropoutnet_segment")
