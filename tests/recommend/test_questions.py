"""The next question: the one whose answer says most about the segment."""

from __future__ import annotations

import numpy as np
import pytest

from firstday.recommend.questions import QuestionBook
from firstday.recommend.recommender import Recommender

BOOK = QuestionBook(
    candidates=np.array([7, 3, 9]),
    # Item 7 is used by all alike, 3 tells two halves apart, 9 tells one small segment from the rest.
    shares=np.array([[0.5, 0.9, 0.9], [0.5, 0.9, 0.1], [0.5, 0.1, 0.1], [0.5, 0.1, 0.1]]),
    prior=np.array([0.1, 0.4, 0.3, 0.2]),
)


def entropy(p: np.ndarray) -> float:
    return -float((p * np.log2(p)).sum())


def gain(book: QuestionBook, column: int, belief: np.ndarray) -> float:
    """How much an answer lowers the entropy of the segment, on average: the same by the other way round."""
    yes = belief * book.shares[:, column]
    no = belief * (1 - book.shares[:, column])
    return float(entropy(belief) - yes.sum() * entropy(yes / yes.sum()) - no.sum() * entropy(no / no.sum()))


def test_the_item_that_splits_best_is_asked_first() -> None:
    first = BOOK.next_item([], [])
    assert first is not None
    assert first.item == 3
    assert first.gain_bits == pytest.approx(gain(BOOK, 1, BOOK.prior))


@pytest.mark.parametrize(("liked", "passed"), [([3], []), ([], [3]), ([3], [9])])
def test_answers_change_the_belief_by_bayes_rule(liked: list[int], passed: list[int]) -> None:
    expected = BOOK.prior.copy()
    for item in liked:
        expected *= BOOK.shares[:, BOOK.candidates.tolist().index(item)]
    for item in passed:
        expected *= 1 - BOOK.shares[:, BOOK.candidates.tolist().index(item)]
    expected /= expected.sum()
    np.testing.assert_allclose(BOOK.believe(liked, passed), expected)
    following = BOOK.next_item(liked, passed)
    assert following is not None
    left = [column for column in range(3) if BOOK.candidates[column] not in (*liked, *passed)]
    gains = {int(BOOK.candidates[column]): gain(BOOK, column, expected) for column in left}
    assert following.item == max(gains, key=gains.__getitem__)
    assert following.gain_bits == pytest.approx(gains[following.item], abs=1e-12)


def test_nothing_is_asked_twice_and_the_end_is_told() -> None:
    assert BOOK.next_item([3], [7, 9]) is None
    last = BOOK.next_item([3, 9], [])
    assert last is not None
    assert last.item == 7
    assert last.gain_bits == pytest.approx(0)


def test_items_that_are_no_candidates_tell_nothing() -> None:
    np.testing.assert_array_equal(BOOK.believe([1000], [2000]), BOOK.believe([], []))


def test_a_book_of_a_model_knows_its_segments_shares(recommender: Recommender) -> None:
    model = recommender.model
    book = QuestionBook.of(model, 20)
    assert book.candidates.tolist() == model.popular_items[:20].tolist()
    assert ((book.shares > 0) & (book.shares < 1)).all()
    assert book.prior.sum() == pytest.approx(1)
    counts = model.segments.items
    for segment in range(len(model.segments)):
        users = dict(zip(counts.counts.row(segment).tolist(), counts.counts.row_weights(segment).tolist(), strict=True))
        for column, item in enumerate(book.candidates.tolist()):
            share = users.get(item, 0) / counts.sizes[segment]
            low, high = sorted((share, float(model.popularity[item])))
            assert low - 1e-6 <= book.shares[segment, column] <= high + 1e-6


def test_five_answers_find_most_peoples_segment(recommender: Recommender) -> None:
    """Made newcomers of each segment, who answer by what its people use, are found far more often than by chance."""
    model = recommender.model
    book = QuestionBook.of(model)
    rng = np.random.default_rng(0)
    found = 0
    for segment in range(len(model.segments)):
        for _ in range(20):
            likes = rng.random(len(book.candidates)) < book.shares[segment]
            liked: list[int] = []
            passed: list[int] = []
            for _turn in range(5):
                question = book.next_item(liked, passed)
                assert question is not None
                yes = likes[book.candidates.tolist().index(question.item)]
                (liked if yes else passed).append(question.item)
            found += int(book.believe(liked, passed).argmax() == segment)
    assert found / (20 * len(model.segments)) > 3 / len(model.segments)
