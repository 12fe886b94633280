"""Validation rules for the values of each column kind and for the rows of each table."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from firstday.tables.faults import FILE, OR_DROP, ROW, Rule
from firstday.tables.guests import GUEST_RULE
from firstday.tables.schema import ASSIGNMENT, HOMES, ITEM

RAW, VALUE = pl.col("written"), pl.col("value")
"""The column as read (for kinds whose rules need it), and its converted values."""
DATE = r"^\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?$"
WHOLE_WITH_DECIMALS = r"^(-?\d+)\.0+$"
NO_IDS = ("undefined", "null", "NaN", "None", "[object Object]")
"""What programs write in place of an id that they do not have."""
MISSING_MARKERS = (
    *map(str.lower, NO_IDS), "n/a", "#n/a", "na", "<na>", "(null)", "nil", "nat", r"\n", "-", "--", "?", "unknown",
)  # fmt: skip
"""Common missing-value markers, in lower case."""
_IS_NO_ID = (VALUE.str.strip_chars() == "") | VALUE.str.to_lowercase().is_in(MISSING_MARKERS)
VALUE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "id": (
        Rule(
            "have a blank or a missing-value marker as id",
            _IS_NO_ID,
            advice="each marker counts as one id; write the right ids, or drop the rows",
            value=VALUE,
        ),
        Rule(
            "have spaces or decimals in an id; ids are kept as written",
            ~_IS_NO_ID & ((VALUE.str.strip_chars() != VALUE) | VALUE.str.contains(WHOLE_WITH_DECIMALS)),
            value=VALUE,
        ),
    ),
    "number": (
        Rule("have a decimal comma; '1,5' was read as 1.5", VALUE.is_not_nan() & RAW.str.contains(",")),
        Rule(
            "are not numbers",
            RAW.is_not_null() & (VALUE.is_null() | VALUE.is_nan()),
            "not_a_number",
            "write numbers with a decimal point, or leave missing ones empty",
            value=RAW,
        ),
    ),
    "weight": (
        Rule("are empty and have weight 1", RAW.is_null()),
        Rule(
            "are not finite numbers from 0 to 3e38",
            ~VALUE.is_between(0, 3e38),  # weights are stored as Float32
            "out_of_range",
            f"correct them {OR_DROP}; signals such as skip and ban show dislike",
            value=RAW,
        ),
    ),
    "rating": (),
    "outcome": (Rule("are not finite", VALUE.is_infinite(), "out_of_range", "leave unknown values empty", value=RAW),),
    "position": (
        Rule(
            "are not positions in a list",
            ~(VALUE.is_between(1, 2**31 - 1) & (VALUE.floor() == VALUE)),
            "out_of_range",
            "write whole numbers from 1, or leave unknown ones empty",
            value=RAW,
        ),
    ),
    "propensity": (
        Rule(
            "are not above 0 and at most 1",
            ~VALUE.is_between(0, 1, closed="right"),
            "out_of_range",
            "write probabilities as numbers from 0 to 1, or leave unknown ones empty",
            value=RAW,
        ),
    ),
    "age": (
        Rule(
            "are not from 0 to 120",
            ~VALUE.is_between(0, 120),
            "out_of_range",
            "give ages in years, or leave unknown ones empty",
            value=RAW,
        ),
    ),
    "time": (
        Rule(
            "are dates without a time; taken as midnight UTC",
            (VALUE.dt.truncate("1d") == VALUE) & RAW.str.contains(DATE),
        ),
        Rule(
            "are not times in UTC",
            RAW.is_not_null() & VALUE.is_null(),
            "not_a_time",
            "write UTC with its zone, such as 2024-05-01T12:00:00Z, name the zone of times without one, as in --set "
            "time_zone=UTC, or leave missing ones empty",
            value=RAW,
        ),
        Rule(
            "are in January 1970 (was the unit of time misread, or does 0 stand for missing?); correct them, or leave "
            "them empty",
            VALUE.dt.strftime("%Y-%m") == "1970-01",
        ),
        Rule(
            "are after the year 9999",
            VALUE.dt.year() > 9999,
            "out_of_range",
            "use the right unit of time, or leave them empty",
            value=VALUE.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    ),
    "vector": (
        Rule(
            "are not finite numbers of the same length as the first vector",
            ~VALUE,
            "bad_vector",
            "provide vectors of one model, all of the same length",
        ),
    ),
    "words": (Rule("have spaces around the value; they were removed", RAW != VALUE),),
}
"""Rules for converted values, by column kind."""


def empty_rules(*columns: str) -> tuple[Rule, ...]:
    """Return rules against null values in columns."""
    return tuple(
        Rule("are empty", pl.col(name).is_null(), "empty", f"fill them in {OR_DROP}", name) for name in columns
    )


def _unique(name: str) -> tuple[Rule, ...]:
    """Return the rules for a unique id column."""
    ids = pl.col(name)
    is_copy = ~pl.struct(pl.exclude(FILE, ROW)).is_first_distinct()
    repeats = ids.is_not_null() & ~ids.is_first_distinct()
    return (
        *empty_rules(name),
        Rule("repeat an earlier row and were dropped", repeats & is_copy),
        Rule(
            "repeat an id with different values",
            repeats & ~is_copy,
            "repeated_id",
            "keep one row for each id",
            name,
            ids,
        ),
    )


RULES: Mapping[str, tuple[Rule, ...]] = {
    "interactions": empty_rules("user_id", "signal"),
    "users": (*_unique("user_id"), GUEST_RULE),
    "items": _unique("item_id"),
    "item_updates": _unique("item_id"),
    "collections": (
        *empty_rules("entity", "entity_id", "item_id"),
        Rule(
            "name 'item', which is not a collection",
            pl.col("entity") == ITEM,
            "reserved_name",
            f"rename it {OR_DROP}",
            "entity",
        ),
    ),
    "names": empty_rules("entity", "entity_id"),
    "friends": empty_rules("user_id", "friend_id"),
    "assignments": (
        *empty_rules("user_id", "experiment", "variant"),
        Rule("repeat a user's variant; the earliest one counts", ~pl.struct(ASSIGNMENT).is_first_distinct()),
        Rule(
            "give a user several variants of one experiment",
            pl.col("user_id").is_not_null()
            & (pl.col("variant").drop_nulls().n_unique().over("user_id", "experiment") > 1),
            "several_variants",
            f"keep the variant that the user saw, {OR_DROP}",
            "variant",
            pl.col("user_id"),
        ),
    ),
    "embeddings/users": (*_unique("user_id"), *empty_rules("vector")),
    "embeddings/items": (*_unique("item_id"), *empty_rules("vector")),
}
"""Rules for converted rows that need no other table."""


def describe_ids(name: str, ids: pl.Series) -> str:
    """Return the advice for unknown ids, with two known ids as examples of their spelling."""
    home = name if name in HOMES.values() else "items or collections"
    examples = ", ".join(map(repr, ids.head(2)))
    suffix = f" (ids there: {examples}{', ...' if len(ids) > 2 else ''})" if examples else ""
    return f"add them to {home}{suffix}, use the same spelling in both, {OR_DROP}"


def reference_rule(column: str, name: str, ids: pl.Series, is_unknown: pl.Expr, code: str = "unknown_id") -> Rule:
    """Return the rule for a column of ids that identify users, items, or members of an entity (`name`).

    The known `ids` are sorted; the mask `is_unknown` may include null. Without a code, rows are left out.
    """
    finding = f"refer to unknown {name}" if name in HOMES.values() else f"refer to an unknown {name}"
    bad = pl.col(column).is_not_null() & is_unknown
    return Rule(finding, bad, code, describe_ids(name, ids) if code else "left out", column, pl.col(column))
