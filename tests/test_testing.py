"""The promises of strategies are held: whoever breaks one is told which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import register
from firstday.recommend.spec import StrategySpec
from firstday.sparse import SparseRows
from firstday.testing import check_strategy
from tests.tiny import USES, with_learned

CALLS: list[int] = []
USERS = [Signals(age=20), Signals(interactions=[("stream", "item", "i1")])]


pytestmark = pytest.mark.usefixtures("fresh_registry")


@dataclass(frozen=True)
class Learned:
    """What a strategy learns."""


def rank_by(score: Callable[[Query, np.ndarray], np.ndarray]) -> Callable[[Query], Answer]:
    """Return a strategy for everyone that gives items scores, shape (n_rows, n_items) or what fits that."""

    def recommend(query: Query) -> Answer:
        everyone = np.ones(query.n_users, dtype=bool)
        shape = (query.n_users, query.model.n_items)
        scores = np.broadcast_to(score(query, np.arange(shape[1], dtype=np.float32)), shape).astype(np.float32)
        return query.rank_scores(lambda rows: scores[rows], "mine", everyone)

    return recommend


def count_calls(_query: Query, items: np.ndarray) -> np.ndarray:
    CALLS.append(1)
    return items if len(CALLS) % 2 else -items


def turn(query: Query) -> Answer:
    answer = rank_by(lambda _, items: items)(query)
    return replace(answer, scores=answer.scores[:, ::-1])


@pytest.mark.parametrize(
    ("recommend", "fault"),
    [
        (rank_by(count_calls), "returns different lists for the same query"),
        (rank_by(lambda query, items: items * (-1) ** query.k), "begins a longer list differently"),
        (rank_by(lambda query, items: items + query.n_users), "answers user 0 differently alone and among others"),
        (turn, r"fails for user 0 \(route 'mine'\): the scores must be finite and not rise"),
    ],
)
def test_a_broken_promise_is_told(recommend: Callable[[Query], Answer], fault: str, tiny: Recommender) -> None:
    register(StrategySpec(name="mine", describe="Breaks a promise.", recommend=recommend))
    with pytest.raises(AssertionError, match=f"^the strategy {fault}"):
        check_strategy(tiny, "mine", USERS, k=3)


def test_a_strategy_that_was_not_trained_is_refused(tiny: Recommender) -> None:
    register(StrategySpec(name="mine", describe="Learns.", recommend=len, fit=len, value=Learned))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^strategy: mine needs a model trained with methods = \['mine'\]"):
        check_strategy(tiny, "mine", USERS)


def test_who_keeps_them_passes(tiny: Recommender) -> None:
    register(StrategySpec(name="mine", describe="The last ones first.", recommend=rank_by(lambda _, items: items)))
    check_strategy(tiny, "mine", USERS)


@dataclass(frozen=True)
class Together:
    """Scores items by how often they are used with the liked ones."""

    counts: np.ndarray  # shape (n_items, n_items)

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return the sum of the counts of the liked items."""
        scores: np.ndarray = liked.ones().dense() @ self.counts
        return scores


def test_users_without_a_known_liked_item_are_left_to_the_fallbacks(tiny: Recommender) -> None:
    spec = StrategySpec(
        name="mine",
        describe="Together.",
        recommend=lambda query: query.rank_learned("mine"),
        fit=len,  # type: ignore[arg-type]
        value=Together,
    )
    register(spec)
    uses = USES.dense()
    careless = Recommender(with_learned(tiny.model, mine=Together(uses.T @ uses)))
    acts = [{"interactions": [(signal, "item", "i5")]} for signal in ("ban", "stream")]
    users: list[dict[str, Any]] = [{}, {"age": 20}, *acts]
    lists = careless.recommend_users(users, 2, "mine")
    assert [listed.route for listed in lists.values()] == ["popular", "group", "popular", "mine"]
    assert lists[3].items[0].item_id == "i4"  # u4 uses both
