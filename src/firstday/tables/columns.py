"""Conversion of columns to their types, and the rules for each kind of column.

Each value is converted by itself, since interactions come in batches of rows, from several machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl

from firstday.tables.faults import Findings, Reasons, Rule, find_faults
from firstday.tables.schema import WHOLE_NUMBER, show_name

MAX_AGE_YEARS = 120
MAX_POSITION = 2**31 - 1
FIRST_BIRTH_YEAR = 1900
"""An age from here to this year is a year of birth."""
WORDS = (pl.String, pl.Categorical, pl.Enum)
MAX_INT64 = 2**63 - 1
MAX_WHOLE_FLOAT = 2**53
"""Whole numbers from here on are not all told apart by a Float64."""
WHOLE_WITH_DECIMALS = r"^(-?\d+)\.0+$"
DECIMAL_COMMA = r"^[-+]?\d+,\d+$"
COMMA_OF_THOUSANDS = r"^[-+]?[1-9]\d{0,2},\d{3}$"
MOMENT = (
    r"^(?<day>\d{4}-\d{2}-\d{2})(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d+)?)?)?"
    r" ?(?<zone>Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
AGE_BAND = r"^\s*(\d{1,3}\s*(-|\u2013|to)\s*\d{1,3}|[<>]=?\s*\d{1,3}|\d{1,3}\s*\+)\s*$"
MARKS_FOR_MISSING = (
    "n/a", "#n/a", "na", "<na>", "null", "(null)", "none", "nil", "nan", "nat", r"\n", "-", "--", "?", "unknown",
)  # fmt: skip
"""What programs and people write where nothing is known, in lower case."""
NO_IDS = ("n/a", "#n/a", "<na>", "null", "(null)", "none", "nan", "nat", r"\n")
"""Marks for missing that are hardly the id of anything."""
DECIMALS_READ = "have a decimal comma and were read so ('1,5' is 1.5)"
NAIVE = "have no time zone"
NUMBERS = "are bare numbers without a unit and a time zone"
DATES = "are dates without a time; taken as midnight UTC"
EARLY = (
    "lie in January 1970 (were seconds read as milliseconds or microseconds, or does 0 stand for missing?); correct "
    "them, or leave them empty"
)
WRITE_UTC = "write UTC with its zone, such as 2024-05-01T12:00:00Z"
GIVE_ZONE = (
    'give them their zone (pandas .dt.tz_localize("UTC"), Polars .dt.replace_time_zone("UTC"), SQL AT TIME ZONE '
    "'UTC', Spark spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS)"
)
LEAVE_EMPTY = "leave them empty"
DAY_US = 86_400_000_000
END_OF_JANUARY_US = 31 * DAY_US
YEAR_10000_US = 253_402_300_800_000_000
UNITS = ((10**11, "s", "seconds"), (10**14, "ms", "milliseconds"), (10**17, "us", "microseconds"))
"""Numbers below the first of each are probably moments of our time in this unit: Polars' and pandas' name, the word."""


WRITTEN, VALUE = pl.col("written"), pl.col("value")
"""A column as it was read, and its converted values, in rules."""
_UNREAD_NUMBER = WRITTEN.is_not_null() & (VALUE.is_null() | VALUE.is_nan())
_UNREAD_TIME = WRITTEN.is_not_null() & VALUE.is_null()
_IS_MARK = WRITTEN.str.to_lowercase().is_in(MARKS_FOR_MISSING)
_IS_MARK_RULE = Rule("hold {}, a mark for missing", _IS_MARK, LEAVE_EMPTY, value=WRITTEN)
_COMMA = WRITTEN.str.contains(DECIMAL_COMMA)
_IN_DOUBT = WRITTEN.str.contains(COMMA_OF_THOUSANDS)
_IS_NUMBER = WRITTEN.str.contains(r"^[-+]?\d+(\.\d+)?$")
_IS_DATE = pl.col("zone").is_null() & pl.col("minute").is_null()


def _describe_readings(text: str) -> str:
    """Return the advice for a number such as ``1,500``."""
    decimal, thousands = float(text.replace(",", ".")), int(text.replace(",", ""))
    return f"write {decimal} or {thousands}: with a dot for decimals, and nothing for thousands"


def _describe_conversion(number: Any) -> str:
    """Return how to convert bare numbers to moments, in the unit that the first one probably has."""
    size = abs(float(number))
    unit, name = next(((unit, name) for limit, unit, name in UNITS if size < limit), ("ns", "nanoseconds"))
    spark = "" if unit == "ns" else f", Spark timestamp_{name if unit == 's' else name.replace('seconds', 's')}(x)"
    return (
        f'if they are {name} since 1970, convert them (pandas pd.to_datetime(x, unit="{unit}", utc=True), Polars '
        f'pl.from_epoch(x, "{unit}").dt.replace_time_zone("UTC"){spark})'
    )


ID_RULES = (
    Rule("have spaces around the id; ids are taken as they are written", WRITTEN.str.strip_chars() != WRITTEN),
    Rule(
        "hold {}, which looks like a mark for missing and counts as an id",
        WRITTEN.str.to_lowercase().is_in(NO_IDS),
        value=WRITTEN,
    ),
    Rule(
        "write whole numbers as decimals; ids are taken as they are written", WRITTEN.str.contains(WHOLE_WITH_DECIMALS)
    ),
)
NUMBER_RULES = (
    replace(_IS_MARK_RULE, bad=_UNREAD_NUMBER & _IS_MARK),
    Rule(DECIMALS_READ, _COMMA & ~_IN_DOUBT),
    Rule(
        "have a comma that may stand for decimals or for thousands",
        _IN_DOUBT,
        _describe_readings,
        value=WRITTEN,
        noun="values",
        excuse=DECIMALS_READ,
    ),
    Rule(
        "are not numbers",
        _UNREAD_NUMBER & ~_IS_MARK & ~_COMMA,
        "write numbers alone, with a dot for decimals",
        value=WRITTEN,
    ),
)
WEIGHT_RULES = (Rule("are empty and weigh 1", WRITTEN.is_null()),)
POSITION_RULES = (
    Rule(
        "are no places in a list",
        (VALUE < 1) | (VALUE > MAX_POSITION) | (VALUE.floor() != VALUE),
        "write whole numbers from 1, or leave unknown ones empty",
        value=VALUE,
    ),
)
PROPENSITY_RULES = (
    Rule(
        "are not above 0 and at most 1",
        ~((VALUE > 0) & (VALUE <= 1)),
        "write probabilities as shares of 1, or leave unknown ones empty",
        value=VALUE,
    ),
)
AGE_BAND_RULES = (
    Rule(
        "are bands of age",
        WRITTEN.str.contains(AGE_BAND),
        "give years, or name the column age_band, so that it is a group",
        value=WRITTEN,
    ),
)
_IS_BIRTH = (VALUE >= FIRST_BIRTH_YEAR) & (datetime.now(UTC).year >= VALUE) & (VALUE.floor() == VALUE)
AGE_RULES = (
    Rule("look like years of birth", _IS_BIRTH, "give ages in years", value=VALUE),
    Rule(
        f"are outside 0 to {MAX_AGE_YEARS} years",
        ((VALUE < 0) | (VALUE > MAX_AGE_YEARS)) & ~_IS_BIRTH,
        "correct them, or leave unknown ages empty",
        value=VALUE,
    ),
)
MOMENT_RULES = (
    Rule(EARLY, (VALUE.to_physical() >= 0) & (VALUE.to_physical() < END_OF_JANUARY_US)),
    Rule(
        "lie after the year 9999",
        VALUE.to_physical() >= YEAR_10000_US,
        f"read them with the right unit (were milliseconds read as seconds?), or {LEAVE_EMPTY}",
        value=VALUE.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ),
)
DATE_RULES = (Rule(DATES, WRITTEN.is_not_null()),)
NAIVE_RULES = (Rule(NAIVE, WRITTEN.is_not_null(), GIVE_ZONE, value=WRITTEN.dt.strftime("%Y-%m-%d %H:%M:%S")),)
BARE_NUMBER_RULES = (Rule(NUMBERS, WRITTEN.is_not_null(), _describe_conversion, value=WRITTEN),)
TEXT_DATE_RULES = (Rule(DATES, VALUE.is_not_null() & _IS_DATE),)
TEXT_TIME_RULES = (
    replace(_IS_MARK_RULE, bad=_UNREAD_TIME & _IS_MARK),
    Rule("are not times", _UNREAD_TIME & ~_IS_NUMBER & ~_IS_MARK, WRITE_UTC, value=WRITTEN),
    Rule(NAIVE, VALUE.is_not_null() & pl.col("zone").is_null() & ~_IS_DATE, WRITE_UTC, value=WRITTEN),
    Rule(NUMBERS, _IS_NUMBER, lambda number: f"{WRITE_UTC}; {_describe_conversion(number)}", value=WRITTEN),
)
SAME_LENGTH = "bring vectors of one model, all of the same length"


@dataclass(frozen=True, eq=False)
class Column:
    """A column as it was read, and the collectors of its faults.

    Parameters
    ----------
    table, label
        Its table and its name.
    values
        Some rows of it, or all: text is String, null where empty.
    rows
        The places of these rows.
    is_text
        Whether it comes from CSV.
    findings
        Gets the faults and notes.
    reasons
        Gets the bad rows.
    hint
        What to say where it is not one of the columns that the table is known to have.
    """

    table: str
    label: str
    values: pl.Series
    rows: pl.DataFrame
    is_text: bool
    findings: Findings
    reasons: Reasons
    hint: str = ""

    @property
    def where(self) -> str:
        """Table and column, for messages."""
        return f"{self.table}.{show_name(self.label)}"

    def wrong_type(self, expected: str) -> None:
        """Add the fault of a column of another type."""
        content = f"the column holds {'text' if self.values.dtype == pl.String else self.values.dtype}, not {expected}"
        if self.where in self.findings.forgiven:
            self.findings.note(f"{self.where}: {content}; taken as unknown.")
        else:
            self.findings.fault(f"{self.where}: {content}; store {expected}.")

    def find(self, rules: Sequence[Rule], written: pl.Series, value: pl.Series, **more: pl.Series) -> pl.Series:
        """Apply rules, and return the values without the bad ones."""
        rows = self.rows.with_columns(written=written, value=value, **more)
        reasons = find_faults(self.where, rows, rules, self.findings)
        self.reasons.update(reasons)
        for bad in reasons.values():
            value = value.set(bad, None)
        return value

    def ignore(self, reason: str) -> None:
        """Add a note that the column is ignored."""
        self.findings.note(f"{self.where}: ignored ({reason}).")


def words_of(values: pl.Series) -> pl.Series:
    """Return values as String, with null for what is empty."""
    words = values.cast(pl.String)
    return words.set(words == "", None)


def whole_numbers(column: Column, expected: str) -> pl.Series | None:
    """Return whole numbers, or floats or decimals that all are whole with a note, as Int64; NaN is missing."""
    values, dtype = column.values, column.values.dtype
    if dtype.is_integer():
        return values.cast(pl.String if (values.max() or 0) > MAX_INT64 else pl.Int64)  # type: ignore[operator]
    if dtype.is_float():
        values = values.fill_nan(None)
    if dtype.is_decimal() or (dtype.is_float() and (values.abs().max() or 0) < MAX_WHOLE_FLOAT):  # type: ignore[operator]
        whole = values.cast(pl.Int64, strict=False)
        if whole.cast(dtype).eq_missing(values).all():
            column.findings.note(f"{column.where}: whole numbers stored as {dtype} were read as whole numbers.")
            return whole
    column.wrong_type(expected)
    return None


def _id(column: Column) -> pl.Series | None:
    """Keep whole numbers and text; CSV text becomes numbers only where nothing is lost ("007" stays text)."""
    values = column.values
    if values.dtype != pl.String:
        return whole_numbers(column, "whole numbers or text")
    if column.is_text and len(values) and values.str.contains(WHOLE_NUMBER).all():
        return values.cast(pl.Int64)
    return column.find(ID_RULES, values, values)


def _text(column: Column) -> pl.Series | None:
    """Return text, null where empty."""
    if column.values.dtype == pl.String:
        return column.values
    column.wrong_type("text")
    return None


def _number(column: Column) -> pl.Series | None:
    """Return numbers as Float64, null where empty."""
    values = column.values
    if values.dtype.is_numeric():
        return values.cast(pl.Float64)
    if values.dtype != pl.String:
        column.wrong_type("numbers")
        return None
    if not column.is_text and values.count():
        column.findings.note(f"{column.where}: text was read as numbers.")
    words = values.str.strip_chars()
    numbers = words.cast(pl.Float64, strict=False)
    if (numbers.is_nan() | (numbers.is_null() & words.is_not_null())).any():
        column.find(NUMBER_RULES, words, numbers)
        decimals = words.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        numbers = numbers.fill_null(decimals).fill_nan(None)
    return numbers


def _weight(column: Column) -> pl.Series | None:
    """Return weights, null where empty."""
    numbers = _number(column)
    if numbers is not None:
        column.find(WEIGHT_RULES, column.values, numbers)
    return numbers


def _label(column: Column) -> pl.Series | None:
    """Return ids as text, whatever they are: nothing else refers to them."""
    ids = _id(column)
    return None if ids is None else ids.cast(pl.String)


def _bounded(column: Column, rules: Sequence[Rule], kind: pl.DataType) -> pl.Series | None:
    """Return numbers that rules bound; NaN, the missing number of pandas, becomes null."""
    numbers = _number(column)
    if numbers is None:
        return None
    numbers = numbers.fill_nan(None)
    return column.find(rules, numbers, numbers).cast(kind)


def _age(column: Column) -> pl.Series | None:
    """Return ages in whole years, rounded down."""
    if column.values.dtype == pl.String:
        column = replace(column, values=column.find(AGE_BAND_RULES, column.values, column.values))
    return _bounded(column, AGE_RULES, pl.Int16())


def _time(column: Column) -> pl.Series | None:
    """Return moments in UTC."""
    values, dtype = column.values, column.values.dtype
    if dtype == pl.String:
        return _time_of_text(column)
    if dtype == pl.Date:
        moments = values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return column.find(DATE_RULES + MOMENT_RULES, values, moments)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        moments = values.dt.cast_time_unit("us").dt.convert_time_zone("UTC")
        return column.find(MOMENT_RULES, moments, moments)
    if dtype.is_numeric():
        column.find(BARE_NUMBER_RULES, values, values)
    elif dtype == pl.Datetime:
        column.find(NAIVE_RULES, values, values)
    else:
        column.wrong_type("moments in UTC")
    return None


def _time_of_text(column: Column) -> pl.Series:
    """Read ISO 8601 text with a zone, or dates."""
    words = column.values.str.strip_chars()
    parts = words.str.extract_groups(MOMENT).struct.unnest()
    zone = parts["zone"].replace(["Z", "z", "UTC"], "+0000").str.replace(":", "", literal=True)
    zone = zone.str.replace(r"^([+-]\d\d)$", "${1}00")
    minute, second = parts["minute"].fill_null("00:00"), parts["second"].fill_null(":00")
    moments = (parts["day"] + "T" + minute + second + zone.fill_null("+0000")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False
    )
    is_doubtful = (words.is_not_null() & (moments.is_null() | zone.is_null())).any()
    rules = (*TEXT_DATE_RULES, *TEXT_TIME_RULES, *MOMENT_RULES) if is_doubtful else MOMENT_RULES
    return column.find(rules, words, moments, zone=zone, minute=parts["minute"])


def _vector(column: Column) -> pl.Series | None:
    """Return lists of numbers, all of one length."""
    vectors = column.values.str.split("|") if column.is_text else column.values
    inner = getattr(vectors.dtype, "inner", None)
    if not isinstance(vectors.dtype, pl.List | pl.Array) or not (column.is_text or (inner and inner.is_numeric())):
        column.wrong_type("lists of numbers")
        return None
    vectors = vectors.cast(pl.List(pl.Float32), strict=False)
    lengths = vectors.list.len().fill_null(0)
    usual = next(iter(lengths.filter(lengths > 0)), 0)
    finite = vectors.list.eval(pl.element().is_finite().fill_null(value=False)).list.all()
    column.find(
        (
            Rule("have no numbers", VALUE == 0, SAME_LENGTH),
            Rule(f"have another length than {usual}, the first one's", (VALUE > 0) & (usual != VALUE), SAME_LENGTH),
            Rule("hold numbers that are missing, NaN or infinite", ~WRITTEN, "compute these vectors again"),
        ),
        finite,
        lengths,
    )
    return vectors


CONVERSIONS: Mapping[str, Callable[[Column], pl.Series | None]] = {
    "id": _id,
    "label": _label,
    "position": partial(_bounded, rules=POSITION_RULES, kind=pl.Int32()),
    "propensity": partial(_bounded, rules=PROPENSITY_RULES, kind=pl.Float64()),
    "text": _text,
    "weight": _weight,
    "age": _age,
    "time": _time,
    "vector": _vector,
}
"""How a column of each kind is converted; None where it cannot be."""
