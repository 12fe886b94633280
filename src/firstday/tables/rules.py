"""Validation rules: for the values of each column kind, and for the rows of each table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from firstday.tables.faults import Rule
from firstday.tables.schema import DAY_US, ITEM

OR_DROP = "or drop the rows"
FIRST_NAMED = 3
"""Maximum number of items without a vector named in a message."""
COPY = "firstday: copy"
"""Column that marks duplicates of an earlier row."""
WRITTEN, VALUE = pl.col("written"), pl.col("value")
"""The column as read, and its converted values."""
MAX_AGE_YEARS = 120
MAX_POSITION = 2**31 - 1
FIRST_BIRTH_YEAR = 1900
"""An age from this year to the current one is a year of birth."""
WHOLE_WITH_DECIMALS = r"^(-?\d+)\.0+$"
DECIMAL_COMMA = r"^[-+]?\d+,\d+$"
COMMA_OF_THOUSANDS = r"^[-+]?[1-9]\d{0,2},\d{3}$"
AGE_BAND = r"^\s*(\d{1,3}\s*(-|\u2013|to)\s*\d{1,3}|[<>]=?\s*\d{1,3}|\d{1,3}\s*\+)\s*$"
IN_BRACKETS = r"^\s*(\[.*\]|\(.*\)|\{.*\})\s*$"
MARKS_FOR_MISSING = (
    "n/a", "#n/a", "na", "<na>", "null", "(null)", "none", "nil", "nan", "nat", r"\n", "-", "--", "?", "unknown",
)  # fmt: skip
"""Missing-value markers written by programs and people, in lower case."""
NO_IDS = ("n/a", "#n/a", "<na>", "null", "(null)", "none", "nan", "nat", r"\n")
"""Missing-value markers that are unlikely to be real ids."""
WRITE_UTC = "write UTC with its zone, such as 2024-05-01T12:00:00Z"
GIVE_ZONE = (
    'give them their zone (pandas .dt.tz_localize("UTC"), Polars .dt.replace_time_zone("UTC"), SQL AT TIME ZONE '
    "'UTC', Spark spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS)"
)
LEAVE_EMPTY = "leave them empty"
SAME_LENGTH = "bring vectors of one model, all of the same length"
END_OF_JANUARY_US = 31 * DAY_US
YEAR_10000_US = 253_402_300_800_000_000
UNITS = ((10**11, "s", "seconds"), (10**14, "ms", "milliseconds"), (10**17, "us", "microseconds"))
"""Units of bare timestamps: exclusive upper limit of plausible present-day values, name in Polars and pandas, word."""


def _describe_readings(text: str) -> str:
    """Return the advice for an ambiguous number such as ``1,500``."""
    decimal, thousands = float(text.replace(",", ".")), int(text.replace(",", ""))
    return f"write {decimal} or {thousands}: with a dot for decimals, and nothing for thousands"


def _describe_conversion(number: Any) -> str:
    """Return how to convert numeric timestamps, guessing the unit from the first value."""
    size = abs(float(number))
    unit, name = next(((unit, name) for limit, unit, name in UNITS if size < limit), ("ns", "nanoseconds"))
    spark = "" if unit == "ns" else f", Spark timestamp_{name if unit == 's' else name.replace('seconds', 's')}(x)"
    return (
        f'if they are {name} since 1970, convert them (pandas pd.to_datetime(x, unit="{unit}", utc=True), Polars '
        f'pl.from_epoch(x, "{unit}").dt.replace_time_zone("UTC"){spark})'
    )


_UNREAD_NUMBER = WRITTEN.is_not_null() & (VALUE.is_null() | VALUE.is_nan())
_UNREAD_TIME = WRITTEN.is_not_null() & VALUE.is_null()
_IS_MARK = WRITTEN.str.to_lowercase().is_in(MARKS_FOR_MISSING)
_MARK = "hold {}, a mark for missing"
_COMMA = WRITTEN.str.contains(DECIMAL_COMMA)
_IN_DOUBT = WRITTEN.str.contains(COMMA_OF_THOUSANDS)
_DECIMALS_READ = Rule("have a decimal comma and were read so ('1,5' is 1.5)", _COMMA & ~_IN_DOUBT)
_IS_NUMBER = WRITTEN.str.contains(r"^[-+]?\d+(\.\d+)?$")
_IS_BIRTH = (VALUE >= FIRST_BIRTH_YEAR) & (datetime.now(UTC).year >= VALUE) & (VALUE.floor() == VALUE)
_IS_DATE = pl.col("zone").is_null() & pl.col("minute").is_null()
_DATES = "are dates without a time; taken as midnight UTC"
_NUMBERS = "are bare numbers without a unit and a time zone"
VALUE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "id": (
        Rule("have spaces around the id; ids are taken as they are written", WRITTEN.str.strip_chars() != WRITTEN),
        Rule(
            "hold {}, which looks like a mark for missing and counts as an id",
            WRITTEN.str.to_lowercase().is_in(NO_IDS),
            value=WRITTEN,
        ),
        Rule(
            "write whole numbers as decimals; ids are taken as they are written",
            WRITTEN.str.contains(WHOLE_WITH_DECIMALS),
        ),
    ),
    "number": (
        Rule(_MARK, _UNREAD_NUMBER & _IS_MARK, LEAVE_EMPTY, value=WRITTEN),
        _DECIMALS_READ,
        Rule(
            "have a comma that may stand for decimals or for thousands",
            _IN_DOUBT,
            _describe_readings,
            value=WRITTEN,
            noun="values",
            excuse=_DECIMALS_READ.finding,
        ),
        Rule(
            "are not numbers",
            _UNREAD_NUMBER & ~_IS_MARK & ~_COMMA,
            "write numbers alone, with a dot for decimals",
            value=WRITTEN,
        ),
    ),
    "weight": (
        Rule("are empty and weigh 1", WRITTEN.is_null()),
        Rule(
            "are NaN, infinite or beyond 3e38",
            VALUE.is_not_null() & ~VALUE.cast(pl.Float32).is_finite(),
            f"write finite numbers {OR_DROP}",
            value=VALUE,
        ),
        Rule(
            "are negative",
            (VALUE < 0) & VALUE.is_finite(),
            "write 0 or more; show dislike by signals such as skip and ban",
            value=VALUE,
        ),
    ),
    "position": (
        Rule(
            "are no places in a list",
            (VALUE < 1) | (VALUE > MAX_POSITION) | (VALUE.floor() != VALUE),
            "write whole numbers from 1, or leave unknown ones empty",
            value=VALUE,
        ),
    ),
    "propensity": (
        Rule(
            "are not above 0 and at most 1",
            ~((VALUE > 0) & (VALUE <= 1)),
            "write probabilities as shares of 1, or leave unknown ones empty",
            value=VALUE,
        ),
    ),
    "age text": (
        Rule(
            "are bands of age",
            WRITTEN.str.contains(AGE_BAND),
            "give years, or name the column age_band, so that it is a group",
            value=WRITTEN,
        ),
    ),
    "age": (
        Rule("look like years of birth", _IS_BIRTH, "give ages in years", value=VALUE),
        Rule(
            f"are outside 0 to {MAX_AGE_YEARS} years",
            ((VALUE < 0) | (VALUE > MAX_AGE_YEARS)) & ~_IS_BIRTH,
            "correct them, or leave unknown ages empty",
            value=VALUE,
        ),
    ),
    "time": (
        Rule(
            "lie in January 1970 (were seconds read as milliseconds or microseconds, or does 0 stand for missing?); "
            "correct them, or leave them empty",
            (VALUE.to_physical() >= 0) & (VALUE.to_physical() < END_OF_JANUARY_US),
        ),
        Rule(
            "lie after the year 9999",
            VALUE.to_physical() >= YEAR_10000_US,
            f"read them with the right unit (were milliseconds read as seconds?), or {LEAVE_EMPTY}",
            value=VALUE.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    ),
    "text time": (
        Rule(_DATES, VALUE.is_not_null() & _IS_DATE),
        Rule(_MARK, _UNREAD_TIME & _IS_MARK, LEAVE_EMPTY, value=WRITTEN),
        Rule("are not times", _UNREAD_TIME & ~_IS_NUMBER & ~_IS_MARK, WRITE_UTC, value=WRITTEN),
        Rule("have no time zone", VALUE.is_not_null() & pl.col("zone").is_null() & ~_IS_DATE, WRITE_UTC, value=WRITTEN),
        Rule(_NUMBERS, _IS_NUMBER, lambda number: f"{WRITE_UTC}; {_describe_conversion(number)}", value=WRITTEN),
    ),
    "date": (Rule(_DATES, WRITTEN.is_not_null()),),
    "bare time": (Rule(_NUMBERS, WRITTEN.is_not_null(), _describe_conversion, value=WRITTEN),),
    "naive time": (
        Rule("have no time zone", WRITTEN.is_not_null(), GIVE_ZONE, value=WRITTEN.dt.strftime("%Y-%m-%d %H:%M:%S")),
    ),
    "vector": (
        Rule("have no numbers", VALUE == 0, SAME_LENGTH),
        Rule(
            "have another length than the first one",
            (VALUE > 0) & (VALUE.filter(VALUE > 0).first() != VALUE),
            SAME_LENGTH,
            value=VALUE,
        ),
        Rule("hold numbers that are missing, NaN or infinite", ~WRITTEN, "compute these vectors again"),
    ),
    "words": (Rule("have spaces around the value; they were left out", WRITTEN != VALUE),),
    "CSV list": (
        Rule(
            "hold a list in brackets",
            WRITTEN.str.contains(IN_BRACKETS),
            "write lists with | between",
            value=WRITTEN,
            noun="items",
        ),
    ),
    "list": (Rule("hold a list in brackets as one text; store lists", WRITTEN.str.contains(IN_BRACKETS)),),
}
"""Rules for values, by column kind."""


def empty_rules(*columns: str) -> tuple[Rule, ...]:
    """Return the rules of columns that must not be null."""
    return tuple(Rule("are empty", pl.col(name).is_null(), f"fill them in {OR_DROP}", name) for name in columns)


def _unique(name: str) -> tuple[Rule, ...]:
    """Return the rules of a unique id column."""
    ids = pl.col(name)
    repeats = ids.is_not_null() & ~ids.is_first_distinct() & ~pl.col(COPY)
    return (
        *empty_rules(name),
        Rule("repeat an earlier row and were dropped", pl.col(COPY)),
        Rule("repeat an id with other values", repeats, "keep one row for each id", name, ids),
    )


RULES: Mapping[str, tuple[Rule, ...]] = {
    "interactions": empty_rules("user_id", "signal"),
    "users": _unique("user_id"),
    "items": _unique("item_id"),
    "collections": (
        *empty_rules("entity", "entity_id", "item_id"),
        Rule("name 'item', which is no collection", pl.col("entity") == ITEM, f"rename it {OR_DROP}", "entity"),
    ),
    "names": empty_rules("entity", "entity_id"),
    "friends": empty_rules("user_id", "friend_id"),
    "assignments": (
        *empty_rules("user_id", "experiment", "variant"),
        Rule("repeat a user's variant; the earliest of each counts", pl.col(COPY)),
        Rule(
            "give a user several variants of one experiment",
            pl.col("user_id").is_not_null()
            & (pl.col("variant").drop_nulls().n_unique().over("user_id", "experiment") > 1),
            f"keep the variant that the user saw, {OR_DROP}",
            "variant",
            pl.col("user_id"),
        ),
    ),
    "embeddings/users": _unique("user_id"),
    "embeddings/items": _unique("item_id"),
}
"""Rules that need only the rows of the table itself, after conversion."""


def reference_rule(column: str, name: str, ids: pl.Series, is_unknown: pl.Expr, where: pl.Expr | None = None) -> Rule:
    """Return the rule of a foreign-key column.

    Parameters
    ----------
    column
        Column with ids.
    name
        What the ids identify: users, items, or members of an entity.
    ids
        Known ids.
    is_unknown
        Mask of rows with any other id, including null.
    where
        Mask of rows of the entity, if the ids are members of one.
    """
    finding, home = f"name unknown {name}", name
    if where is not None:
        finding, home, is_unknown = f"name an unknown {name}", "items or collections", is_unknown & where
    bad = pl.col(column).is_not_null() & is_unknown
    return Rule(finding, bad, f"add them to {home} {OR_DROP}", column, pl.col(column), known=ids)
