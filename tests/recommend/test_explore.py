"""`explore` draws segments by belief, place by place, with known propensities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from firstday.features.signals import Signals
from firstday.methods.explore import draw_slate, seed_of
from firstday.recommend.answers import answer_query
from firstday.recommend.belief import believe_segments
from firstday.recommend.query import Query
from tests.tiny import make_model, make_quota

LISTS = np.array([[0, 2, 1], [3, 2, 4]])


def ask(*users: Signals, k: int = 6) -> Query:
    model = make_model()
    return Query(model, model.read_signals(users)[0], k)


def test_a_certain_belief_leaves_nothing_to_chance() -> None:
    drawn = list(draw_slate(LISTS, np.array([0.0, 1.0]), 6, np.random.default_rng(0), make_quota()))
    assert drawn == [(1, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0)]
    assert list(draw_slate(np.zeros((1, 0), int), np.array([1.0]), 3, np.random.default_rng(0), make_quota())) == []


def test_propensities_are_those_by_hand() -> None:
    """Of every list of three items from two segments with the probabilities 0.3 and 0.7."""
    by_hand: dict[tuple[int, ...], list[float]] = {
        (0, 2, 1): [0.3, 0.3, 0.3],
        (0, 2, 3): [0.3, 0.3, 0.7],
        (0, 3, 2): [0.3, 0.7, 1.0],  # both segments go on with item 2
        (3, 0, 2): [0.7, 0.3, 1.0],
        (3, 2, 0): [0.7, 0.7, 0.3],
        (3, 2, 4): [0.7, 0.7, 0.7],
    }
    found = set()
    for seed in range(200):
        drawn = list(draw_slate(LISTS, np.array([0.3, 0.7]), 3, np.random.default_rng(seed), make_quota()))
        items = tuple(int(LISTS[segment, position]) for segment, position, _ in drawn)
        assert [propensity for *_, propensity in drawn] == pytest.approx(by_hand[items])
        found.add(items)
    assert found == set(by_hand)


def test_a_user_gets_the_same_list_until_something_is_learned() -> None:
    nobody = Signals(user_id="u1")
    other = Signals(user_id="u2")
    told = Signals(user_id="u1", shown=["i1"])
    query = ask(nobody, nobody, other, told)
    seeds = [seed_of(query, row) for row in range(4)]
    assert seeds[0] == seeds[1]
    assert all(one != another for one, another in pairwise(seeds[1:]))
    assert seed_of(ask(nobody), 0) == seeds[0]  # whoever else asks
    answer = answer_query(query, "explore")
    np.testing.assert_array_equal(answer.items[0], answer.items[1])


def test_lists_hold_what_segments_use_and_nothing_that_is_closed() -> None:
    users = [
        Signals(user_id="u1"),
        Signals(user_id="u2", interactions=[("stream", "item", "i1"), ("ban", "item", "i4")], shown=["i2"]),
    ]
    query = ask(*users)
    answer = answer_query(query, "explore")
    assert answer.routes.tolist() == ["explore", "explore"]
    assert sorted(answer.items[0].tolist()) == [0, 1, 2, 3, 4, 5]
    assert answer.n_ranked.tolist() == [5, 2]
    assert sorted(answer.items[1, :2].tolist()) == [2, 4]
    assert answer.items[1, 2:].tolist() == [5, 1, -1, -1]  # nobody's, then what rests; used and banned ones never
    assert ((answer.propensities > 0) & (answer.propensities <= 1)).all()
    assert (answer.propensities[1, 2:] == 1).all()


def test_the_first_propensity_is_the_belief_in_the_segments_that_begin_with_the_item() -> None:
    query = ask(Signals(user_id="u9", interactions=[("stream", "item", "i5")]))
    belief = believe_segments(query, np.array([0]))[0]
    answer = answer_query(query, "explore")
    expected = {0: belief[0], 3: belief[1]}[int(answer.items[0, 0])]
    assert answer.propensities[0, 0] == pytest.approx(expected, rel=1e-5)
