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

Condition = tuple[str, str]
"""A condition as a filter, and in SQL, where lists are null if they are empty."""
MOMENT = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
LISTS = {"ids": ("1", "4", "5", "x"), "words": ("a", "c"), "none": ()}
ORDERS = ("<", "<=", ">", ">=", "==", "!=")
WORDS = ("a", "b", "c")
NUMBERS = (-1, 0, 1, 2.5)
SPELLED = {True: ("yes", "T", "true", "1"), False: ("no", "f", "False", "0")}
SQL = {"==": "=", "!=": "<>"}
SCHEMA = {
    "item_id": pl.Int64,
    "flag": pl.Boolean,
    "answer": pl.String,
    "digit": pl.Float64,
    "year": pl.Float64,
    "word": pl.String,
    "tags": pl.List(pl.String),
    "added_at": pl.String,
}
USER_SCHEMA = {
    "age": pl.Float64,
    "least": pl.Float64,
    "word": pl.String,
    "words": pl.List(pl.String),
    "adult": pl.Boolean,
}


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def draw_items(draw: st.DrawFn) -> pl.DataFrame:
    words = st.sampled_from(WORDS)
    kinds = {
        "flag": st.booleans(),
        "answer": st.sampled_from([text for texts in SPELLED.values() for text in texts]),
        "digit": st.sampled_from((0.0, 1.0)),
        "year": st.sampled_from(NUMBERS),
        "word": words,
        "tags": st.lists(words, max_size=3, unique=True),
        "added_at": st.integers(0, 5).map(lambda n: (MOMENT - timedelta(hours=12 * n)).strftime(TIME_TEXT)),
    }
    row = st.fixed_dictionaries({name: maybe(values) for name, values in kinds.items()})
    rows = draw(st.lists(row, min_size=1, max_size=12))
    return pl.DataFrame([{"item_id": number, **one} for number, one in enumerate(rows)], SCHEMA)


USERS = st.fixed_dictionaries(
    {
        "age": maybe(st.sampled_from(NUMBERS)),
        "least": maybe(st.sampled_from(NUMBERS)),
        "word": maybe(st.sampled_from(WORDS)),
        "words": maybe(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)),
        "adult": maybe(st.booleans()),
    }
)


def in_sql(op: str) -> str:
    return SQL.get(op, op)


