"""The answer for one user says everything about itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstday.config import Config
from firstday.data.events import ITEM
from firstday.embed.affinity import select_uses
from firstday.errors import ConfigError
from firstday.features.signals import SignalBatch, Signals
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, strategy_names
from firstday.sparse import SparseRows
from tests.synthetic import N_ITEMS

K = 20
LIKES = [("stream", "item", f"i{ix:03}") for ix in (0, 4, 8)]


def test_an_answer_says_everything_about_itself(recommender: Recommender) -> None:
    user = Signals(
        country="XX",
        interactions=[
            ("stream", "item", "i003"),
            ("stream", "item", "zzz"),
            ("hum", "item", "i003"),
            ("ban", "label", 1),
        ],
    )
    found = recommender.recommend(user, k=7)
    assert (found.strategy, found.route) == ("segment", "segment")
    assert [item.title for item in found.items] == [f"Item {int(item.item_id[1:])}" for item in found.items]
    assert found.ignored == (
        "item 'zzz' is unknown",
        "signal 'hum' is unknown",
        "entity 'label' is unknown",
        "country 'XX' was never seen",
    )
    assert found.segment is not None
    assert found.segment_size == recommender.model.segments.items.sizes[found.segment]
    as_json = found.to_json()
    assert set(as_json) == {"items", "strategy", "route", "segment", "segment_size", "ignored"}
    assert set(as_json["items"][0]) == {"item_id", "title", "score"}
    assert len(as_json["items"]) == 7


def test_of_a_user_of_whom_nothing_is_known_there_is_no_segment(recommender: Recommender) -> None:
    found = recommender.recommend(Signals())
    assert (found.route, found.segment, found.segment_size, found.ignored) == ("popular", None, None, ())
    assert len(found.items) == 20  # the configured length


def test_the_configured_strategy_is_used_where_none_is_named(recommender: Recommender, config: Config) -> None:
    own = config.override({"recommend.strategy": "fold_in", "recommend.k": 3})
    other = Recommender(replace(recommender.model, config=own))
    found = other.recommend(Signals(interactions=LIKES))
    assert (found.strategy, found.route, len(found.items)) == ("fold_in", "fold_in", 3)


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_has_at_least_one_item(recommender: Recommender, k: int) -> None:
    with pytest.raises(ConfigError, match=rf"^k: is {k}; give a whole number from 1\.$"):
        recommender.recommend(Signals(), k=k)


def test_an_unknown_strategy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        find_strategy("psychic")
    assert str(caught.value) == f"strategy: 'psychic' is unknown; choose of {', '.join(strategy_names())}."


def test_closing_items_of_a_dense_user_leaves_their_neighbours_alone(recommender: Recommender) -> None:
    """Keys of (user, item) must not run over into the next user."""
    n = 3
    last_and_first = SparseRows.from_lists([[N_ITEMS - 1], [0], []], N_ITEMS)
    batch = SignalBatch(n, N_ITEMS, {("ban", ITEM): last_and_first}, {}, None)
    lists = recommender.recommend_batch(batch, N_ITEMS, "popular").items
    assert [sorted(set(range(N_ITEMS)) - set(row.tolist())) for row in lists] == [[N_ITEMS - 1], [0], []]
    assert select_uses(batch.actions, recommender.model.config.signals, n, N_ITEMS).n_entries == 0
