"""Categorical columns: groups of users such as country, entities of items such as genre."""

from __future__ import annotations

import polars as pl

from firstday.tables.columns import TEXT_TYPES, Column, to_integers, to_text
from firstday.tables.faults import FILE, ROW, Findings
from firstday.tables.rules import MISSING_MARKERS, WHOLE_WITH_DECIMALS
from firstday.tables.schema import ITEM, RECOMMENDABLE, TABLES, TIME_TEXT

MAX_GROUP_VALUES = 5_000
"""Maximum number of distinct values of a group; a user column with more is free text."""
ALWAYS_GROUP_VALUES = 50
"""Number of values up to which a column is a category, even if it has more than half as many values as rows."""
MAX_YEARS = 10
"""Number of different years up to which a column of them gets no note."""
NEWEST_DAYS = 7
MIN_COHORT = 30
"""Minimum number of users who registered in the last days, and of the oldest quarter, to compare their values."""
MIN_ERRORS = 4.0
"""Minimum difference of their shares, in standard errors."""
DAY = r"^\d{4}-\d{2}-\d{2}"
MIN_JOINED_SHARE = 0.1
"""Share of values with a separator above which a text column is treated as joined lists."""
LIST = r"(?s)^\[.*\]$"
LIST_VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\[\],'"\s][^\[\],'"]*"""
"""A list written as text in Python or JSON, such as ``['Pinot Noir', 2001]``, and one of its values."""
AMOUNT = r"^([$€£¥]|[A-Z]{3}) ?\d[\d.,]*$|^\d[\d.,]* ?([$€£¥%]|\b[A-Za-z]{1,4})$"
"""A number with a unit, such as ``3.99 EUR``."""
BOOLEANS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
"""Spellings of booleans in CSV, mapped to those of Parquet."""
BOOLEAN_TEXTS = {"true": True, "t": True, "false": False, "f": False}
"""Booleans written as text, as by PostgreSQL."""
_FOLDED = pl.col("value").str.to_lowercase()
ODD_VALUE_CHECKS = (
    (
        _FOLDED.is_in(MISSING_MARKERS),
        "have a missing-value marker as their value",
        "leave it empty if the value is unknown",
    ),
    (_FOLDED.is_duplicated(), "have values that differ only in case", "use one spelling if they mean the same"),
)
"""Masks of suspicious values of a group, each with finding and advice."""


def entity_of_column(column: str) -> str:
    """Return the entity of an `items` column: ``artist`` for ``artist_id``."""
    return column.removesuffix("_id")


def conform_group(column: Column) -> pl.Series | None:
    """Convert a column of `users` to String, spelled as in Parquet; None, with a note, if it is not categorical."""
    texts = column.values
    if column.label in ("interactions", "friends"):  # as in `Signals`
        column.ignore("the name has another meaning in a user's signals; rename the column to make it a group")
        return None
    if not (texts.dtype.is_numeric() or texts.dtype in (pl.String, pl.Boolean)):
        column.ignore(f"{texts.dtype} is not categorical")
        return None
    if texts.dtype == pl.String:
        texts = to_text(column.find("words", texts.str.strip_chars(), written=texts)).replace(BOOLEANS)
    texts = (texts.fill_nan(None) if texts.dtype.is_float() else texts).cast(pl.String)
    return texts.str.replace(WHOLE_WITH_DECIMALS, "${1}")  # pandas writes integers as floats when one is missing


