"""The lists that every strategy makes for six visitors of the hand-made service, worked out with a pencil."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from firstday.features.signals import Signals
from firstday.methods.segments import SegmentLists, segment_lists
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import strategy_names
from tests.synthetic import COLD_MODELS
from tests.tiny import EAST, NORTH, NOWHERE, D, with_learned

VISITORS: dict[str, Signals] = {
    "nobody": Signals(),
    "profile": Signals(age=40, country="DE"),
    "one item": Signals(interactions=[("stream", "item", "i1")]),
    "two items": Signals(
        interactions=[*[("stream", "item", "i1")] * 3, ("stream", "item", "i5"), ("ban", "item", "i2")]
    ),
    "friend": Signals(friends=["u4"]),
    "four items": Signals(country="FR", interactions=[("stream", "item", f"i{ix}") for ix in (1, 2, 3, 4)]),
}
PREDICTED = [NOWHERE, (0, 2), EAST, (0.625, 0.375), NORTH, (1.5625, 0.4375)]
"""Sums of the means of age, country, streamed items and friends."""

POPULAR = {
    "nobody": ("popular", "i1 .6, i3 .6, i2 .4, i4 .4"),
    "one item": ("popular", "i3 .6, i2 .4, i4 .4, i5 .2"),
    "two items": ("popular", "i3 .6, i4 .4, i6 0"),
    "friend": ("popular", "i1 .6, i3 .6, i2 .4, i4 .4"),
}
"""Used and banned items are left out; a list is shorter where no more items are open."""
GROUP = {
    # Country DE: (users + 2 of everyone) / 4; age 40: (users + 2 of everyone) / 3; the mean of both.
    "profile": ("group", "i4 .65, i3 .475, i5 .408333, i1 .35"),
    "four items": ("group", "i5 .1, i6 0"),
}
FALLBACK = {**POPULAR, **GROUP}
"""What answers where a strategy has nothing to go on: the profile's groups, else everyone."""

