"""Filters list the items that a three-valued evaluation in DuckDB returns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.recommend.rules.filters import NOW, Filter
from firstday.tables.schema import TIME_TEXT

MOMENT = datetime(2026, 12, 1, tzinfo=UTC)
LISTS = {"ids": ("1", "4", "x"), "words": ("a", "c")}
NUMBERS = (-1, 0, 1, 2.5)
BOOLEANS = ("yes", "T", "1", "no", "f", "False")
ITEMS = {
    "flag": (pl.Boolean, (True, False)),
    "answer": (pl.String, BOOLEANS),
    "digit": (pl.Float64, (0, 1)),
    "year": (pl.Float64, NUMBERS),
    "word": (pl.String, ("a", "b", "c")),
    "tags": (pl.List(pl.String), ([], ["a"], ["b", "a"], ["c", "b"])),
    "added_at": (pl.String, tuple((MOMENT - timedelta(hours=hours)).strftime(TIME_TEXT) for hours in (12, 24, 40, 48))),
}
PERSON = {
    "age": (pl.Float64, NUMBERS),
    "least": (pl.Float64, NUMBERS),
    "name": (pl.String, ("a", "b", "c")),
    "names": (pl.List(pl.String), (["a"], ["c", "b"])),
    "adult": (pl.String, BOOLEANS),
}
SAME_IN_SQL = (
    "year {op} {number}",
    "{number} {op} year",
    "year {member} (0, {number})",
    "year {op} user.age",
    "user.age {op} year",
    "user.age {op} {number}",
    "{number} {op} user.age",
    "user.age {member} (0, {number})",
    "user.age {op} user.least",
    "item_id {op} {number}",
    "item_id {member} (1, {number})",
    "word {op} '{word}'",
    "'{word}' {op} word",
    "word {member} ('a', '{word}')",
    "word {op} user.name",
    "'{word}' {op} user.name",
    "user.name {member} ('a', '{word}')",
    "flag",
    "flag {equality} {truth}",
    "{truth} {equality} flag",
)
OTHER_IN_SQL = {
    "0 <= year < {number}": "0 <= year and year < {number}",
    "word {member} user.names": "{negation} list_contains(user.names, word)",
    "'{word}' {member} user.names": "{negation} list_contains(user.names, '{word}')",
    "user.name {member} user.names": "{negation} list_contains(user.names, user.name)",
    "'{word}' {member} tags": "case when len(tags) > 0 then {negation} list_contains(tags, '{word}') end",
    "tags {equality} '{word}'": "case when len(tags) > 0 then list_contains(tags, '{word}') {equality} true end",
    "user.name {member} tags": "case when len(tags) > 0 then {negation} list_contains(tags, user.name) end",
    "tags {member} user.names": "case when len(tags) > 0 then {negation} list_has_any(tags, user.names) end",
    "tags {member} lists.words": "case when len(tags) > 0 then {negation} list_has_any(tags, ['a', 'c']) end",
    "tags < '{word}'": "list_min(tags) < '{word}'",
    "'{word}' <= tags": "'{word}' <= list_max(tags)",
    "item_id {member} lists.ids": "item_id {member} (1, 4)",
    "answer": "cast(answer as boolean)",
    "digit {equality} {truth}": "cast(digit as boolean) {equality} {truth}",
    "user.adult": "cast(user.adult as boolean)",
    "{truth} {equality} user.adult": "{truth} {equality} cast(user.adult as boolean)",
    "flag {equality} user.adult": "flag {equality} cast(user.adult as boolean)",
    "added_at {op} -{n}d": "cast(added_at as timestamp) {op} timestamp '2026-12-01' - interval {n} day",
    "-4{n}h {op} added_at": "timestamp '2026-12-01' - interval 4{n} hour {op} cast(added_at as timestamp)",
}
"""Conditions, and how SQL has them; it has no empty lists."""
VALUES = {
    "op": ("<", "<=", ">", ">=", "==", "!="),
    "equality": ("==", "!="),
    "member": ("in", "not in"),
    "number": NUMBERS,
    "word": ("a", "b", "c"),
    "truth": (True, False),
    "n": (0, 1, 2),
}


def draw_row(columns: dict[str, tuple[Any, tuple[Any, ...]]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.sampled_from((None, *values)) for name, (_, values) in columns.items()})


def make_table(rows: list[dict[str, Any]], columns: dict[str, tuple[Any, tuple[Any, ...]]]) -> pl.DataFrame:
    return pl.DataFrame(rows, {name: dtype for name, (dtype, _) in columns.items()}).with_row_index("item_id")


COMPARISONS = st.builds(
    lambda pair, values: [text.format(**values, negation=values["member"].removesuffix("in")) for text in pair],
    st.sampled_from([*((text, text) for text in SAME_IN_SQL), *OTHER_IN_SQL.items()]),
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda some: st.builds(
        lambda one, other, form: [form.format(*pair) for pair in zip(one, other, strict=True)],
        some,
        some,
        st.sampled_from(("not ({})", "({}) and ({})", "({}) or ({})")),
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.lists(draw_row(ITEMS), min_size=1, max_size=12), draw_row(PERSON), CONDITIONS)
def test_items_are_those_of_three_valued_logic(
    rows: list[dict[str, Any]], person: dict[str, Any], condition: list[str]
) -> None:
    text, sql = condition
    items = make_table(rows, ITEMS).cast({"item_id": pl.Int64})
    user = make_table([person], PERSON).drop("item_id")  # noqa: F841  read by DuckDB
    expected = duckdb.execute(f"select {sql} from items, user order by item_id").fetchall()
    values = {"user": {**person, NOW: MOMENT.isoformat()}, "lists": LISTS}
    columns = {column.name: column for column in items}
    for filter_text, value in ((text, True), (f"not ({text})", False)):
        meets = Filter(filter_text, columns, values).find_items()
        assert meets.tolist() == [found is value for (found,) in expected]
