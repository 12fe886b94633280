"""Who is unknown to a model is answered as unknown, and told why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset, Group
from firstday.data.events import Events
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender
from firstday.training.fit import fit

LEARNED = ("segment", "personal", "input_clusters")


@pytest.fixture(scope="module")
def streams_only(world: Dataset, config: Config, split: Split) -> Recommender:
    """A model that knows a country of which no warm user is, and no signal but streams of items."""
    countries = world.groups["country"]
    codes = countries.codes.copy()
    codes[split.cold.users[0]] = len(countries.values)
    groups = {"country": Group((*countries.values, "ZZ"), codes)}
    events = world.events.whole().filter((pl.col("signal") == "stream") & (pl.col("entity") == "item"))
    kept = {("stream", "item"): split.warm_actions["stream", "item"]}
    days = tuple({("stream", "item"): day["stream", "item"]} for day in split.warm_day_one)
    short = config.override("cold_model.epochs", 2)
    narrowed = replace(split, warm_actions=kept, warm_day_one=days)
    return fit(replace(world, events=Events.of(events), groups=groups), narrowed, short)


@pytest.mark.parametrize("strategy", LEARNED)
@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        (Signals(country="ZZ"), "no warm user has country ZZ"),
        (Signals(age=119), "no warm user has age 119"),
        (
            Signals(interactions=[("ban", "item", "i003")]),
            "no warm user has ban x item on day one, so it does not move the prediction",
        ),
        (
            Signals(interactions=[("favorite", "artist", "a01")]),
            "no warm user has favorite x artist on day one, so it does not move the prediction",
        ),
    ],
)
def test_what_no_warm_user_has_tells_nothing(
    streams_only: Recommender, strategy: str, user: Signals, sentence: str
) -> None:
    found = streams_only.recommend(user, 10, strategy)
    assert (found.route, found.segment) == ("popular", None)
    assert found.ignored == (sentence,)
    assert len(found.items) == 10


def test_a_ban_that_moves_nothing_still_closes_its_item(streams_only: Recommender) -> None:
    first = streams_only.recommend(Signals(), 1).items[0].item_id
    found = streams_only.recommend(Signals(interactions=[("ban", "item", first)]), 10)
    assert first not in [item.item_id for item in found.items]


def test_one_thing_that_is_known_is_enough(streams_only: Recommender) -> None:
    for user in (Signals(age=20), Signals(country="FR"), Signals(interactions=[("stream", "item", "i003")])):
        assert streams_only.recommend(user, 10).route == "segment"


def test_numbers_of_other_kinds_are_ages_too() -> None:
    assert Signals(age=np.int64(24)).age == 24  # type: ignore[arg-type]
    assert Signals(age=24.0).age == 24  # type: ignore[arg-type]


def test_a_long_list_takes_memory_of_the_catalogue_and_not_of_its_length(recommender: Recommender) -> None:
    found = recommender.recommend(Signals(age=20), 10**9)
    assert len({item.item_id for item in found.items}) == len(found.items) == recommender.model.n_items
