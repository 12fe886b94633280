"""Replay on five users, and the simple bandits beside a library's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mabwiser.mab import MAB, LearningPolicy

from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.features.signals import Signals
from firstday.lab.replay.policies import ALPHA, POLICIES, bound_shares, choose_greedily
from firstday.lab.replay.replay import draw_depths, replay, replay_policies
from firstday.lab.replay.replay_results import ReplaySettings
from firstday.recommend.answers import answer_query
from firstday.recommend.query import Answer, Query
from firstday.recommend.rules.list_rules import Rules
from firstday.recommend.spec import Strategy
from firstday.sparse import SparseRows
from tests.synthetic import brief_config
from tests.tiny import make_model

NOBODY = Signals(user_id="nobody")
EASTERN = Signals(user_id="eastern", interactions=[("stream", "item", "i2")])
TRUTH = SparseRows.from_lists([[2, 3, 5], [0, 2, 4]], 6)
"""Popularity lists i1, i3, i2, i4, i5 and i6."""


def ask(*users: Signals, believed: float = 0.9) -> Query:
    model = make_model()
    model = replace(model, config=model.config.override("signals.persistence", believed))
    return Query(model, model.read_signals(users)[0], 2)


def play(policy: str, believed: float = 0.9, **settings: Any) -> list[list[int]]:
    rules = ReplaySettings(**{"rounds": 3, "slate": 2, **settings})
    depths = draw_depths(2, rules, np.random.default_rng(0))
    hits: list[list[int]] = replay(ask(NOBODY, EASTERN, believed=believed), TRUTH, policy, rules, depths).tolist()
    return hits


def test_users_use_what_stands_in_their_truth() -> None:
    assert play("popular@once") == [[1, 1, 1], [2, 1, 0]]  # i1 i3 | i2 i4 | i5 i6; and i1 i3 | i4 i5 | i6
    assert play("popular") == [[1, 1, 1], [2, 1, 0]]  # what was passed over rests, so that the list goes on


def test_what_stands_below_what_is_seen_is_not_used_and_comes_again() -> None:
    # Of two places the first is seen: i1 | i3 ... A list asked again shows what was not seen once more.
    assert play("popular@once", visible=1, persistence=0.0) == [[0, 0, 0], [1, 0, 0]]
    narrow = {"visible": 1, "persistence": 0.0, "rounds": 6}
    assert play("popular", believed=0.0, **narrow) == [[0, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 0]]
    # Who believes that the second place was seen passes on, and shows last what rests.
    assert play("popular", believed=0.9, **narrow) == [[0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]]


def test_rules_hold_for_every_slate() -> None:
    settings = ReplaySettings(rounds=3, slate=2)

    def answer_without_i1(query: Query, strategy: str | Strategy) -> Answer:
        return answer_query(query, strategy, [Rules(deny=["i1"])])

    for policy in ("popular", "popular@once"):  # i3 i2 | i4 i5 | i6, and i3 i4 | i5 i6 |
        depths = draw_depths(2, settings, np.random.default_rng(0))
        hits = replay(ask(NOBODY, EASTERN), TRUTH, policy, settings, depths, answer_without_i1)
        assert hits.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_late_news_is_not_used_twice() -> None:
    early = play("popular", rounds=5)
    late = play("popular", rounds=5, delay=2)
    assert [sum(row) for row in late] == [sum(row) for row in early] == [3, 3]


def test_a_policy_learns_what_was_used_in_the_round_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int]]] = []

    def watch(query: Query) -> Answer:
        seen.append((query.liked.row(0).tolist(), query.passed_over.row(0).tolist()))
        return answer_query(query, "popular")

    monkeypatch.setitem(POLICIES, "watch", watch)
    play("watch")
    assert seen == [([], []), ([2], [0]), ([2, 3], [0, 1])]


def test_a_policy_that_is_told_uses_alone_lets_the_rest_rest() -> None:
    assert play("popular@uses") == play("popular")


@pytest.mark.parametrize(
    ("policies", "against", "sentence"),
    [
        (["epsilon@once"], None, "strategy: 'epsilon' is unknown; choose one of"),
        (["blend", "nothing@uses"], None, "strategy: 'nothing' is unknown; choose one of"),
        (["blend"], "segment@once", "against: segment@once is not among the policies; add it to them."),
    ],
)
def test_policies_that_do_not_exist_are_refused(
    world: Dataset, policies: list[str], against: str | None, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        replay_policies(world, policies=policies, against=against)
    assert sentence in str(caught.value)


def test_depths_are_the_cascade() -> None:
    rng = np.random.default_rng(1)
    assert (draw_depths(4, ReplaySettings(), rng) == 12).all()
    assert (draw_depths(4, ReplaySettings(visible=3, persistence=1.0), rng) == 12).all()
    assert (draw_depths(4, ReplaySettings(visible=3, persistence=0.0), rng) == 3).all()
    depths = draw_depths(5_000, ReplaySettings(rounds=4, slate=100, visible=3, persistence=0.5), rng)
    for depth, share in ((3, 0.5), (4, 0.25)):
        assert (depths > depth).mean() == pytest.approx(share, abs=5 * np.sqrt(0.25 / depths.size))


def test_arms_are_those_of_a_library() -> None:
    used = np.array([2.0, 1, 3])
    seen = np.array([4.0, 3, 5])
    history = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2], [1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    bandit = MAB(arms=[0, 1, 2], learning_policy=LearningPolicy.UCB1(alpha=ALPHA))
    bandit.fit(*history)
    np.testing.assert_allclose(bound_shares(used, seen), list(bandit.predict_expectations().values()))
    assert choose_greedily(used, seen, np.random.default_rng(0), 0.0) == 2
    assert {choose_greedily(used, seen, np.random.default_rng(seed), 1.0) for seed in range(60)} == {0, 1, 2}


def test_results_hold_every_policy_user_and_round(world: Dataset) -> None:
    policies = ["popular", "segment@once", "segment", "explore", "epsilon", "ucb"]
    settings = ReplaySettings(rounds=2, slate=5)
    results = replay_policies(world, brief_config(), policies=policies, settings=settings)
    values = results.to_json()
    rows = {row["policy"]: row for row in values["results"]}
    assert set(rows) == set(policies)
    assert (values["rounds"], values["slate"], values["visible"], values["against"]) == (2, 5, None, "segment@once")
    assert rows["segment"]["hits_by_round"][0] == rows["segment@once"]["hits_by_round"][0]
    assert rows["segment@once"]["ratio_ci"] == [1, 1]
    for row in rows.values():
        assert sum(row["hits_by_round"]) == pytest.approx(row["hits"], abs=1e-3)
    picture = results.plot()
    assert all(f">{name}<" in picture for name in policies)