def drop_invalid_groups(users: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Drop user columns that are not groups; `users` must contain all users."""
    for label in users.drop(FILE, ROW, *TABLES["users"].kinds, strict=False).columns:
        counts = users[label].alias("value").drop_nulls().value_counts(name="n")
        if not check_group(label, counts, counts.height, users.height, findings):
            users = users.drop(label)
    _note_late_values(users, findings)
    return users


def _note_late_values(users: pl.DataFrame, findings: Findings) -> None:
    """Note each group of which the newest users nearly all have one value, and the oldest have not, beyond chance."""
    if "registered_at" not in users.columns:
        return
    time = pl.col("registered_at")
    is_newest = time > time.max() - pl.duration(days=NEWEST_DAYS)
    groups = pl.all().exclude(FILE, ROW, *TABLES["users"].kinds).fill_null("no value")
    newest = users.filter(is_newest).select(groups)
    oldest = users.filter(~is_newest & (time <= time.quantile(0.25))).select(groups)
    n = min(newest.height, oldest.height)
    for label in newest.columns if n >= MIN_COHORT else ():
        usual = newest[label].mode()[0]
        share, share_before = (float((cohort[label] == usual).mean()) for cohort in (newest, oldest))
        chance = MIN_ERRORS * (share_before * (1 - share_before) / n) ** 0.5
        # Below the first bound, the value itself is new, such as a version.
        if share >= 0.9 and 0.1 <= share_before < min(0.95, 2 * share - 1, share - chance):
            text = (
                f"{share:.0%} of the users of the last {NEWEST_DAYS} days have {usual}, and {share_before:.0%} of the "
                "oldest quarter; if it changes after registration, write the value at registration, or drop the column."
            )
            findings.note(text, "users", label)


def check_group(label: str, counts: pl.DataFrame, n_values: int, n_users: int, findings: Findings) -> bool:
    """Return whether a `users` column is a group; note the reason if it is not, and suspicious values if it is.

    `counts` has the number `n` of users with each `value`; it may be incomplete beyond `MAX_GROUP_VALUES` + 1 values.
    """
    values = counts["value"]
    numbers = values.cast(pl.Float64, strict=False)
    are_numbers = numbers.count() == len(values)
    if not n_values:
        reason = "it has no values"
    elif values.str.contains(DAY).all() or (are_numbers and (numbers % 1 != 0).any()):
        reason = "decimal numbers or dates are not categorical"
    elif n_values > MAX_GROUP_VALUES or _has_many_values(n_values, n_users):
        reason = f"it has {n_values:,} values for {n_users:,} users, too many for a group"
    else:
        most = MAX_YEARS if numbers.is_between(1900, 2100).all() else ALWAYS_GROUP_VALUES
        if are_numbers and n_values > most:
            text = "if they are amounts, write ranges such as 10-19, and the year of birth as age"
            findings.note(f"{n_values:,} numbers, each a category of its own; {text}.", "users", label)
        for is_odd, finding, advice in ODD_VALUE_CHECKS:
            odd = counts.filter(is_odd).sort(_FOLDED, "value")
            n_odd = int(odd["n"].sum())
            examples = odd["value"].head(2)
            findings.note_rows("users", n_odd, n_users, finding, advice, column=label, noun="users", examples=examples)
        return True
    findings.note(f"ignored ({reason}).", "users", label)
    return False


def conform_entity(column: Column) -> pl.Series | None:
    """Convert an entity column of `items` to List(String), or another column for filters (`_conform_attribute`)."""
    values = column.values
    label = column.label
    if values.dtype == pl.String and values.count() and values.str.contains(LIST).all():
        column.note("lists written as text were read as lists.")
        values = values.str.extract_all(LIST_VALUE).list.eval(pl.element().str.strip_chars("'\" "))
    is_text = column.is_text and values.dtype == pl.String
    inner = getattr(values.dtype, "inner", pl.Boolean)
    is_list = inner in TEXT_TYPES or inner.is_integer()
    if is_text:
        is_list = (values.str.contains("|", literal=True).mean() or 0) > MIN_JOINED_SHARE  # type: ignore[operator]
    if not (is_list or label == "genre" or (label.endswith("_id") and label != "_id")):
        return _conform_attribute(column)
    if entity_of_column(label) == ITEM:
        column.fault("reserved_name", "the name is reserved for items themselves; rename the column.")
        return None
    if values.dtype == pl.String:
        _find_joined_lists(column)
    elif not is_list:
        numbers = to_integers(column)
        if numbers is None:
            return None
        values = numbers
    if is_text:
        lists = values.str.split("|")
    else:
        lists = (values if is_list else values.reshape((-1, 1))).cast(pl.List(pl.String))
    stripped = column.find("words", lists.list.eval(pl.element().str.strip_chars()), written=lists)
    return stripped.list.eval(pl.element().filter(pl.element() != ""))


def _conform_attribute(column: Column) -> pl.Series | None:
    """Convert a column of `items` to Boolean, Float64 or String; None, with a note, if filters cannot use it."""
    values = column.values
    if values.dtype == pl.Datetime:
        values = values.dt.convert_time_zone("UTC").dt.strftime(TIME_TEXT)
    elif values.dtype in (pl.Date, pl.Time):
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        values = _read_booleans(column, to_text(values.str.strip_chars()))
    if column.is_text and values.dtype == pl.String:
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.count() == values.count():
            values = numbers
    if values.dtype.is_numeric():
        values = values.cast(pl.Float64)
        values = values.set(~values.is_finite(), None)
    if not values.count():
        column.ignore("it has no values")
    elif column.label == RECOMMENDABLE and values.dtype != pl.Boolean:
        column.wrong_type("true and false")
    elif values.dtype in (pl.Boolean, pl.Float64):
        return values
    elif values.dtype != pl.String:
        column.ignore(f"filters cannot use {values.dtype}")
    elif (
        column.table == "items"
        and _has_many_values(n := values.n_unique(), len(values))
        and not values.str.contains(DAY).all()
    ):
        column.ignore(f"it has {n:,} values for {len(values):,} items, too many for filters")
    else:
        amounts = values.filter(values.str.contains(AMOUNT))
        if 2 * len(amounts) > values.count():
            text = f"numbers with a unit (first: {amounts[0]!r}) are text to filters; write the number alone."
            column.note(text)
        return values
    return None


def _read_booleans(column: Column, texts: pl.Series) -> pl.Series:
    """Return texts as booleans if all of them are, with a note unless they are as CSV has booleans."""
    booleans = texts.str.to_lowercase().replace_strict(BOOLEAN_TEXTS, default=None, return_dtype=pl.Boolean)
    n = booleans.count()
    if not n or n < texts.count():
        return texts
    if not column.is_text or (texts.str.len_chars() == 1).any():
        column.note(f"{n:,} texts such as {texts.drop_nulls().min()!r} were read as booleans.")
    return booleans


def _has_many_values(n_values: int, n_rows: int) -> bool:
    """Return whether a column has too many values for a category; such columns contain names or addresses."""
    return n_values > max(ALWAYS_GROUP_VALUES, n_rows / 2)


def _find_joined_lists(column: Column) -> None:
    """Find lists joined into one string, such as ``Action, Comedy``.

    Unlike in names such as ``Bowie, David``, most later parts also occur as the first part of other values.
    """
    texts = column.values.drop_nulls()
    for separator in ",;" if column.is_text else ",;|":
        joined = texts.filter(texts.str.contains(separator, literal=True))
        if len(joined) <= MIN_JOINED_SHARE * len(texts):
            continue
        parts = texts.unique().str.split(separator).list.eval(pl.element().str.strip_chars())
        later = parts.list.slice(1).explode().drop_nulls().unique()
        is_first = later.is_in(parts.list.first().implode())
        if 2 * int(is_first.sum()) < len(later):
            continue
        found = f"values look like lists joined by {separator!r} (first: {joined[0]!r})"
        text = f"{found}; store lists (in CSV: separated by |)."
        if column.is_text:
            column.fault("joined_lists", text)
        else:
            column.note(text)
        return
