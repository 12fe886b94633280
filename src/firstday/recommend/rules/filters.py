"""Filters: boolean expressions over the columns of `items`, such as ``in_stock and genre in ("jazz", "soul")``.

The syntax is Python's, but an expression is translated to Polars and never evaluated as Python. It consists of column
names, ``user.NAME``, ``(user.NAME or DEFAULT)``, ``lists.NAME``, strings, numbers, ``True`` and ``False``, times such
as ``-14d``, comparisons, ``in``, ``and``, ``or`` and ``not``. The logic is that of SQL: a comparison with a missing
value is unknown, also with ``!=``, and only items for which the whole expression is true meet it. A list in a column
meets ``==``, ``in`` and order comparisons if one of its values does, and ``!=`` and ``not in`` if none of its values is
equal; an empty list is a missing value.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, hint_at
from firstday.tables.categories import DAY
from firstday.tables.schema import TIME_TEXT

MAX_FILTER_LENGTH = 2_000
OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.And: operator.and_,
    ast.Or: operator.or_,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.In: operator.eq,
    ast.NotEq: operator.ne,
    ast.NotIn: operator.ne,
}
TYPES = {pl.Boolean: "boolean", pl.Float64: "number", pl.String: "text"}
EXAMPLE = 'write it like in_stock and genre in ("jazz", "soul") and year >= 2020'
MAX_EXAMPLES = 10
"""Maximum number of values that describe a column of texts."""
MAX_NEAR = 1_000
"""Maximum number of values of a column among which the one nearest to an unknown value is searched."""
Columns = Mapping[str, pl.Series]
"""Columns of `items` by name, each of length n_items: Boolean, Float64, String or List(String); for ids, also Int64."""


NOW = "now"
"""Name of the value of the user from which times such as ``-14d`` count."""
UNITS = {"d": "days", "h": "hours"}
AGO = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<!\w)-(\d{1,5})[dh]\b""")
"""A text in quotes, or a time such as ``-14d``."""
SPELLINGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
"""Texts and numbers that are equal to booleans."""


@lru_cache(1024)  # requests repeat the same filters
def parse_filter(text: str) -> ast.expr:
    """Parse an expression; an empty one is met by all items. Raise ValueError if it cannot be parsed.

    A time such as ``-14d`` becomes a constant timedelta.
    """
    try:
        text = text.strip()
        # ``-14d`` is parsed as ``014j``, a number of Python's, so that all positions remain.
        tree = ast.parse(AGO.sub(lambda match: match[1] or f"0{match[2]}j", text) or "True", mode="eval").body
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                str(node.value).encode()  # raises UnicodeEncodeError for half of a surrogate pair
                if isinstance(node.value, complex):
                    unit = UNITS[str(ast.get_source_segment(text, node))[-1]]
                    node.value = timedelta(**{unit: node.value.imag})  # type: ignore[assignment]
        return tree
    except (SyntaxError, ValueError, KeyError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} cannot be parsed; {EXAMPLE}") from None


def find_column(columns: Columns, name: str) -> pl.Series:
    """Return a column; ``artist`` also finds ``artist_id``. Raise ConfigError if there is none."""
    for full_name in (name, f"{name}_id"):
        if full_name in columns:
            return columns[full_name]
    choice = ", ".join(sorted(columns))
    raise ConfigError(
        f"items have no column {name!r}{hint_at(name, tuple(columns))}; choose one of {choice}.", where="rules"
    )


