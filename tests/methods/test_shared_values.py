"""A model holds what several methods read; what one method alone needs belongs to that method."""

from __future__ import annotations

from model_readers import SHARED, find_readers

from firstday.recommend.recommender import Recommender

FEW_READERS = {
    "facts",  # describe the model
    "dimensions",  # describe the model
    "members_of_items",  # the questionnaire asks about them
    "kept_by_segment",  # narrows neighbours only in large models; the questionnaire reads it
    "shown_counts",  # the impressions, from which `explore` learns
    "clock",  # `blend` applies it to the components of all methods
    "clock_factors",
    "recent_items",  # `recent` ranks by them, and fills lists up
    "recent_shares",
    "links",  # what goes with an item
    "content",  # places new items in the lists of all methods
}


def test_at_least_two_methods_read_each_value(tiny: Recommender) -> None:
    readers = find_readers(tiny)
    assert {name for name in SHARED if len(readers[name]) < 2} <= FEW_READERS
