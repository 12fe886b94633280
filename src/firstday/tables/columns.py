"""Type conversion of columns, with the rules for each kind of column.

Values are converted independently of each other, because interactions are read in batches, on several machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from firstday.tables.faults import Findings, Reasons, find_faults
from firstday.tables.rules import VALUE_RULES
from firstday.tables.schema import UTC_MICROSECONDS, WHOLE_NUMBER, Kind

TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum, pl.Null)
DECIMAL_COMMA = r"^([-+]?\d+),(\d{1,2}|\d{4,})$"
"""A number such as ``1,5``, but not ``1,500``, which may mean 1.5 or 1500."""
SHORT_TIMES = (
    (r"^\d{4}-\d{2}-\d{2}$", "${0}T00:00:00Z"),
    (r"([T ]\d{2}:\d{2})([ Zz+-]|$)", "${1}:00${2}"),
    (r"(:[\d.]+ ?[+-]\d{2})$", "${1}:00"),
)
"""Replacements in ISO 8601 times: for a missing time, missing seconds, and a time zone of hours, as in PostgreSQL."""
UNIX_UNITS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0}
"""Units of Unix times, in microseconds."""
UNIX_SPAN_US = (788_918_400e6, 4_102_444_800e6)
"""Years 1995 to 2100, where a number is a Unix time in one unit only, and none is a date such as 20240501."""


@dataclass(frozen=True, eq=False)
class Column:
    """An unconverted column of all rows or of a batch, and the objects that collect its faults and masks of bad rows.

    Text is String, with null for empty strings; if `is_text`, as in CSV, all values are text. `origin` has the `FILE`
    and `ROW` of each value.
    """

    table: str
    label: str
    kind: Kind
    values: pl.Series
    origin: pl.DataFrame
    is_text: bool
    findings: Findings
    reasons: Reasons

    def wrong_type(self, expected: str) -> None:
        """Add a fault for the wrong column type, or a note if the column is forgiven."""
        content = f"the column holds {self.values.dtype}, not {expected}"
        if self.is_forgiven:
            self.note(f"{content}; taken as unknown.")
        else:
            self.fault("wrong_type", f"{content}; convert it.")

    @property
    def is_forgiven(self) -> bool:
        """Whether bad values count as missing."""
        return f"{self.table}.{self.label}" in self.findings.forgiven

    def fault(self, code: str, text: str) -> None:
        """Add a fault of the column."""
        self.findings.fault(code, text, self.table, self.label)

    def note(self, text: str) -> None:
        """Add a note on the column."""
        self.findings.note(text, self.table, self.label)

    def find(self, kind: str, value: pl.Series, **more: pl.Series) -> pl.Series:
        """Apply the `VALUE_RULES` of a kind; return the values, with bad ones replaced by null."""
        rows = self.origin.with_columns(value=value, **more)
        reasons = find_faults(self.table, rows, VALUE_RULES[kind], self.findings, self.label)
        if not self.is_forgiven:
            self.reasons.update(reasons)
        for bad in reasons.values():
            value = value.set(bad, None)
        return value

    def ignore(self, reason: str) -> None:
        """Note that the column is ignored."""
        self.note(f"ignored ({reason}).")


def to_text(values: pl.Series) -> pl.Series:
    """Cast to String; empty strings become null."""
    texts = values.cast(pl.String)
    return texts.set(texts == "", None)


def to_integers(column: Column) -> pl.Series | None:
    """Convert integers, integral floats and decimals (with a note) to Int64; NaN is missing.

    None, with a fault, for other types; integers beyond Int64 become String.
    """
    values = column.values
    dtype = column.values.dtype
    if dtype.is_integer():
        return values.cast(pl.String if (values.max() or 0) >= 2**63 else pl.Int64)  # type: ignore[operator]
    if dtype.is_float():
        values = values.fill_nan(None)
    if dtype.is_decimal() or (dtype.is_float() and (values.abs().max() or 0) < 2**53):  # type: ignore[operator]
        whole = values.cast(pl.Int64, strict=False)
        if whole.cast(dtype).eq_missing(values).all():
            column.note(f"whole numbers stored as {dtype} were read as whole numbers.")
            return whole
    column.wrong_type("whole numbers or text")
    return None


def _id(column: Column) -> pl.Series | None:
    """Convert to Int64 or String; CSV text becomes integers only if this is lossless ("007" stays text)."""
    values = column.values
    if values.dtype != pl.String:
        return to_integers(column)
    if column.is_text and values.str.contains(WHOLE_NUMBER).all():
        return values.cast(pl.Int64)
    return column.find("id", values)


def _ids(column: Column) -> pl.Series | None:
    """Convert lists of ids, or text with ids separated by |, to List(String) without repeats."""
    values = column.values.str.split("|") if column.values.dtype == pl.String else column.values
    if values.dtype in (pl.List(pl.String), pl.List(pl.Int64), pl.List(pl.Null)):
        return values.cast(pl.List(pl.String)).list.drop_nulls().list.unique(maintain_order=True)
    column.wrong_type("lists of ids")
    return None


def _text(column: Column) -> pl.Series | None:
    """Return text, with null for empty values."""
    if column.values.dtype == pl.String:
        return column.values
    column.wrong_type("text")
    return None


def _number(column: Column) -> pl.Series | None:
    """Convert to Float64; empty values are missing, and so is NaN, which is a fault in weights.

    A rating is ignored unless there is a threshold.
    """
    if column.kind == "rating" and column.findings.config.signals.rating is None:
        column.ignore("low ratings count as use, too, unless --set signals.rating=4 names the least that does")
        return None
    values = column.values
    if values.dtype == pl.String:
        texts = values.str.strip_chars()
        numbers = texts.str.replace(DECIMAL_COMMA, "${1}.${2}").cast(pl.Float64, strict=False)
        numbers = column.find("number", numbers, written=texts)
    elif values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
    else:
        column.wrong_type("numbers")
        return None
    if column.kind != "weight":
        numbers = numbers.fill_nan(None)
    return column.find(column.kind, numbers, written=values)


def _time(column: Column) -> pl.Series | None:
    """Convert to UTC: times with a time zone, ISO 8601 text, dates, and Unix times in the unit of most of them.

    Those without a time zone are in the zone of the settings, if any, or dates if all are at midnight.
    """
    values = column.values
    dtype = column.values.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return column.find("time", values.dt.cast_time_unit("us").dt.convert_time_zone("UTC"))
    if not (dtype.is_numeric() or dtype in (pl.String, pl.Date, pl.Datetime)):
        column.wrong_type("times")
        return None
    full = texts = values.cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    for unit, microseconds in UNIX_UNITS.items() if numbers.count() else ():
        times = (numbers * microseconds).round()
        is_in_unit = times.is_between(*UNIX_SPAN_US)
        if 2 * int(is_in_unit.sum()) > texts.count():
            column.note(f"numbers were read as Unix {unit}.")
            moments = times.set(~is_in_unit, None).cast(pl.Int64).cast(UTC_MICROSECONDS)
            return column.find("time", moments, written=texts)
    for pattern, completed in SHORT_TIMES:
        full = full.str.replace(pattern, completed)
    moments = full.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    if moments.null_count() > texts.null_count():
        naive = full.str.replace(" ", "T").str.to_datetime("%FT%T%.f", time_unit="us", strict=False)
        are_dates = (naive == naive.dt.truncate("1d")).all()
        if zone := "UTC" if are_dates else column.findings.config.time_zone:
            local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            moments = moments.fill_null(local.dt.convert_time_zone("UTC"))
    return column.find("time", moments, written=texts)


def _vector(column: Column) -> pl.Series | None:
    """Convert to lists of Float32; check that those present are finite and have the same length."""
    vectors = column.values.str.split("|") if column.is_text else column.values
    if not (column.is_text or getattr(vectors.dtype, "inner", pl.Null).is_numeric()):
        column.wrong_type("lists of numbers")
        return None
    vectors = vectors.cast(pl.List(pl.Float32), strict=False)
    lengths = vectors.list.len()
    are_finite = vectors.list.eval(pl.element().is_finite().fill_null(False)).list.all()
    is_valid = are_finite & (lengths == next(filter(None, lengths), 1))
    column.find("vector", is_valid.fill_null(column.values.is_null()))
    return vectors


VALUE_CONVERSIONS: Mapping[str, Callable[[Column], pl.Series | None]] = {
    "id": _id,
    "ids": _ids,
    "text": _text,
    "time": _time,
    "vector": _vector,
    "other": lambda column: column.ignore(f"not a column of {column.table}"),
    **dict.fromkeys(("weight", "rating", "age", "position", "propensity", "outcome"), _number),
}
"""Converter of each column kind; returns None, with a fault or note, if the column cannot be converted."""