def list_values(column: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Return the item index of each value of a column, ascending, and the values; missing ones are left out."""
    rows = pl.DataFrame({"item": np.arange(len(column)), "value": column})
    rows = (rows.explode("value") if column.dtype == pl.List else rows).drop_nulls()
    return rows["item"].to_numpy(), rows["value"]


def describe_columns(columns: Columns) -> list[dict[str, Any]]:
    """Return name, type, number of distinct values (`n_values`) and example values (`values`) of each column.

    Examples are the lowest and the highest number, or the most frequent values.
    """
    described = []
    for name, column in sorted(columns.items()):
        _, values = list_values(column)
        counts = values.alias("value").value_counts(name="n").sort("n", "value", descending=[True, False])
        examples = counts["value"].head(MAX_EXAMPLES).to_list()
        if values.dtype == pl.Float64:
            examples = [values.min(), values.max()]
        kind = "list" if column.dtype == pl.List else TYPES[values.dtype.base_type()]
        described.append({"name": name, "type": kind, "n_values": counts.height, "values": examples})
    return described


def _read_booleans(values: pl.Series) -> pl.Series:
    texts = values.cast(pl.String).str.to_lowercase()
    return texts.replace_strict(SPELLINGS, default=None, return_dtype=pl.Boolean)


def _read_times(values: pl.Series) -> pl.Series:
    texts = values.cast(pl.String).str.replace(" ", "T", literal=True)
    return texts.set(~texts.str.contains(DAY), None)


READERS: Mapping[type, Callable[[pl.Series], pl.Series]] = {bool: _read_booleans, timedelta: _read_times}
"""How a column of texts or numbers is read that is compared with booleans or times; null is what cannot be read."""


def _any_of_lists(items: np.ndarray, is_met: pl.Series, n_items: int) -> pl.Series:
    """Return whether one of the values of each item meets a condition, null for items without values."""
    meets, is_missing = np.repeat([[False], [True]], n_items, axis=1)
    meets[items[is_met.fill_null(False).to_numpy()]] = True
    is_missing[items] = False
    return pl.Series(meets).set(pl.Series(is_missing), None)


def _is_of_user(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "user"


def _has_default(node: ast.AST) -> bool:
    """Return whether a node is ``user.NAME or DEFAULT``."""
    match node:
        case ast.BoolOp(op=ast.Or(), values=[first, ast.Constant() | ast.Tuple() | ast.UnaryOp(op=ast.USub())]):
            return _is_of_user(first)
    return False


def find_user_values(text: str) -> dict[str, bool]:
    """Return the names of the user's values that a filter reads, and whether each has a default throughout."""
    nodes = [*ast.walk(parse_filter(text))]
    has_default = {node.values[0] for node in nodes if isinstance(node, ast.BoolOp) and _has_default(node)}
    names: dict[str, bool] = {}
    for node in nodes:
        if isinstance(node, ast.Attribute) and _is_of_user(node):
            names[node.attr] = names.get(node.attr, True) and node in has_default
    return names


@dataclass(frozen=True, eq=False)
class Filter:
    """A filter of items.

    `values` has the values of ``user.NAME`` and ``lists.NAME``: ``values["user"][NAME]``, ...; times such as ``-14d``
    count from ``values["user"][NOW]``. `find_items` adds to `unmatched` which texts of the filter no item has, with a
    hint for each. Unless they `are_all` to which the filter applies, the items do not decide what a column can be
    compared with.
    """

    text: str
    columns: Columns
    values: Mapping[str, Mapping[str, Any]]
    unmatched: dict[str, str] = field(default_factory=dict)
    are_all: bool = True

    def find_items(self) -> np.ndarray:
        """Return the mask of items that meet the filter, shape (n_items,); raise ConfigError if that fails."""
        meets = self._meet(parse_filter(self.text)).fill_null(False).to_numpy()
        return np.broadcast_to(meets, len(next(iter(self.columns.values()))))

    def _meet(self, node: ast.expr) -> pl.Series:
        """Return whether each item meets an expression, null if that is unknown; one value if it is that of all."""
        match node:
            case ast.BoolOp(op=op, values=nodes):
                return reduce(OPERATORS[type(op)], map(self._meet, nodes))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._meet(operand)
            case ast.Compare(left=left, ops=ops, comparators=others) if OPERATORS.keys() >= set(map(type, ops)):
                return reduce(operator.and_, map(self._compare, ops, [left, *others], others))
            case ast.Name() | ast.Attribute():
                return self._compare(ast.Eq(), node, ast.Constant(value=True))
            case ast.Constant(value=bool(value)):
                return pl.Series([value])
        raise self._refused(node)

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> pl.Series:
        """Return what `_meet` does for a comparison of a column with a value, or of a value with the user's.

        Each may be on either side.
        """
        left, right = self._settle(left), self._settle(right)
        is_reversed = _is_of_user(left) and not isinstance(right, ast.Attribute)
        if isinstance(right, ast.Name):
            is_reversed = isinstance(op, ast.In | ast.NotIn) or not isinstance(left, ast.Name)
        subject, node = (right, left) if is_reversed else (left, right)
        compare = OPERATORS[type(op)]
        is_negated = compare is operator.ne
        is_equality = is_negated or compare is operator.eq
        column = self._find_column(subject, node)
        items, values = list_values(column) if column.dtype == pl.List else (None, column)
        if values.dtype == pl.Int64:  # ids are equal as text, and in the order of numbers
            values = values.cast(pl.String if is_equality else pl.Float64)
        name = ast.unparse(subject)
        values, options = self._read(node, name, values, is_equality)
        if values.dtype == pl.Boolean and not is_equality:
            raise self._refused(node)
        if options is None:
            return pl.Series([None], dtype=pl.Boolean)
        if is_equality:
            is_met = values.is_in(options.implode())
            if values.dtype == pl.String and not isinstance(node, ast.Attribute):
                found = values.filter(is_met).implode()
                self._note_unmatched(name, values, options.filter(~options.is_in(found)))
        elif len(options) == 1:
            is_met = compare(options[0], values) if is_reversed else compare(values, options[0])
        else:
            raise self._refused(node)
        if items is not None:
            is_met = _any_of_lists(items, is_met, len(column))
        return ~is_met if is_negated else is_met

    def _settle(self, node: ast.expr) -> ast.expr:
        """Return a node, or of a user's value with a default the one that applies."""
        if not (isinstance(node, ast.BoolOp) and _has_default(node)):
            return node
        value, default = node.values
        return default if self._evaluate(value) == [None] else value

    def _find_column(self, subject: ast.expr, node: ast.expr) -> pl.Series:
        """Return the column, or the list of values, that is compared with a value; only the user's with values."""
        if isinstance(subject, ast.Name):
            return find_column(self.columns, subject.id)
        values = pl.Series(self._evaluate(subject), strict=False)
        if values.dtype.is_integer():
            values = values.cast(pl.Float64)
        if not _is_of_user(node) or not (values.dtype.base_type() in TYPES or _is_of_user(subject)):
            raise self._refused(subject)
        return values.implode()

    def _read(
        self, node: ast.expr, name: str, values: pl.Series, is_equality: bool
    ) -> tuple[pl.Series, pl.Series | None]:
        """Return the values of a column, and those that it is compared with, in one type; None if the user has none.

        42 and "42" are equal, whether the column has numbers or text; but text is not ordered by numbers.
        """
        given = self._evaluate(node)
        if given and values.dtype != pl.Boolean and type(given[0]) in READERS:
            converted = READERS[type(given[0])](values)
            if 2 * converted.count() >= values.count() or not self.are_all:  # some items may have other values
                values = converted
                given = [self._go_back(one) if isinstance(one, timedelta) else one for one in given]
        dtype = values.dtype
        if dtype == pl.Boolean and _is_of_user(node):  # profiles are text
            given = _read_booleans(pl.Series(given, dtype=pl.String, strict=False)).to_list()
        kinds = str if dtype == pl.String and not is_equality else str | int | float
        fits = [one for one in given if isinstance(one, kinds) and isinstance(one, bool) == (dtype == pl.Boolean)]
        options = pl.Series(fits, dtype=dtype, strict=False).drop_nulls()
        if _is_of_user(node):
            return values, options if len(options) else None
        if len(options) < len(given):
            kind = TYPES[dtype.base_type()]
            found = self._quote(node) if timedelta in map(type, given) else ast.unparse(node)[:100]
            raise ConfigError(
                f"{name} is compared with {found}; compare it with values of type {kind}, or convert the column.",
                where="filter",
            )
        return values, options

    def _evaluate(self, node: ast.expr) -> list[Any]:
        """Return the values of a literal, a time, ``user.NAME`` or ``lists.NAME``."""
        match node:
            case ast.Attribute(value=ast.Name(id=("user" | "lists") as prefix), attr=name):
                value = self.values[prefix].get(name)
                if value is None and prefix == "lists":
                    raise ConfigError(f"there is no list {name!r}; store it, or pass it in lists.", where="filter")
            case _:
                try:
                    value = ast.literal_eval(node)
                except (ValueError, TypeError):
                    raise self._refused(node) from None
        values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        return [one.item() if isinstance(one, np.generic) else one for one in values]

    def _go_back(self, ago: timedelta) -> str:
        """Return the time before `NOW`, as columns have it."""
        now = self.values["user"][NOW]
        try:
            moment = datetime.fromisoformat(str(now))
            return (moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) - ago).strftime(TIME_TEXT)
        except (ValueError, OverflowError):
            raise ConfigError(f"is {now!r}; give a time such as 2026-12-01T09:30:00Z.", where="context.now") from None

    def _note_unmatched(self, name: str, values: pl.Series, texts: pl.Series) -> None:
        for text in texts.head(MAX_EXAMPLES):
            known = values.drop_nulls().unique().sort()
            hint = hint_at(text, tuple(known)) if len(known) <= MAX_NEAR else ""
            self.unmatched[f"{name} has no value {text!r}"] = hint

    def _quote(self, node: ast.expr) -> str | None:
        return ast.get_source_segment(self.text.strip(), node)

    def _refused(self, node: ast.expr) -> ConfigError:
        part = self._quote(node)
        is_text = isinstance(node, ast.Name) and node.id not in self.columns
        advice = f'put text in quotes: "{part}"' if is_text else EXAMPLE
        name = next(iter(find_user_values(self.text)), None)
        if name and isinstance(node, ast.Constant | ast.Tuple):
            advice = f"put a default in brackets, as in (user.{name} or {part})"
        return ConfigError(f"{part!r} cannot be used here; {advice}.", where="filter")