EXPECTED: dict[str, dict[str, tuple[str, str]]] = {
    "popular": {
        **POPULAR,
        "profile": ("popular", "i1 .6, i3 .6, i2 .4, i4 .4"),
        "four items": ("popular", "i5 .2, i6 0"),
    },
    "group": FALLBACK,
    "day_one": {  # plain means (1, 0), (.625, .375) and (.5625, .4375)
        **FALLBACK,
        "one item": ("day_one", "i2 .75, i3 .5, i5 .25, i4 0"),
        "two items": ("day_one", "i3 .5, i4 .375, i6 0"),
        "four items": ("day_one", "i5 .46875, i6 0"),
    },
    "fold_in": {  # three streams count log2(1 + 3) = 2: (.75, .25)
        **FALLBACK,
        "one item": ("fold_in", "i2 .75, i3 .5, i5 .25, i4 0"),
        "two items": ("fold_in", "i3 .5, i4 .25, i6 0"),
        "four items": ("fold_in", "i5 .46875, i6 0"),
    },
    "personal": {
        **FALLBACK,
        "profile": ("personal", "i4 2, i5 1.5, i3 1, i2 .5"),
        "one item": ("personal", "i2 .75, i3 .5, i5 .25, i4 0"),
        "two items": ("personal", "i3 .5, i4 .375, i6 0"),
        "friend": ("personal", "i4 1, i5 .75, i3 .5, i2 .25"),
        "four items": ("personal", "i5 .71875, i6 0"),
    },
    "segment": {  # what is filled up with popular items has the score 0
        **FALLBACK,
        "profile": ("segment", "i4 1, i3 .5, i5 .5, i1 0"),
        "one item": ("segment", "i3 .666667, i2 .666667, i4 0, i5 0"),
        "two items": ("segment", "i3 .666667, i4 0, i6 0"),
        "friend": ("segment", "i4 1, i3 .5, i5 .5, i1 0"),
        "four items": ("segment", "i5 0, i6 0"),
    },
    "input_clusters": {  # nothing of a country is as near to both: the first
        **FALLBACK,
        "profile": ("input_clusters", "i3 .666667, i4 .666667, i1 .333333, i5 .333333"),
        "one item": ("input_clusters", "i3 .666667, i4 .666667, i5 .333333, i2 0"),
        "two items": ("input_clusters", "i3 .666667, i4 .666667, i6 0"),
        "friend": ("input_clusters", "i3 .666667, i4 .666667, i1 .333333, i5 .333333"),
        "four items": ("input_clusters", "i5 0, i6 0"),
    },
    "soft_segments": {
        # Shares that lean on one user of everyone: i1 .9, i3 .65, i2 .6 of segment 0; i4 .8, i3 .5333, i5 .4 of 1.
        # Weights of segment 0: 1/5, 2/3, 1 / (1 + 2^-.25), 1/3, 1 / (1 + 2^-1.125).
        **FALLBACK,
        "profile": ("soft_segments", "i4 .64, i3 .556667, i5 .32, i1 .18"),
        "one item": ("soft_segments", "i3 .611112, i2 .4, i4 .266667, i5 .133334"),
        "two items": ("soft_segments", "i3 .596709, i4 .365430, i6 0"),
        "friend": ("soft_segments", "i3 .572223, i4 .533334, i1 .3, i5 .266667"),
        "four items": ("soft_segments", "i5 .125746, i6 0"),
    },
    "neighbors": {
        # Weights of u1, u2 and u3 beside those of u4 and u5: 1/4, 2, 2^.25, 1/2, 2^1.125; half of everyone's share;
        # the sum over 1 1/2.
        **FALLBACK,
        "profile": ("neighbors", "i4 .618182, i3 .563636, i1 .381818, i5 .309091"),
        "one item": ("neighbors", "i3 .616667, i2 .466667, i4 .3, i5 .15"),
        "two items": ("neighbors", "i3 .604531, i4 .372813, i6 0"),
        "friend": ("neighbors", "i3 .580953, i4 .514286, i1 .485714, i2 .323809"),
        "four items": ("neighbors", "i5 .144703, i6 0"),
    },
    "friends": {  # (friends who use it + share of the segments near to them, as soft_segments has it) / (1 + 1)
        **FALLBACK,
        "friend": ("friends", "i4 .766667, i5 .633333, i3 .286111, i1 .15"),
    },
    "direct": {  # logarithms of 4^x, 2^x, 1, 4^y, 2^y over their sum, of a predicted vector (x, y); i6 is not ranked
        **FALLBACK,
        "profile": ("direct", "i4 -.362905, i5 -1.749200, i1 -3.135494, i2 -3.135494"),
        "one item": ("direct", "i2 -1.504077, i3 -2.197225, i4 -2.197225, i5 -2.197225"),
        "two items": ("direct", "i4 -1.546908, i3 -2.066769, i6 0"),
        "friend": ("direct", "i4 -.810930, i5 -1.504077, i1 -2.197225, i2 -2.197225"),
        "four items": ("direct", "i5 -2.460925, i6 0"),
    },
    "edlae": {  # i1: 3 for i2, 1 for i3; i5: -1 for i1
        **FALLBACK,
        "one item": ("edlae", "i2 3, i3 1, i4 0, i5 0"),
        "two items": ("edlae", "i3 1, i4 0, i6 0"),
        "four items": ("edlae", "i5 0, i6 0"),
    },
    "blend": {
        # Nothing liked: log popular + 1/2 log soft_segments. One item: 1/2 log popular + personal in standard
        # deviations + 1/2 direct, which is 0 for the item that the ranker has first and -20 for i6, + 1/2 of the
        # weights of the liked items (i1: 3 for i2, 1 for i3; i5: -1 for i1) in standard deviations. Twenty: personal +
        # 2 of these. Between one and twenty by log items / log 20. Shares are raised by 1e-6 before the logarithm.
        **FALLBACK,
        "profile": ("blend", "i3 -.803717, i4 -1.139431, i1 -1.368219, i2 -1.976414"),
        "one item": ("blend", "i2 2.564545, i3 .845349, i5 -.827043, i4 -1.151291"),
        "two items": ("blend", "i3 2.606234, i4 1.361429, i6 -12.995669"),
        "friend": ("blend", "i3 -.789936, i1 -1.112808, i4 -1.230591, i2 -1.721004"),
        "four items": ("blend", "i5 .448656, i6 -9.083583"),
    },
    "ease": {  # 1 for each item used together with one of theirs
        **FALLBACK,
        "one item": ("ease", "i2 1, i3 1, i4 0, i5 0"),
        "two items": ("ease", "i3 1, i4 1, i6 0"),
        "four items": ("ease", "i5 1, i6 0"),
    },
}
RECENT = {  # without a clock, the items of `popular`, whose shares sum up to 2.2
    "i1 .6": "i1 .272727", "i3 .6": "i3 .272727", "i2 .4": "i2 .181818", "i4 .4": "i4 .181818", "i5 .2": "i5 .090909"
}  # fmt: skip
EXPECTED["recent"] = {
    user: ("recent", ", ".join(RECENT.get(place, place) for place in places.split(", ")))
    for user, (_, places) in EXPECTED["popular"].items()
}
EXPECTED["trending"] = {user: ("trending", places) for user, (_, places) in EXPECTED["recent"].items()}  # without times
EXPECTED["latest"] = {
    **EXPECTED["trending"],
    "one item": ("latest", "i2 2, i3 .272727, i4 .181818, i5 .090909"),  # on the second day; the rest is trending
    "two items": ("latest", "i4 4, i3 .272727, i6 0"),
    "four items": ("latest", "i5 5, i6 0"),
}
if COLD_MODELS:
    from tests.lab.baselines.by_hand import LISTS

    EXPECTED |= {strategy: {**FALLBACK, **lists} for strategy, lists in LISTS.items()}
