"""Filters: boolean expressions over the columns of `items`, such as ``in_stock and genre in ("jazz", "soul")``.

The syntax is Python's, but an expression is translated to NumPy and never evaluated as Python. It consists of column
names, ``user.NAME``, ``lists.NAME``, strings, numbers, ``True`` and ``False``, comparisons, ``in``, ``and``, ``or`` and
``not``. A comparison with a missing value is false, also with ``!=``. A list in a column meets ``==``, ``in`` and order
comparisons if one of its values does, and ``!=`` and ``not in`` if none of its values is equal.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, hint_at

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


@lru_cache(1024)  # requests repeat the same filters
def parse_filter(text: str) -> ast.expr:
    """Parse an expression; an empty one is met by all items. Raise ValueError if it cannot be parsed."""
    try:
        tree = ast.parse(text.strip() or "True", mode="eval").body
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                str(node.value).encode()  # raises UnicodeEncodeError for half of a surrogate pair
        return tree
    except (SyntaxError, ValueError, RecursionError, MemoryError):
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


@dataclass(frozen=True, eq=False)
class Filter:
    """A filter of items.

    `values` has the values of ``user.NAME`` and ``lists.NAME``: ``values["user"][NAME]``, ... `find_items` adds to
    `unmatched` which texts of the filter no item has, with a hint for each.
    """

    text: str
    columns: Columns
    values: Mapping[str, Mapping[str, Any]]
    unmatched: dict[str, str] = field(default_factory=dict)

    def find_items(self) -> np.ndarray:
        """Return the mask of items that meet the filter, shape (n_items,); raise ConfigError if that fails."""
        return self._meet(parse_filter(self.text))

    def _meet(self, node: ast.expr) -> np.ndarray:
        match node:
            case ast.BoolOp(op=op, values=nodes):
                return reduce(OPERATORS[type(op)], map(self._meet, nodes))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._meet(operand)
            case ast.Compare(left=left, ops=ops, comparators=others) if OPERATORS.keys() >= set(map(type, ops)):
                return reduce(operator.and_, map(self._compare, ops, [left, *others], others))
            case ast.Name():
                return self._compare(ast.Eq(), node, ast.Constant(value=True))
            case ast.Constant(value=bool(value)):
                return np.full(len(next(iter(self.columns.values()))), value)
        raise self._refused(node)

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> np.ndarray:
        """Return the mask of items that meet a comparison between a column and a value, on either side."""
        is_reversed = isinstance(right, ast.Name) and (
            isinstance(op, ast.In | ast.NotIn) or not isinstance(left, ast.Name)
        )
        name, node = (right, left) if is_reversed else (left, right)
        if not isinstance(name, ast.Name):
            raise self._refused(name)
        column = find_column(self.columns, name.id)
        items, values = list_values(column)
        meets = np.zeros(len(column), dtype=bool)
        compare = OPERATORS[type(op)]
        is_negated = compare is operator.ne
        is_equality = is_negated or compare is operator.eq
        if values.dtype == pl.Int64:  # ids are equal as text, and in the order of numbers
            values = values.cast(pl.String if is_equality else pl.Float64)
        options = self._read(node, name.id, values.dtype, is_equality)
        if options is None:
            return meets
        if is_equality:
            is_met = values.is_in(options.implode())
            if values.dtype == pl.String and not isinstance(node, ast.Attribute):
                found = values.filter(is_met).implode()
                for text in options.filter(~options.is_in(found)).head(MAX_EXAMPLES):
                    known = values.unique().sort()
                    hint = hint_at(text, tuple(known)) if len(known) <= MAX_NEAR else ""
                    self.unmatched[f"{name.id} has no value {text!r}"] = hint
        elif len(options) == 1:
            is_met = compare(options[0], values) if is_reversed else compare(values, options[0])
        else:
            raise self._refused(node)
        meets[items] = is_negated
        meets[items[is_met.to_numpy()]] = not is_negated
        return meets

    def _read(self, node: ast.expr, column: str, dtype: pl.DataType, is_equality: bool) -> pl.Series | None:
        """Return the values that a column is compared with, in the column's type; None for a missing value of the user.

        42 and "42" are equal, whether the column has numbers or text; but text is not ordered by numbers.
        """
        prefix = ""
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
        fits = []
        for one in values:
            scalar = one.item() if isinstance(one, np.generic) else one
            kinds = str if dtype == pl.String and not is_equality else str | int | float
            if isinstance(scalar, kinds) and isinstance(scalar, bool) == (dtype == pl.Boolean):
                fits.append(scalar)
        options = pl.Series(fits, dtype=dtype, strict=False).drop_nulls()
        if prefix == "user":
            return options if len(options) else None
        if len(options) < len(values):
            kind = TYPES[dtype.base_type()]
            found = ast.unparse(node)[:100]
            raise ConfigError(
                f"{column} is compared with {found}; compare it with values of type {kind}, or convert the column.",
                where="filter",
            )
        return options

    def _refused(self, node: ast.expr) -> ConfigError:
        part = ast.get_source_segment(self.text.strip(), node)
        is_text = isinstance(node, ast.Name) and node.id not in self.columns
        advice = f'put text in quotes: "{part}"' if is_text else EXAMPLE
        return ConfigError(f"{part!r} cannot be used here; {advice}.", where="filter")
