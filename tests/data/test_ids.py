from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstday.data.ids import Ids, stable_numbers

texts = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=30)
numbers = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=30)


@given(st.one_of(texts, numbers))
def test_every_id_comes_back_from_its_index(values: list[str] | list[int]) -> None:
    ids = Ids.of(values)
    indexes = ids.lookup(pl.Series(values, dtype=ids.values.dtype))
    assert indexes.dtype == np.int32
    assert indexes.tolist() == list(range(len(values)))
    assert [ids.index_of(value) for value in values] == indexes.tolist()
    assert ids.take(indexes).to_list() == values
    assert [ids[ix] for ix in range(len(ids))] == values


@given(numbers, st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_found_by_their_text_too(values: list[int], other: int) -> None:
    ids = Ids.of(values)
    for value in [*values, other]:
        expected = values.index(value) if value in values else -1
        assert ids.index_of(value) == ids.index_of(str(value)) == expected
        assert ids.lookup(pl.Series([str(value)])).tolist() == [expected]


@pytest.mark.parametrize("stranger", ["081", " 81", "+81", "81.0", 81.5, True, None, "x", 2**70])
def test_what_is_not_quite_an_id_is_unknown(stranger: object) -> None:
    ids = Ids.of([1, 81])
    assert ids.index_of(stranger) == -1
    if stranger != 2**70:
        assert ids.lookup(pl.Series([stranger])).tolist() == [-1]


def test_unknown_and_missing_ids_have_index_minus_one_and_order_is_kept() -> None:
    ids = Ids.of(["b", "a", "c"])
    assert ids.lookup(pl.Series(["c", None, "z", "b", "c"])).tolist() == [2, -1, -1, 0, 2]


def test_ids_that_do_not_fit_64_bits_are_unknown_to_numbers() -> None:
    assert Ids.of([1]).lookup(pl.Series([2**64 - 1, 1], dtype=pl.UInt64)).tolist() == [-1, 0]


def test_any_integer_type_is_a_number_and_anything_else_is_text() -> None:
    assert Ids.of(pl.Series([1], dtype=pl.UInt8)).values.dtype == pl.Int64
    assert Ids.of(pl.Series(["a"], dtype=pl.Categorical)).values.dtype == pl.String
    assert Ids.of([1, 2]).are_integers
    assert not Ids.of(["1", "2"]).are_integers


@pytest.mark.parametrize(("more", "ids"), [("82", [81, 82]), ("082", ["81", "082"]), ("x", ["81", "x"])])
def test_integers_stay_integers_if_others_are_integers_as_text(more: str, ids: list[Any]) -> None:
    extended = Ids.of([81]).extend(pl.Series([more]))
    assert extended.values.to_list() == ids
    assert extended.lookup(pl.Series(["81", more])).tolist() == [0, 1]


def test_stable_numbers_are_these_for_ever() -> None:
    """Who is learned from rests on them: another number would be another model."""
    texts = stable_numbers(Ids.of(["a", "u007", "å"]), 0)
    assert texts.dtype == np.uint64
    assert texts.tolist() == [16563745722614342077, 12578045360262537632, 13336335744821800858]
    assert stable_numbers(Ids.of([81, -5]), 0).tolist() == [8140990835452887712, 5222134910789950232]
    assert stable_numbers(Ids.of(["81"]), 3).tolist() == [17492860022089939905]
    assert stable_numbers(Ids.of([]), 0).tolist() == []


@given(numbers, st.integers(0, 2**31))
def test_a_stable_number_follows_from_the_ids_text_and_the_seed_alone(values: list[int], seed: int) -> None:
    every = stable_numbers(Ids.of(values), seed).tolist()
    assert stable_numbers(Ids.of([str(value) for value in values[::-1]]), seed).tolist() == every[::-1]
    assert not values or stable_numbers(Ids.of(values), seed + 1).tolist() != every
    assert len(set(every)) == len(every)
