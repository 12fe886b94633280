"""Belief by evidence, and what `blend` and `auto` make of it, on five users whose answer is plain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.embed.embeddings import PASSED_OVER, FoldIn
from firstday.features.signals import Signals
from firstday.features.wire_types import Impression
from firstday.methods.blend import score_blend
from firstday.methods.candidates import HALFWAY, _share_by_belief, score_evidence
from firstday.model.trained_model import TrainedModel
from firstday.recommend import belief as rules
from firstday.recommend.answers import answer_query
from firstday.recommend.belief import believe_people, believe_segments, llr_of_no, llr_of_yes, normalise
from firstday.recommend.query import Query
from firstday.sparse import SparseRows
from tests.tiny import EAST, ITEM_VECTORS, NORTH, USES, make_model

EASTERN = Signals(interactions=[("stream", "item", "i1")])
TOLD = EASTERN.copy(shown=["i2", Impression("i4", 1, "a"), Impression("i3", 3, "a")])
NOBODY_TOLD = Signals(shown=["i1", "i3"])


@pytest.fixture
def model() -> TrainedModel:
    return make_model()


def ask(model: TrainedModel, *users: Signals, k: int = 4) -> Query:
    return Query(model, model.read_signals(users)[0], k)


def test_whom_a_user_is_like_follows_from_the_prior_and_every_piece_of_evidence(model: TrainedModel) -> None:
    query = ask(model, EASTERN, TOLD)
    assert query.passed_over.row(1).tolist() == [1, 2, 3]
    shares = np.array([0.6, 0.4, 0.6, 0.4, 0.2, 1 / 12])
    seen = {1: 1.0, 2: 0.9**2, 3: 1.0}
    prior = np.array([1, 1, 1, 0, 0]) / rules.NEARNESS
    for row, passed_over in ((0, {}), (1, seen)):
        logs = np.zeros(5)
        for user in range(5):
            for item in USES.row(user).tolist():
                if item == 0:
                    logs[user] += llr_of_yes(shares[[0]])[0]
                if item in passed_over:
                    logs[user] += llr_of_no(shares[[item]], seen=passed_over[item])[0]
        expected = normalise(prior + rules.TEMPERING * logs)
        people = believe_people(query, np.array([row]))
        np.testing.assert_array_equal(people.row(0), np.arange(5))
        np.testing.assert_allclose(people.weights, expected, rtol=1e-5)
        shares_of_items = (expected @ USES.dense() + 0.02 * model.popularity) / 1.02
        np.testing.assert_allclose(_share_by_belief(query, np.array([row]))[0], shares_of_items, rtol=1e-5)
    # u3 uses neither i2 nor i4, so that who passed these over is more like u3 than like u1
    told = believe_people(query, np.array([1])).weights
    assert told[2] > told[0] > told[1]


def test_of_a_stranger_evidence_alone_tells(model: TrainedModel) -> None:
    query = ask(model, NOBODY_TOLD)
    assert not query.has_features[0]
    belief = believe_people(query, np.array([0])).weights
    assert belief[3] > belief[4]  # u4 uses nothing of what was passed over, u5 uses i3
    assert belief[4] > belief[2]  # u3 uses both
    segments = believe_segments(query, np.array([0]))[0]
    assert segments[1] > 2 / 5  # the north was 2 of 5 users


def test_segments_are_believed_in_by_the_same_rule(model: TrainedModel) -> None:
    query = ask(model, Signals(), EASTERN, TOLD)
    beliefs = believe_segments(query, np.arange(3))
    np.testing.assert_allclose(beliefs[0], [0.6, 0.4])  # nothing is known: by size
    everyone = np.array([0.6, 0.4, 0.6, 0.4, 0.2, 1 / 12])
    counts = np.array([[3, 2, 2, 0, 0, 0], [0, 0, 1, 2, 1, 0]])
    sizes = np.array([3, 2])
    shares = np.minimum((counts + 5 * everyone) / (sizes[:, None] + 5), 1 - 1e-6)
    closeness = model.segments.closeness(query.predicted[1:2])[0] / model.mixing.temperature
    yes = np.log(shares[:, 0])
    np.testing.assert_allclose(beliefs[1], normalise(closeness + 0.5 * yes), rtol=1e-5)
    no = np.log(1 - shares[:, 1]) + np.log(1 - 0.81 * shares[:, 2]) + np.log(1 - shares[:, 3])
    np.testing.assert_allclose(beliefs[2], normalise(closeness + 0.5 * (yes + no)), rtol=1e-5)
    np.testing.assert_allclose(beliefs.sum(axis=1), 1)


@pytest.mark.parametrize("n_items", [2, 9])
def test_a_vector_is_solved_of_likes_and_of_what_was_passed_over(n_items: int) -> None:
    rng = np.random.default_rng(n_items)
    items = rng.normal(size=(12, 4)).astype(np.float32)
    fold_in = FoldIn(items, "least-squares", confidence=3.0, regularization=0.5)
    liked = SparseRows.from_pairs(np.zeros(2, int), np.array([1, 5]), np.array([1.0, 2.0]), 2, 12)
    columns = np.array([2, 3, 4, 6, 7, 8, 9, 10, 11][:n_items])
    seen = rng.uniform(0.1, 1, n_items)
    passed_over = SparseRows.from_pairs(np.zeros(n_items, int), columns, seen, 2, 12)
    confidence = np.ones(12)
    target = np.zeros(12)
    confidence[[1, 5]], target[[1, 5]] = (3, 6), 1
    confidence[columns] += PASSED_OVER * seen
    y = items.astype(np.float64)
    expected = np.linalg.solve(y.T @ (confidence[:, None] * y) + 0.5 * np.eye(4), y.T @ (confidence * target))
    solved = fold_in.solve(liked, passed_over)
    np.testing.assert_allclose(solved[0], expected, rtol=1e-3, atol=1e-5)
    assert not solved[1].any()
    nothing = SparseRows.empty(2, 12)
    np.testing.assert_allclose(fold_in.solve(liked, nothing), fold_in.solve(liked), rtol=1e-4, atol=1e-6)
    assert not fold_in.solve(nothing, passed_over).any()


def test_blend_adds_what_evidence_tells(model: TrainedModel) -> None:
    query = ask(model, EASTERN, TOLD, k=6)
    rows = np.array([1])
    vector = model.fold_in.solve(query.liked.take(rows), query.passed_over.take(rows))[0]
    scores = ITEM_VECTORS @ vector
    weight = 4 / (4 + HALFWAY) / (ITEM_VECTORS @ vector).std()
    expected = np.log(_share_by_belief(query, rows)[0] + 1e-6) + weight * scores
    shares = _share_by_belief(query, rows)
    np.testing.assert_allclose(
        score_evidence(query, rows, ITEM_VECTORS, np.arange(6)[None], shares)[0], expected, rtol=1e-4
    )
    answer = answer_query(query, "blend")
    assert answer.routes.tolist() == ["blend", "blend"]
    plain = replace(query, signals=replace(query.signals, passed_over=None))
    total = expected + score_blend(plain, rows)[1][0]
    open_items = [ix for ix in np.argsort(-total, kind="stable").tolist() if ix not in (0, 1, 2, 3)]
    assert answer.items[1, : len(open_items)].tolist() == open_items
    np.testing.assert_allclose(answer.scores[1, : len(open_items)], total[open_items], rtol=1e-4)
    alone = answer_query(ask(model, EASTERN, k=6), "blend")
    np.testing.assert_array_equal(alone.items[0], answer.items[0])  # who was shown nothing gets the list of before
    np.testing.assert_allclose(alone.scores[0], answer.scores[0], rtol=1e-6)


def test_what_was_passed_over_rests_and_comes_last(model: TrainedModel) -> None:
    barely = Signals(shown=[Impression("i1", 9, "a")])  # 0.9 to the power of 8: seen with less than one half
    query = ask(model, Signals(), NOBODY_TOLD, barely, k=6)
    answer = answer_query(query, "popular")
    assert answer.items[0].tolist() == [0, 2, 1, 3, 4, 5]
    assert answer.items[1].tolist() == [1, 3, 4, 5, 0, 2]
    assert answer.items[2].tolist() == [0, 2, 1, 3, 4, 5]
    assert answer.n_ranked.tolist() == [6, 4, 6]
    kept = answer_query(replace(query, keep_used=True), "popular")
    assert kept.items[1].tolist() == [0, 2, 1, 3, 4, 5]


def test_what_is_used_after_all_is_no_longer_passed_over(model: TrainedModel) -> None:
    query = ask(model, Signals(interactions=[("stream", "item", "i2")], shown=["i2", "i4"]))
    assert query.passed_over.row(0).tolist() == [3]
    liked = replace(query.signals, passed_over=SparseRows.from_lists([[1, 3]], 6))
    assert replace(query, signals=liked).passed_over.row(0).tolist() == [3]


def test_auto_answers_whom_something_was_shown_by_blend(model: TrainedModel) -> None:
    answer = answer_query(ask(model, Signals(), NOBODY_TOLD, EASTERN), "auto")
    assert answer.routes.tolist() == ["popular", "blend", "blend"]


def test_near_people_are_those_of_the_nearest_segments(model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "N_BELIEVED", 2)
    people = believe_people(ask(model, EASTERN, NOBODY_TOLD), np.arange(2))
    assert people.row(0).tolist() == [0, 1, 2]  # the whole segment
    assert people.row(1).tolist() == [0, 4]
    assert (model.warm.vectors[0].tolist(), model.warm.vectors[4].tolist()) == ([*EAST], [*NORTH])  # type: ignore[union-attr]
