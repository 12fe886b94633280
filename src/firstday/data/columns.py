"""Conversion of a table's columns to their types; each counts its bad values, adds up over batches, and decides alone.

Whatever is decided here is decided value by value, since interactions come in batches of rows, from several machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from firstday.data.findings import Findings

MAX_AGE_YEARS = 120
MAX_POSITION = 2**31 - 1
FIRST_BIRTH_YEAR = 1900
"""An age from here to this year is a year of birth."""
WORDS = (pl.String, pl.Categorical, pl.Enum)
MAX_INT64 = 2**63 - 1
MAX_WHOLE_FLOAT = 2**53
"""Whole numbers from here on are not all told apart by a Float64."""
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
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


@dataclass(frozen=True)
class Column:
    """A column as it was read, its place, and the collector of its faults.

    Parameters
    ----------
    where
        Table and column.
    values
        Some rows of it, or all.
    is_text
        Whether it comes from CSV.
    findings
        Gets the faults and notes.
    """

    where: str
    values: pl.Series
    is_text: bool
    findings: Findings

    @property
    def is_words(self) -> bool:
        """Whether values are text, to be read one by one."""
        return self.is_text or self.values.dtype in WORDS

    def wrong_type(self, expected: str) -> None:
        """Add the fault of a column of another type."""
        content = "text" if self.values.dtype in WORDS else str(self.values.dtype)
        if self.where in self.findings.forgiven:
            self.findings.note(f"{self.where}: the column holds {content}, not {expected}; taken as unknown.")
        else:
            self.findings.fault(f"{self.where}: the column holds {content}, not {expected}; store {expected}.")

    def rows(
        self,
        bad: pl.Series,
        finding: str,
        first: pl.Series | None,
        advice: str | Callable[[Any], str],
        *,
        noun: str = "rows",
        excuse: str = "",
    ) -> None:
        """Add the fault of bad rows, if there are any."""
        self.findings.rows(self.where, bad, finding, first, advice, noun=noun, excuse=excuse)

    def note_rows(self, noted: pl.Series, text: str) -> None:
        """Add the note of some rows, if there are any."""
        self.findings.note_rows(self.where, int(noted.sum()), len(noted), text)

    def ignore(self, reason: str) -> None:
        """Add a note that the column is ignored."""
        self.findings.note(f"{self.where}: ignored ({reason}).")

    def marks(self, words: pl.Series) -> pl.Series:
        """Add the fault of marks for missing, one for each mark; return where they are."""
        is_mark = words.str.to_lowercase().is_in(MARKS_FOR_MISSING).fill_null(value=False)
        if is_mark.any():
            for mark in words.filter(is_mark).unique(maintain_order=True):
                self.rows(words == mark, f"hold {mark!r}, a mark for missing", None, LEAVE_EMPTY)
        return is_mark


def words_of(values: pl.Series) -> pl.Series:
    """Return text as String, with null for what is empty."""
    words = values.cast(pl.String)
    return words.set(words == "", None)


def whole_numbers(column: Column) -> pl.Series | None:
    """Return a column of floats or decimals as Int64, with a note, if all are whole; NaN is missing."""
    values = column.values
    if not (values.dtype.is_float() or values.dtype.is_decimal()):
        return None
    if values.dtype.is_float():
        values = values.fill_nan(None)
        if not (values.abs().max() or 0) < MAX_WHOLE_FLOAT:  # type: ignore[operator]
            return None
    whole = values.cast(pl.Int64, strict=False)
    if not (whole.cast(values.dtype).eq_missing(values)).all():
        return None
    column.findings.note(f"{column.where}: whole numbers stored as {column.values.dtype} were read as whole numbers.")
    return whole


def _id(column: Column) -> pl.Series | None:
    """Keep whole numbers and text; CSV text becomes numbers only where nothing is lost ("007" stays text)."""
    values = column.values
    if values.dtype.is_integer():
        return values.cast(pl.String if (values.max() or 0) > MAX_INT64 else pl.Int64)  # type: ignore[operator]
    if values.dtype in WORDS or values.dtype == pl.Null:
        words = words_of(values)
        if column.is_text and len(words) and words.str.contains(WHOLE_NUMBER).all():
            return words.cast(pl.Int64)
        _note_odd_ids(column, words)
        return words
    numbers = whole_numbers(column)
    if numbers is None:
        column.wrong_type("whole numbers or text")
    return numbers


def _note_odd_ids(column: Column, words: pl.Series) -> None:
    """Note ids that hardly anybody means as they stand; they are taken so all the same."""
    as_written = "ids are taken as they are written"
    column.note_rows(words != words.str.strip_chars(), f"have spaces around the id; {as_written}")
    if column.is_text:
        column.note_rows(words.str.contains(WHOLE_WITH_DECIMALS), f"write whole numbers as decimals; {as_written}")
    is_mark = words.str.to_lowercase().is_in(NO_IDS).fill_null(value=False)
    if is_mark.any():
        for mark in words.filter(is_mark).unique(maintain_order=True):
            column.note_rows(words == mark, f"hold {mark!r}, which looks like a mark for missing and counts as an id")


def _text(column: Column) -> pl.Series | None:
    """Return text, null where empty."""
    values = column.values
    if values.dtype in WORDS or values.dtype == pl.Null:
        return words_of(values)
    column.wrong_type("text")
    return None


def _number(column: Column) -> pl.Series | None:
    """Return numbers as Float64, null where empty."""
    values = column.values
    if not column.is_words:
        if values.dtype.is_numeric() or values.dtype == pl.Null:
            return values.cast(pl.Float64)
        column.wrong_type("numbers")
        return None
    if not column.is_text:
        column.findings.note(f"{column.where}: text was read as numbers.")
    words = words_of(values).str.strip_chars()
    numbers = words.cast(pl.Float64, strict=False)
    odd = words.is_not_null() & (numbers.is_null() | numbers.is_nan())
    if not odd.any():
        return numbers
    is_mark = column.marks(words.set(~odd, None))
    comma = words.str.contains(DECIMAL_COMMA).fill_null(value=False)
    in_doubt = comma & words.str.contains(COMMA_OF_THOUSANDS)
    column.note_rows(comma & ~in_doubt, DECIMALS_READ)
    column.rows(
        in_doubt,
        "have a comma that may stand for decimals or for thousands",
        words,
        _tell_both_readings,
        noun="values",
        excuse=DECIMALS_READ,
    )
    advice = "write numbers alone, with a dot for decimals"
    column.rows(odd & ~is_mark & ~comma, "are not numbers", words, advice)
    decimals = words.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return numbers.set(is_mark, None).zip_with(~comma, decimals)


def _tell_both_readings(text: Any) -> str:
    """Return the advice for a number such as ``1,500``."""
    decimal, thousands = float(str(text).replace(",", ".")), int(str(text).replace(",", ""))
    return f"write {decimal} or {thousands}: with a dot for decimals, and nothing for thousands"


def _weight(column: Column) -> pl.Series | None:
    """Return weights, null where empty."""
    numbers = _number(column)
    if numbers is not None:
        column.note_rows(words_of(column.values).is_null() if column.is_words else numbers.is_null(), EMPTY_WEIGHTS)
    return numbers


EMPTY_WEIGHTS = "are empty and weigh 1"


def _label(column: Column) -> pl.Series | None:
    """Return ids as text, whatever they are: nothing else refers to them."""
    ids = _id(column)
    return None if ids is None else ids.cast(pl.String)


def _position(column: Column) -> pl.Series | None:
    """Return places in lists, from 1; NaN, the missing number of pandas, becomes null."""
    numbers = _number(column)
    if numbers is None:
        return None
    numbers = numbers.fill_nan(None)
    bad = (numbers < 1) | (numbers > MAX_POSITION) | (numbers != numbers.floor())
    column.rows(bad, "are no places in a list", numbers, "write whole numbers from 1, or leave unknown ones empty")
    return numbers.set(bad, None).cast(pl.Int32)


def _propensity(column: Column) -> pl.Series | None:
    """Return probabilities above 0; NaN, the missing number of pandas, becomes null."""
    numbers = _number(column)
    if numbers is None:
        return None
    numbers = numbers.fill_nan(None)
    bad = ~((numbers > 0) & (numbers <= 1))
    advice = "write probabilities as shares of 1, or leave unknown ones empty"
    column.rows(bad, "are not above 0 and at most 1", numbers, advice)
    return numbers.set(bad, None)


def _age(column: Column) -> pl.Series | None:
    """Return ages in whole years, rounded down; NaN, the missing number of pandas, becomes null."""
    if column.is_words:
        words = words_of(column.values)
        bands = words.str.contains(AGE_BAND).fill_null(value=False)
        advice = "give years, or name the column age_band, so that it is a group"
        column.rows(bands, "are bands of age", words, advice)
        column = Column(column.where, words.set(bands, None), column.is_text, column.findings)
    numbers = _number(column)
    if numbers is None:
        return None
    numbers = numbers.fill_nan(None)
    births = (numbers >= FIRST_BIRTH_YEAR) & (numbers <= datetime.now(UTC).year) & (numbers == numbers.floor())
    column.rows(births, "look like years of birth", numbers, "give ages in years")
    bad = ((numbers < 0) | (numbers > MAX_AGE_YEARS)) & ~births
    column.rows(bad, f"are outside 0 to {MAX_AGE_YEARS} years", numbers, "correct them, or leave unknown ages empty")
    return numbers.set(bad | births, None).floor().cast(pl.Int16)


def _time(column: Column) -> pl.Series | None:
    """Return moments in UTC."""
    values = column.values
    if values.dtype == pl.Null:
        return values.cast(pl.Datetime("us", "UTC"))
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        moments = values.cast(pl.Datetime("us", values.dtype.time_zone)).dt.convert_time_zone("UTC")
        return _within_our_time(column, moments)
    if values.dtype in WORDS:
        return _time_of_text(column)
    present = values.is_not_null()
    if values.dtype == pl.Date:
        column.note_rows(present, DATES)
        return _within_our_time(column, values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    if values.dtype.is_numeric():
        column.rows(present, NUMBERS, values, lambda number: f"{_tell_conversion(number)}")
    elif values.dtype == pl.Datetime:
        column.rows(present, NAIVE, values.dt.strftime("%Y-%m-%d %H:%M:%S"), GIVE_ZONE)
    else:
        column.wrong_type("moments in UTC")
    return None


def _tell_conversion(number: Any) -> str:
    """Return how to convert bare numbers to moments, in the unit that the first one probably has."""
    size = abs(float(number))
    unit, name = next(((unit, name) for limit, unit, name in UNITS if size < limit), ("ns", "nanoseconds"))
    spark = {
        "s": ", Spark timestamp_seconds(x)",
        "ms": ", Spark timestamp_millis(x)",
        "us": ", Spark timestamp_micros(x)",
    }
    return (
        f'if they are {name} since 1970, convert them (pandas pd.to_datetime(x, unit="{unit}", utc=True), Polars '
        f'pl.from_epoch(x, "{unit}").dt.replace_time_zone("UTC"){spark.get(unit, "")})'
    )


def _within_our_time(column: Column, moments: pl.Series) -> pl.Series:
    """Find moments that a wrong unit makes: note the early ones, and return all but the late ones."""
    physical = moments.to_physical()
    column.note_rows((physical >= 0) & (physical < END_OF_JANUARY_US), EARLY)
    late = physical >= YEAR_10000_US
    if late.any():
        shown = moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        advice = f"read them with the right unit (were milliseconds read as seconds?), or {LEAVE_EMPTY}"
        column.rows(late, "lie after the year 9999", shown, advice)
    return moments.set(late, None)


def _time_of_text(column: Column) -> pl.Series:
    """Read ISO 8601 text with a zone, or dates."""
    words = words_of(column.values).str.strip_chars()
    parts = words.str.extract_groups(MOMENT).struct.unnest()
    zone = parts["zone"].replace(["Z", "z", "UTC"], "+0000").str.replace(":", "", literal=True)
    zone = zone.str.replace(r"^([+-]\d\d)$", "${1}00")
    minute, second = parts["minute"].fill_null("00:00"), parts["second"].fill_null(":00")
    moments = (parts["day"] + "T" + minute + second + zone.fill_null("+0000")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False
    )
    is_date = moments.is_not_null() & zone.is_null() & parts["minute"].is_null()
    naive = moments.is_not_null() & zone.is_null() & ~is_date
    column.note_rows(is_date, DATES)
    odd = words.is_not_null() & moments.is_null()
    if odd.any() or naive.any():
        is_mark = column.marks(words.set(~odd, None))
        numbers = words.str.contains(r"^[-+]?\d+(\.\d+)?$").fill_null(value=False)
        column.rows(odd & ~numbers & ~is_mark, "are not times", words, WRITE_UTC)
        column.rows(naive, NAIVE, words, WRITE_UTC)
        column.rows(numbers, NUMBERS, words, lambda number: f"{WRITE_UTC}; {_tell_conversion(number)}")
    return _within_our_time(column, moments.set(naive, None))


def _vector(column: Column) -> pl.Series | None:
    """Return lists of numbers, all of one length."""
    values = column.values
    vectors = words_of(values).str.split("|") if column.is_text else values
    inner = getattr(vectors.dtype, "inner", None)
    if not isinstance(vectors.dtype, pl.List | pl.Array) or not (column.is_text or (inner and inner.is_numeric())):
        column.wrong_type("lists of numbers")
        return None
    vectors = vectors.cast(pl.List(pl.Float32), strict=False)
    lengths = vectors.list.len().fill_null(0)
    usual = next(iter(lengths.filter(lengths > 0)), 0)
    advice = "bring vectors of one model, all of the same length"
    column.rows(lengths == 0, "have no numbers", None, advice)
    finding = f"have another length than {usual}, the first one's"
    column.rows((lengths > 0) & (lengths != usual), finding, None, advice)
    flawed = ~vectors.list.eval(pl.element().is_finite().fill_null(value=False)).list.all()
    column.rows(flawed, "hold numbers that are missing, NaN or infinite", None, "compute these vectors again")
    return vectors


CONFORM: Mapping[str, Callable[[Column], pl.Series | None]] = {
    "id": _id,
    "label": _label,
    "position": _position,
    "propensity": _propensity,
    "text": _text,
    "number": _number,
    "weight": _weight,
    "age": _age,
    "time": _time,
    "vector": _vector,
}
"""How a column of each kind is converted; None where it cannot be."""
