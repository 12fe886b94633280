"""The tables that firstday reads: their columns, types and rules, the faults in them, and conversion to the types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from firstday.data.events import ITEM
from firstday.data.findings import Findings
from firstday.data.ids import Ids

Kind = Literal["id", "text", "time", "number", "age", "vector"]
"""What a column holds: an id, one word or title, a moment in UTC, a number, years of age, or a list of numbers."""
Frames = Mapping[str, pl.DataFrame]
"""Tables by name, every column in its final type."""


@dataclass(frozen=True)
class TableRule:
    """What one table may hold.

    Parameters
    ----------
    kinds
        The kind of each column that firstday knows, in the order of the documentation.
    required
        Columns that must be there (interactions have one more rule, see `firstday.data.checks`).
    unique
        The id column that may not repeat, or None.
    """

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    unique: str | None = None


TABLES: Mapping[str, TableRule] = {
    "interactions": TableRule(
        {
            "user_id": "id",
            "item_id": "id",
            "entity": "text",
            "entity_id": "id",
            "signal": "text",
            "timestamp": "time",
            "weight": "number",
        },
        ("user_id",),
    ),
    "users": TableRule({"user_id": "id", "registered_at": "time", "age": "age"}, ("user_id",), "user_id"),
    "items": TableRule({"item_id": "id", "title": "text"}, ("item_id",), "item_id"),
    "collections": TableRule(
        {"entity": "text", "entity_id": "id", "item_id": "id"}, ("entity", "entity_id", "item_id")
    ),
    "friends": TableRule({"user_id": "id", "friend_id": "id"}, ("user_id", "friend_id")),
    "embeddings/users": TableRule({"user_id": "id", "vector": "vector"}, ("user_id", "vector"), "user_id"),
    "embeddings/items": TableRule({"item_id": "id", "vector": "vector"}, ("item_id", "vector"), "item_id"),
}
KEPT_FOR_LATER = ("names",)
"""Tables that a folder may hold but that nothing reads yet: the names of artists, albums and playlists."""
USER_COLUMNS = (
    ("users", "user_id"),
    ("interactions", "user_id"),
    ("friends", "user_id"),
    ("friends", "friend_id"),
    ("embeddings/users", "user_id"),
)
"""Every column with ids of users; the first is the table of users."""
ITEM_COLUMNS = (
    ("items", "item_id"),
    ("interactions", "item_id"),
    ("collections", "item_id"),
    ("embeddings/items", "item_id"),
)
"""Every column with ids of items; the first is the table of items."""
DEFAULT_SIGNAL = "stream"
MAX_AGE_YEARS = 120
MAX_GROUP_VALUES = 5_000
"""A user column with more distinct values than this is free text, not a group."""
FEW_GROUP_VALUES = 50
"""A user column with more distinct values than this, and than half the users, is names or addresses, not a group."""
RESERVED_GROUPS = ("interactions", "friends")
"""Names with another meaning in a user's signals, so that no profile column can have them."""
WORDS = (pl.String, pl.Categorical, pl.Enum)
MAX_INT64 = 2**63 - 1
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
DECIMAL_NUMBER = r"^\s*[-+]?(\d+\.\d*|\.\d+|\d+(\.\d*)?[eE][-+]?\d+)\s*$"
DAY = r"^\d{4}-\d{2}-\d{2}"
MOMENT = (
    r"^(?<day>\d{4}-\d{2}-\d{2})(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d+)?)?)?"
    r" ?(?<zone>Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
NAIVE = "have no time zone"
SECONDS = "are bare numbers without a unit and a time zone"
WRITE_UTC = "write UTC with its zone, such as 2024-05-01T12:00:00Z"


def all_ids(frames: Frames, home: Literal["users", "items"]) -> Ids:
    """Return every user's or every item's id, sorted."""
    return Ids.of(frames[home][TABLES[home].required[0]].drop_nulls().unique().sort())


def entity_of_column(column: str) -> str:
    """Return the entity that a column of `items` names: ``artist`` for ``artist_id``."""
    return column.removesuffix("_id")


def entity_members(frames: Frames) -> dict[str, pl.DataFrame]:
    """Return the members of each entity other than items, by name: columns `entity_id` (String) and `item_id`.

    They come from the entity columns of `items` and from `collections`; an entity that is in both gets all members.
    """
    parts: dict[str, list[pl.DataFrame]] = {}
    if "items" in frames:
        items = frames["items"]
        for column in items.columns:
            if column not in TABLES["items"].kinds:
                pairs = items.select(pl.col(column).alias("entity_id"), "item_id").explode("entity_id")
                parts.setdefault(entity_of_column(column), []).append(pairs)
    if "collections" in frames:
        for (name,), rows in frames["collections"].group_by("entity"):
            if name != ITEM:
                pairs = rows.select(pl.col("entity_id").cast(pl.String), "item_id")
                parts.setdefault(str(name), []).append(pairs)
    return {name: pl.concat(parts[name]).drop_nulls().unique() for name in sorted(parts)}


def conform_table(
    name: str, frame: pl.DataFrame, findings: Findings, *, is_text: bool, judge_groups: bool = True
) -> pl.DataFrame:
    """Convert a table's columns to their types.

    Parameters
    ----------
    name
        The table's name.
    frame
        The table as it was read, or a batch of its rows.
    findings
        Gets the faults and notes.
    is_text
        Whether it comes from CSV, so that every value is text.
    judge_groups
        Whether to leave out columns of `users` whose values make no groups. Cold users alone are too few to judge by,
        and a model knows its columns.

    Returns
    -------
    polars.DataFrame
        The columns that could be converted: ids Int64 or String, text String, moments Datetime in UTC, weights Float64,
        ages Int16, vectors List(Float32); in `users` every group as String, in `items` every entity as List(String).
    """
    rule = TABLES[name]
    for label in rule.required:
        if label not in frame.columns:
            names = ", ".join(frame.columns)
            findings.fault(f"{name}.{label}: the column is missing (found: {names}); add it.")
    if not frame.height:
        findings.fault(f"{name}: has no rows; add rows or remove the table.")
    columns = []
    for label in frame.columns:
        column = _Column(f"{name}.{label}", frame[label], is_text, findings)
        kind = rule.kinds.get(label)
        if kind is not None:
            conformed = _CONFORM[kind](column)
        elif name == "users" and label in RESERVED_GROUPS:
            column.note("the name means something else in a user's signals; rename it to make it a group")
            conformed = None
        elif name == "users":
            conformed = _group(column, judge_groups)
        elif name == "items":
            conformed = _entity(column, label)
        else:
            column.note(f"not a column of {name}")
            conformed = None
        if conformed is not None:
            columns.append(conformed.alias(label))
    return pl.DataFrame(columns)


@dataclass(frozen=True)
class _Column:
    """A column as it was read, its place, and the collector of its faults."""

    where: str
    values: pl.Series
    is_text: bool
    findings: Findings

    def wrong_type(self, expected: str) -> None:
        """Add the fault of a column of another type."""
        content = "text" if self.values.dtype in WORDS else str(self.values.dtype)
        self.findings.fault(f"{self.where}: the column holds {content}, not {expected}; store {expected}.")

    def rows(self, bad: pl.Series, finding: str, first: pl.Series | None, advice: str) -> None:
        """Add the fault of bad rows, if there are any."""
        self.findings.rows(self.where, bad, finding, first, advice)

    def note(self, text: str) -> None:
        """Add a note that the column is ignored."""
        self.findings.note(f"{self.where}: ignored ({text}).")


def _words(values: pl.Series) -> pl.Series:
    """Return text as String, with null for what is empty."""
    words = values.cast(pl.String)
    return words.set(words == "", None)


def _id(column: _Column) -> pl.Series | None:
    """Keep whole numbers and text; CSV text becomes numbers only where nothing is lost ("007" stays text)."""
    values = column.values
    if values.dtype.is_integer():
        return values.cast(pl.String if (values.max() or 0) > MAX_INT64 else pl.Int64)  # type: ignore[operator]
    if values.dtype in WORDS or values.dtype == pl.Null:
        words = _words(values)
        return (
            words.cast(pl.Int64) if column.is_text and words.str.contains(WHOLE_NUMBER).all() and len(words) else words
        )
    column.wrong_type("whole numbers or text")
    return None


def _text(column: _Column) -> pl.Series | None:
    """Return text, null where empty."""
    values = column.values
    if values.dtype in WORDS or values.dtype == pl.Null:
        return _words(values)
    column.wrong_type("text")
    return None


def _number(column: _Column) -> pl.Series | None:
    """Return numbers as Float64, null where empty."""
    values = column.values
    if column.is_text:
        words = _words(values)
        numbers = words.str.strip_chars().cast(pl.Float64, strict=False)
        bad = numbers.is_null() & words.is_not_null()
        column.rows(bad, "are not numbers", words, "write numbers, with a dot for decimals")
        return numbers
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        return values.cast(pl.Float64)
    column.wrong_type("numbers")
    return None


def _age(column: _Column) -> pl.Series | None:
    """Return ages in whole years, rounded down; NaN, the missing number of pandas, becomes null."""
    numbers = _number(column)
    if numbers is None:
        return None
    numbers = numbers.fill_nan(None)
    bad = (numbers < 0) | (numbers > MAX_AGE_YEARS)
    years = numbers.cast(pl.Int64, strict=False) if (numbers == numbers.floor()).all() else numbers
    column.rows(bad, f"are outside 0 to {MAX_AGE_YEARS} years", years, "correct them, or leave unknown ages empty")
    return numbers.set(bad, None).floor().cast(pl.Int16)


def _time(column: _Column) -> pl.Series | None:
    """Return moments in UTC."""
    values = column.values
    if values.dtype == pl.Null:
        return values.cast(pl.Datetime("us", "UTC"))
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        return values.cast(pl.Datetime("us", values.dtype.time_zone)).dt.convert_time_zone("UTC")
    if values.dtype in WORDS:
        return _time_of_text(column)
    present = values.is_not_null()
    if values.dtype.is_numeric():
        column.rows(present, SECONDS, values, "store them as Datetime in UTC, such as polars.from_epoch makes")
    elif values.dtype in (pl.Date, pl.Datetime):
        moments = values.dt.strftime("%Y-%m-%d" if values.dtype == pl.Date else "%Y-%m-%d %H:%M:%S")
        column.rows(present, NAIVE, moments, "store them as Datetime in UTC, such as dt.replace_time_zone makes")
    else:
        column.wrong_type("moments in UTC")
    return None


def _time_of_text(column: _Column) -> pl.Series:
    """Read ISO 8601 text with a zone."""
    words = _words(column.values).str.strip_chars()
    parts = words.str.extract_groups(MOMENT).struct.unnest()
    zone = parts["zone"].replace(["Z", "z", "UTC"], "+0000").str.replace(":", "", literal=True)
    zone = zone.str.replace(r"^([+-]\d\d)$", "${1}00")
    minute, second = parts["minute"].fill_null("00:00"), parts["second"].fill_null(":00")
    moments = (parts["day"] + "T" + minute + second + zone.fill_null("+0000")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False
    )
    numbers = words.str.contains(r"^[-+]?\d+(\.\d+)?$")
    naive = moments.is_not_null() & zone.is_null()
    unreadable = words.is_not_null() & moments.is_null() & ~numbers
    column.rows(unreadable, "are not times", words, WRITE_UTC)
    column.rows(naive, NAIVE, words, WRITE_UTC)
    column.rows(numbers, SECONDS, words, WRITE_UTC)
    return moments


def _vector(column: _Column) -> pl.Series | None:
    """Return lists of numbers, all of one length."""
    values = column.values
    vectors = _words(values).str.split("|") if column.is_text else values
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


_CONFORM: dict[Kind, Callable[[_Column], pl.Series | None]] = {
    "id": _id,
    "text": _text,
    "number": _number,
    "age": _age,
    "time": _time,
    "vector": _vector,
}


def _group(column: _Column, judge: bool) -> pl.Series | None:
    """Turn a categorical column of `users` into String; None, with a note, for what is not categorical."""
    values = column.values
    if not (values.dtype in (*WORDS, pl.Boolean) or values.dtype.is_integer()):
        column.note(f"{values.dtype} is not categorical")
        return None
    words = _words(values)
    if not judge:
        return words
    present = words.drop_nulls()
    distinct = present.unique()
    is_group = judge_group(column.where, distinct, len(distinct), len(words), column.is_text, column.findings)
    return words if is_group else None


def judge_group(where: str, values: pl.Series, n_values: int, n_users: int, is_text: bool, findings: Findings) -> bool:
    """Tell whether the values of a column of `users` make groups, and note why not.

    Parameters
    ----------
    where
        Table and column.
    values
        The distinct values, or more of them than any group may have.
    n_values
        How many there are.
    n_users
        How many rows `users` has.
    is_text
        Whether it comes from CSV.
    findings
        Gets the note.
    """
    if not n_values:
        reason = "it has no values"
    elif is_text and (values.str.contains(DAY).all() or _are_decimals(values)):
        reason = "decimal numbers or dates are not categorical"
    elif n_values > MAX_GROUP_VALUES or n_values > max(FEW_GROUP_VALUES, n_users / 2):
        reason = f"{n_values:,} values among {n_users:,} users make no group"
    else:
        return True
    findings.note(f"{where}: ignored ({reason}).")
    return False


def _are_decimals(present: pl.Series) -> bool:
    """Tell whether all CSV text is numbers, and at least one of them has decimals."""
    decimal = present.str.contains(DECIMAL_NUMBER)
    return bool(decimal.any() and (decimal | present.str.contains(WHOLE_NUMBER)).all())


def _entity(column: _Column, label: str) -> pl.Series | None:
    """Turn an entity column of `items` into List(String); None, with a note, for other columns."""
    values = column.values
    inner = getattr(values.dtype, "inner", None)
    is_list = inner is not None and (inner in WORDS or inner.is_integer())
    if not (is_list or label == "genre" or (label.endswith("_id") and label != "_id")):
        column.note("entity columns are genre, those named ..._id, and lists")
    elif entity_of_column(label) == ITEM:
        column.findings.fault(f"{column.where}: would be the entity 'item', the item itself; rename the column.")
    elif is_list:
        return _without_empty(values.cast(pl.List(pl.String)))
    elif values.dtype in WORDS or values.dtype == pl.Null or values.dtype.is_integer():
        words = _words(values)
        return _without_empty(
            words.str.split("|") if column.is_text else words.reshape((-1, 1)).cast(pl.List(pl.String))
        )
    else:
        column.wrong_type("whole numbers, text or lists of them")
    return None


def _without_empty(lists: pl.Series) -> pl.Series:
    """Drop nulls and empty text from lists of String."""
    stripped = pl.element().str.strip_chars()
    return lists.list.eval(stripped.filter(stripped != ""))
