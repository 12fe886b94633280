"""Vectors and use of new items: items of three tastes, each with an artist, a word and a rate of use of its own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.methods.item_content import choose_terms, fit_content
from firstday.model.item_content import (
    ItemContent,
    expect_use,
    find_terms,
    index_terms,
    scale_vectors,
    stack_inputs,
    weigh_inputs,
)
from firstday.sparse import SparseRows
from tests.tiny import EAST, NORTH, NOWHERE, make_content

N_TASTES = 3
TASTE = np.repeat(np.arange(N_TASTES), 20)
GENRES = ("jazz", "rock", "soul")
TITLES = {"title": pl.Series([f"{GENRES[taste]} number{number}" for number, taste in enumerate(TASTE.tolist())])}
ARTISTS = {"artist_id": pl.Series([[f"a{taste}"] for taste in TASTE.tolist()])}
VECTORS = np.eye(N_TASTES, dtype=np.float32)[TASTE]
POPULARITY = np.array([0.1, 0.4, 0.025])[TASTE]
TURNED = np.array([[3, 0, 4, 0], [0, 9, 0, 0], [4, 0, -3, 0]], np.float32)
"""The vector that the caller has for each taste."""
Fitted = tuple[ItemContent, np.ndarray, np.ndarray]


def fit(
    columns: dict[str, pl.Series], popularity: np.ndarray = POPULARITY, own_vectors: np.ndarray | None = None
) -> Fitted | None:
    found = find_terms(columns)
    terms = choose_terms(found)
    scaled = np.zeros((len(TASTE), 0), np.float32) if own_vectors is None else scale_vectors(own_vectors)
    return fit_content(terms, index_terms(found, terms, len(TASTE)), scaled, VECTORS, popularity)


def test_terms_are_lower_case_words_and_members() -> None:
    columns = pl.DataFrame({"title": ["Blue MOON!", ""], "year": [1.0, 2.0], "artist_id": [["a1"], []]})
    found = find_terms(columns.to_dict())
    assert found.rows() == [(0, "blue"), (0, "moon"), (0, "artist_id=a1")]
    assert len(choose_terms(found)) == 0  # a new item has nothing in common by a term of one item


@pytest.mark.parametrize("columns", [TITLES, ARTISTS])
def test_items_of_a_taste_are_predicted_by_word_or_artist(columns: dict[str, pl.Series]) -> None:
    fitted = fit(columns)
    assert fitted is not None
    content, hidden, predicted = fitted
    assert content.n_hidden == len(hidden) == len(set(hidden.tolist())) == len(TASTE) // 5
    assert content.cosine > 0.95
    assert (predicted[:, :-1].argmax(axis=1) == TASTE[hidden]).all()
    new = pl.Series([f"New {genre}" for genre in GENRES]), pl.Series([["a0"], ["a1"], ["a2"]])
    vectors, log_use = content.predict(dict(zip(("title", "artist_id"), new, strict=True)), 3)
    assert vectors.argmax(axis=1).tolist() == [0, 1, 2]
    assert np.argsort(log_use).tolist() == [2, 0, 1]
    vectors, log_use = content.predict({"title": pl.Series(["unheard"])}, 1)
    np.testing.assert_allclose(np.append(vectors[0], log_use), content.centre)


def test_items_of_a_taste_are_predicted_by_own_vectors() -> None:
    own_vectors = TURNED[TASTE]
    own_vectors[1] = np.nan
    fitted = fit({}, own_vectors=own_vectors)
    assert fitted is not None
    content, hidden, predicted = fitted
    assert content.cosine > 0.95
    is_known = hidden != 1
    assert (predicted[is_known, :-1].argmax(axis=1) == TASTE[hidden[is_known]]).all()
    new = np.vstack([2 * TURNED, np.full((1, 4), np.nan)])  # lengths do not matter
    vectors, log_use = content.predict({}, 4, new)
    assert vectors[:3].argmax(axis=1).tolist() == [0, 1, 2]
    assert np.argsort(log_use[:3]).tolist() == [2, 0, 1]
    np.testing.assert_allclose(np.append(vectors[3], log_use[3]), content.centre)


def test_own_vectors_that_say_nothing_leave_the_words() -> None:
    noise = np.random.default_rng(0).normal(size=(len(TASTE), 8)).astype(np.float32)
    by_words, by_both = (fit(TITLES, own_vectors=vectors) for vectors in (None, noise))
    assert by_words is not None
    assert by_both is not None
    assert by_both[0].cosine > by_words[0].cosine - 0.05


def test_nothing_is_learned_without_terms_or_from_few_items() -> None:
    assert fit({"year": pl.Series(POPULARITY)}) is None
    assert fit(TITLES, np.where(np.arange(len(TASTE)) < 10, POPULARITY, 0)) is None


def test_use_depends_on_likeness_and_popularity() -> None:
    chances = make_content().chances(np.array([EAST, NORTH, NOWHERE]) @ EAST, np.array(-1.0))
    np.testing.assert_allclose(chances, 1 / (1 + np.exp([0.0, 4.0, 4.0])), rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_log_odds_do_not_fall_if_one_more_item_shares_an_entity(data: st.DataObject) -> None:
    """Whatever the day's items, their members, the rates and the weights, as `fit_odds` bounds them."""
    n_items, n_members = 6, 3
    one = st.floats(0, 1, width=32)
    links = [data.draw(st.sets(st.integers(0, n_members - 1))) for _ in range(n_items + 1)]
    members = SparseRows.from_lists([sorted(of_item) for of_item in links], n_members)
    day = data.draw(st.sets(st.integers(0, n_items - 1), max_size=n_items - 1))
    more = data.draw(st.sampled_from(sorted(set(range(n_items)) - day)))
    rates = {"show": np.array(data.draw(st.lists(one, min_size=n_members, max_size=n_members)), np.float32)}
    odds = np.array(data.draw(st.lists(st.floats(0, 5), min_size=7, max_size=7)))
    liked = SparseRows.from_lists([sorted(day), sorted({*day, more})], n_items + 1)
    continued = expect_use(liked, {"show": members}, {"show": members.take(np.array([n_items]))}, rates)
    before, after = weigh_inputs(stack_inputs(np.array(0.5), np.array(-3.0), continued), odds)
    assert after >= before
    if odds[3] > 0.01 and any(rates["show"][member] > 0.01 for member in links[more] & links[n_items]):
        assert after > before
