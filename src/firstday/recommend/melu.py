"""`melu_personal`, `melu_segment`: MeLU's predicted vector, used in the paper's two ways."""

from __future__ import annotations

from firstday.recommend.nearest_segment import take_nearest_segment
from firstday.recommend.personal import rank_nearest
from firstday.recommend.query import Answer, Query


def recommend_melu_personal(query: Query) -> Answer:
    """Rank items by the vector that MeLU predicts; needs a signal or a profile value.

    References
    ----------
    H. Lee et al., "MeLU: Meta-Learned User Preference Estimator for Cold-Start Recommendation", KDD 2019.
    """
    return rank_nearest(query, query.predicted_by("melu"), "melu_personal")


def recommend_melu_segment(query: Query) -> Answer:
    """Take the most used items of the segment nearest to MeLU's vector; needs a signal or a profile value."""
    return take_nearest_segment(query, query.predicted_by("melu"), "melu_segment")