def quote(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


@st.composite
def draw_comparison(draw: st.DrawFn) -> Condition:
    """Draw a comparison, with the value on either side."""
    op = draw(st.sampled_from(ORDERS))
    order = op if op not in SQL else "<"
    extreme = "list_min" if order[0] == "<" else "list_max"
    is_in = draw(st.booleans())
    member = "in" if is_in else "not in"
    negated = "" if is_in else "NOT "
    number = draw(st.sampled_from(NUMBERS))
    word = draw(st.sampled_from(WORDS))
    several = draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(tuple))
    hours = draw(st.sampled_from((12, 24, 30, 48)))
    ago = f"-{hours // 24}d" if hours % 24 == 0 and is_in else f"-{hours}h"
    then = f"TIMESTAMP '{MOMENT - timedelta(hours=hours):%Y-%m-%d %H:%M:%S}'"
    truth = draw(st.booleans())
    equality = "==" if is_in else "!="
    number_of = draw(st.sampled_from((("year", "items.year"), ("user.age", "person.age"))))
    word_of = draw(st.sampled_from((("word", "items.word"), ("user.word", "person.word"))))
    boolean_of = draw(st.sampled_from(("flag", "answer", "digit", "user.adult")))
    boolean = {
        "flag": "flag",
        "answer": f"CASE WHEN answer IN ({quote(SPELLED[True])}) THEN true WHEN answer IS NOT NULL THEN false END",
        "digit": "digit = 1",
        "user.adult": "person.adult",
    }[boolean_of]
    tagged = f"CASE WHEN len(tags) > 0 THEN {negated}list_has_any(tags, [{{}}]) END"
    return draw(
        st.sampled_from(
            (
                (f"{number_of[0]} {op} {number}", f"{number_of[1]} {in_sql(op)} {number}"),
                (f"{number} {op} {number_of[0]}", f"{number} {in_sql(op)} {number_of[1]}"),
                (f"-1 < {number_of[0]} <= {number}", f"-1 < {number_of[1]} AND {number_of[1]} <= {number}"),
                (f"{number_of[0]} {member} (0, {number})", f"{number_of[1]} {negated}IN (0, {number})"),
                (f"year {op} user.age", f"items.year {in_sql(op)} person.age"),
                (f"user.age {op} year", f"person.age {in_sql(op)} items.year"),
                (f"user.age {op} user.least", f"person.age {in_sql(op)} person.least"),
                (f'{word_of[0]} {op} "{word}"', f"{word_of[1]} {in_sql(op)} '{word}'"),
                (f'"{word}" {op} {word_of[0]}', f"'{word}' {in_sql(op)} {word_of[1]}"),
                (f"{word_of[0]} {member} {several}", f"{word_of[1]} {negated}IN ({quote(several)})"),
                (f"word {op} user.word", f"items.word {in_sql(op)} person.word"),
                (f"word {member} user.words", f"{negated}list_contains(person.words, items.word)"),
                (f'"{word}" {member} user.words', f"{negated}list_contains(person.words, '{word}')"),
                (f'"{word}" {member} tags', tagged.format(f"'{word}'")),
                (f'tags {equality} "{word}"', tagged.format(f"'{word}'")),
                (f"tags {member} {several}", tagged.format(quote(several))),
                (
                    f"user.word {member} tags",
                    f"CASE WHEN len(tags) > 0 THEN {negated}list_contains(tags, person.word) END",
                ),
                (f"tags {member} lists.words", tagged.format(quote(LISTS["words"]))),
                (f"tags {member} lists.none", f"CASE WHEN len(tags) > 0 THEN {not is_in} END"),
                (f'tags {order} "{word}"', f"{extreme}(tags) {order} '{word}'"),
                (f"item_id {member} lists.ids", f"item_id {negated}IN (1, 4, 5)"),
                (f'item_id {member} (1, "2")', f"item_id {negated}IN (1, 2)"),
                (f"item_id {op} {number}", f"item_id {in_sql(op)} {number}"),
                (boolean_of, boolean),
                (f"{boolean_of} {equality} {truth}", f"({boolean}) {in_sql(equality)} {truth}"),
                (f"{truth} {equality} {boolean_of}", f"({boolean}) {in_sql(equality)} {truth}"),
                (f"flag {equality} user.adult", f"flag {in_sql(equality)} person.adult"),
                (f"added_at {op} {ago}", f"CAST(added_at AS TIMESTAMP) {in_sql(op)} {then}"),
                (f"{ago} {op} added_at", f"{then} {in_sql(op)} CAST(added_at AS TIMESTAMP)"),
            )
        )
    )


def combine(conditions: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    negated = conditions.map(lambda one: (f"not ({one[0]})", f"NOT ({one[1]})"))
    joined = st.tuples(conditions, st.sampled_from(("and", "or")), conditions)
    return negated | joined.map(
        lambda parts: (f"({parts[0][0]}) {parts[1]} ({parts[2][0]})", f"({parts[0][1]}) {parts[1]} ({parts[2][1]})")
    )


CONDITIONS = st.recursive(draw_comparison(), combine, max_leaves=5)


def ask_duckdb(items: pl.DataFrame, user: dict[str, Any], sql: str) -> list[bool | None]:
    """Return whether each item meets a condition, null if that is unknown."""
    person = pl.DataFrame([user], USER_SCHEMA)  # noqa: F841  read by DuckDB
    rows = duckdb.sql(f"SELECT {sql} FROM items, person ORDER BY item_id").fetchall()
    return [value for (value,) in rows]


@settings(max_examples=400)
@given(draw_items(), USERS, st.integers(0, 3), CONDITIONS)
def test_items_are_those_of_three_valued_logic(
    items: pl.DataFrame, user: dict[str, Any], spelling: int, condition: Condition
) -> None:
    text, sql = condition
    adult = user["adult"]
    spelled = None if adult is None else SPELLED[adult][spelling % len(SPELLED[adult])]
    values = {"user": {**user, "adult": spelled, NOW: MOMENT.isoformat()}, "lists": LISTS}
    columns = {column.name: column for column in items}
    expected = ask_duckdb(items, user, sql)
    for filter_text, value in ((text, True), (f"not ({text})", False)):
        meets = Filter(filter_text, columns, values).find_items()
        assert meets.tolist() == [found is value for found in expected]
