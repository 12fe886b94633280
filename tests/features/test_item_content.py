"""Vectors and use of new items: items of three tastes, each with an artist, a word and a rate of use of its own."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

from firstday.features.item_content import (
    N_BUCKETS,
    SHRINKAGE,
    WORDS,
    HiddenItems,
    ItemContent,
    count_words,
    fit_content,
    join_texts,
    lift_by_vectors,
)
from firstday.ranking import unit_rows
from firstday.sparse import SparseRows
from tests.tiny import EAST, NORTH, NOWHERE, make_model

N_TASTES = 3
PER_TASTE = 20
TASTE = np.repeat(np.arange(N_TASTES), PER_TASTE)
N_ITEMS = len(TASTE)
GENRES = ("jazz", "rock", "soul")
TITLES = [f"{GENRES[taste]} number {number}" for number, taste in enumerate(TASTE.tolist())]
VECTORS = np.eye(N_TASTES, dtype=np.float32)[TASTE]
USERS = np.array([100, 400, 25])[TASTE].astype(float)
ARTISTS = SparseRows.from_lists([[taste] for taste in TASTE.tolist()], N_TASTES + 1)
NO_WORDS = SparseRows.empty(N_ITEMS, N_BUCKETS)


def fit(words: SparseRows, members: dict[str, SparseRows]) -> tuple[ItemContent, HiddenItems]:
    fitted = fit_content(VECTORS, USERS, words, members)
    assert fitted is not None
    return fitted


def test_words_are_lower_case_letters_and_digits_in_fixed_buckets() -> None:
    counts = count_words(["Blue MOON, blue!", "", "Ça 7"])
    buckets = [[("blue", 2), ("moon", 1)], [], [("ça", 1), ("7", 1)]]
    for row, words in enumerate(buckets):
        expected = {crc32(word.encode()) % N_BUCKETS: n for word, n in words}
        assert dict(zip(counts.row(row).tolist(), counts.row_weights(row).tolist(), strict=True)) == expected
    assert join_texts(("a", "b"), None, 2) == ["a ", "b "]


@pytest.mark.parametrize("source", ["words", "artist"])
def test_items_of_a_taste_are_predicted_by_their_word_or_their_artist(source: str) -> None:
    members = {"artist": ARTISTS} if source == "artist" else {}
    words = count_words(TITLES) if source == "words" else NO_WORDS
    content, hidden = fit(words, members)
    assert list(content.blocks) == [WORDS if source == "words" else "artist"]
    assert content.n_hidden == N_ITEMS
    assert content.cosine > 0.95 > content.cosine_of_centre
    assert content.explained > 0.9
    assert sorted(hidden.items.tolist()) == list(range(N_ITEMS))
    assert (hidden.vectors.argmax(axis=1) == TASTE[hidden.items]).all()
    texts = [f"New {genre}" for genre in GENRES] if source == "words" else [""] * 3
    artists = {"artist": SparseRows.from_lists([[0], [1], [2]], N_TASTES + 1)} if source == "artist" else {}
    vectors, n_users = content.predict(texts, artists)
    assert vectors.argmax(axis=1).tolist() == [0, 1, 2]
    assert (np.argsort(n_users) == [2, 0, 1]).all()


def test_an_item_of_which_nothing_is_known_is_average() -> None:
    content, _ = fit(count_words(TITLES), {"artist": ARTISTS})
    vectors, n_users = content.predict(["unheard"], {"artist": SparseRows.empty(1, N_TASTES + 1)})
    np.testing.assert_allclose(vectors[0], content.centre[:-1])
    np.testing.assert_allclose(n_users, np.exp(content.centre[-1]), rtol=1e-6)


def test_a_hidden_item_tells_nothing_about_itself() -> None:
    """Each item alone has an artist: hidden, it is average, whatever its vector; known, it stands for its artist."""
    alone = SparseRows.from_lists([[item] for item in range(N_ITEMS)], N_ITEMS)
    content, hidden = fit(NO_WORDS, {"artist": alone})
    np.testing.assert_allclose(hidden.vectors, np.tile(content.centre[:-1], (N_ITEMS, 1)), atol=1e-6)
    assert content.explained == 0
    reliability = USERS[0] / (USERS[0] + 10)
    own = unit_rows(VECTORS[:1])[0] - content.centre[:-1]
    np.testing.assert_allclose(
        content.blocks["artist"][0, :-1], reliability * own / (reliability + SHRINKAGE), rtol=1e-5
    )


def test_nothing_is_learned_without_words_and_entities_or_from_few_items() -> None:
    assert fit_content(VECTORS, USERS, NO_WORDS, {}) is None
    few = np.arange(10)
    words = count_words(TITLES[:10])
    assert fit_content(VECTORS[few], USERS[few], words, {}) is None
    unused = np.zeros(N_ITEMS)
    assert fit_content(VECTORS, unused, count_words(TITLES), {}) is None


def test_lift_is_relative_to_the_average_of_all_users() -> None:
    """Three of five users are in the east: 3/5 of 4 and 2/5 of 1 are 2.8 for an item of the east."""
    segments = make_model().segments
    users = np.array([EAST, NORTH, NOWHERE])
    lifts = lift_by_vectors(float(np.log(4)), users, np.array([EAST, NOWHERE]), segments)
    np.testing.assert_allclose(lifts, np.array([[4 / 2.8, 1.0], [1 / 2.8, 1.0], [1.0, 1.0]]), rtol=1e-6)
    np.testing.assert_allclose(lift_by_vectors(0.0, users, np.array([EAST, NORTH]), segments), 1)


def test_use_by_age_holds_from_each_age_on() -> None:
    content, _ = fit(NO_WORDS, {"artist": ARTISTS})
    aged = ItemContent(**{**vars(content), "age_days": np.array([0.0, 7.0]), "age_factors": np.array([2.0, 0.5])})
    assert aged.factor_at(np.array([-1.0, 0, 6.9, 7, 400])).tolist() == [2, 2, 2, 0.5, 0.5]
