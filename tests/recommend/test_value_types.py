"""Values of items over HTTP have the types of the model's columns."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from firstday.recommend.new_items.value_types import check_types

COLUMNS = {
    "explicit": pl.Series(["t", "f"]),
    "in_stock": pl.Series([True, None]),
    "year": pl.Series([2020.0, None]),
    "artist_id": pl.Series([["a1"], []], dtype=pl.List(pl.String)),
    "added_at": pl.Series(["2026-01-01T00:00:00Z", None]),
}


@pytest.mark.parametrize(
    "values",
    [
        {"explicit": "t", "in_stock": False, "year": 1, "artist_id": "a9", "added_at": 1},
        {"explicit": None, "in_stock": None, "year": 2.5, "artist_id": ["a1", 7], "unknown": {}},
        {"artist_id": []},
    ],
)
def test_values_of_the_types_of_columns_are_accepted(values: dict[str, Any]) -> None:
    assert check_types(COLUMNS, values) == []


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("explicit", (True, 1, ["t"]), "text"),
        ("in_stock", ("t", 1, 0.0), "true or false"),
        ("year", (True, "2020", [1]), "a number"),
        ("artist_id", (True, ["a1", False], [1.5], {}), "a list of texts"),
    ],
)
def test_a_value_of_another_type_is_one_sentence(name: str, values: tuple[Any, ...], kind: str) -> None:
    for value in values:
        ((field, sentence),) = check_types(COLUMNS, {"explicit": None, name: value})
        assert field == name
        assert sentence.endswith(f"but the model's column takes {kind}; convert it")