EXPECTED["auto"] = EXPECTED["blend"]  # nothing was selected for this model; see test_auto.py


def write_out(lists: dict[str, tuple[str, str]]) -> pl.DataFrame:
    """Make the frame of lists that are written as text."""
    rows: list[tuple[Any, ...]] = []
    for user in VISITORS:
        route, places = lists[user]
        for rank, place in enumerate(places.split(", "), 1):
            item_id, score = place.split(" ")
            rows.append((user, route, rank, item_id, float(score)))
    return pl.DataFrame(rows, schema=["user", "route", "rank", "item_id", "score"], orient="row")


def test_every_strategy_has_its_table() -> None:
    assert {*EXPECTED, "explore"} == set(strategy_names())  # explore draws its lists: see test_explore.py


def test_the_network_predicts_the_sum_of_means(tiny: Recommender) -> None:
    batch, ignored = tiny.model.catalogue.read(list(VISITORS.values()))
    query = Query(tiny.model, batch, 4)
    assert query.predicted.shape == (len(VISITORS), D)
    np.testing.assert_array_equal(query.predicted, PREDICTED)
    assert query.has_features.tolist() == [False, True, True, True, True, True]
    assert query.nearest_segments.tolist() == [0, 1, 0, 0, 1, 0]
    assert set(ignored) == {()}


@pytest.mark.parametrize("strategy", EXPECTED)
def test_lists_are_those_worked_out_by_hand(tiny: Recommender, strategy: str) -> None:
    rows = []
    for user, signals in VISITORS.items():
        answer = tiny.recommend(signals, 4, strategy)
        rows += [(user, answer.route, rank, i.item_id, i.score) for rank, i in enumerate(answer.items, 1)]
    frame = pl.DataFrame(rows, schema=["user", "route", "rank", "item_id", "score"], orient="row")
    assert_frame_equal(frame, write_out(EXPECTED[strategy]), abs_tol=2e-6, rel_tol=2e-6)


def test_the_lists_of_segments_lean_on_everyone_as_far_as_smoothing_says(tiny: Recommender) -> None:
    """Five average users, who use i1 and i3 thrice, i2 and i4 twice, i5 once, beside the three and two of segments."""
    model = with_learned(tiny.model, segment=SegmentLists(smoothing=5.0))
    items, shares = segment_lists(model)
    assert items.tolist() == [[0, 2, 1], [2, 3, 0]]
    np.testing.assert_allclose(shares, [[6 / 8, 5 / 8, 4 / 8], [4 / 7, 4 / 7, 3 / 7]], rtol=1e-6)
    assert Recommender(model).recommend(VISITORS["profile"], 2, "segment").items[1].item_id == "i4"
    bare = replace(model, unlisted=np.array([2], np.int32))
    assert segment_lists(bare)[0].tolist() == [[0, 1, 3], [3, 0, 1]]
    assert segment_lists(tiny.model)[0] is model.segments.top_items
