"""The answer for one user says everything about itself, and who is unknown to a model is told why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommendation import Recommendation, RecommendedItem
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, strategy_names
from tests.tiny import CONFIG, N_ITEMS


def test_an_answer_says_everything_about_itself(tiny: Recommender) -> None:
    interactions = [("stream", "item", "i4"), ("stream", "item", "zzz"), ("hum", "item", "i3"), ("ban", "label", 1)]
    answer = tiny.recommend(Signals(country="XX", interactions=interactions), k=3)
    assert answer == Recommendation(
        items=(
            RecommendedItem("i3", "Three", 0.5),
            RecommendedItem("i5", "Five", 0.5),
            RecommendedItem("i1", "One", 0.0),
        ),
        strategy="segment",
        route="segment",
        segment=1,
        segment_size=2,
        ignored=(
            "item 'zzz' is unknown",
            "signal 'hum' is unknown",
            "entity 'label' is unknown",
            "country 'XX' was never seen",
        ),
        notes=(),
        score_scale="share of the segment",
        n_ranked=2,
    )
    as_json = answer.to_json()
    assert as_json["items"][0] == {"item_id": "i3", "title": "Three", "score": 0.5, "propensity": 1.0}


def test_of_a_user_of_whom_nothing_is_known_there_is_no_segment(tiny: Recommender) -> None:
    answer = tiny.recommend(Signals())
    assert (answer.route, answer.segment, answer.segment_size, answer.ignored) == ("popular", None, None, ())
    assert len(answer.items) == 4  # the configured length


def test_the_configured_strategy_is_used_where_none_is_named(tiny: Recommender) -> None:
    other = Recommender(
        replace(tiny.model, config=CONFIG.override({"recommend.strategy": "fold_in", "recommend.k": 3}))
    )
    answer = other.recommend(Signals(interactions=[("stream", "item", "i1")]))
    assert (answer.strategy, answer.route, len(answer.items)) == ("fold_in", "fold_in", 3)


def test_a_long_list_takes_memory_of_the_catalogue_and_not_of_its_length(tiny: Recommender) -> None:
    answer = tiny.recommend(Signals(age=20), 10**9)
    assert sorted(item.item_id for item in answer.items) == [f"i{ix}" for ix in range(1, N_ITEMS + 1)]


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        find_strategy("psychic")
    known = ", ".join(strategy_names())
    advice = f"choose one of {known}, or add your own with --plugin MODULE or firstday.register."
    assert str(caught.value) == f"strategy: 'psychic' is unknown; {advice}"


def test_unknown_friends_are_named_and_change_nothing(tiny: Recommender) -> None:
    plain = tiny.recommend(Signals(age=20), strategy="blend")
    strange = tiny.recommend(Signals(age=20, friends=["nobody", "no one"]), strategy="blend")
    assert strange.items == plain.items
    assert strange.ignored == ("2 of 2 friends are unknown",)
