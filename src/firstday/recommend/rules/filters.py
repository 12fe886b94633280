"""Filters: boolean expressions over the columns of `items`, such as ``in_stock and genre in ("jazz", "soul")``.

The syntax is Python's, but an expression is translated to Polars and never evaluated as Python. It consists of column
names, ``user.NAME``, ``lists.NAME``, strings, numbers, ``True`` and ``False``, comparisons, ``in``, ``and``, ``or`` and
``not``. A comparison with a missing value is false, also with ``!=``. A list meets ``==``, ``in`` and order comparisons
if one of its values does, and ``!=`` and ``not in`` if none of its values is equal.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import polars as pl

from firstday.errors import ConfigError, hint_at

MOST_CHARACTERS = 2_000
"""Maximum length of a filter."""
USER, LISTS = "user", "lists"
"""Prefixes of values that come with the request, and of lists of ids: ``user.country``, ``lists.sold_out``."""
OPERATORS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.In: operator.eq,
    ast.NotEq: operator.ne,
    ast.NotIn: operator.ne,
}
KINDS = {pl.Boolean: "True or False", pl.Float64: "numbers", pl.String: "texts"}
EXAMPLE = 'write it like in_stock and genre in ("jazz", "soul") and year >= 2020'
MOST_EXAMPLES = 10
"""Maximum number of values that describe a column of texts."""
Columns = Mapping[str, pl.Series]
"""Columns of `items` by name, each of length n_items: Boolean, Float64, String or List(String)."""


@dataclass(frozen=True, eq=False)
class Filter:
    """A parsed filter.

    Parameters
    ----------
    tree
        Syntax tree.
    names
        Names that it reads by prefix: what follows ``user.`` and ``lists.``.
    """

    tree: ast.expr
    names: Mapping[str, frozenset[str]]

    @classmethod
    @lru_cache(1024)  # requests repeat the same filters
    def parse(cls, text: str) -> Filter:
        """Parse an expression; raise ConfigError if it is not one."""
        if len(text) > MOST_CHARACTERS:
            raise ConfigError(f"filter: has {len(text):,} characters; write at most {MOST_CHARACTERS:,}.")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ConfigError(f"filter: {text!r} cannot be parsed; {EXAMPLE}.") from None
        found = [_split(node) for node in ast.walk(tree) if isinstance(node, ast.expr)]
        return cls(tree, {of: frozenset(name for prefix, name in found if prefix == of) for of in (USER, LISTS)})

    def mask(self, columns: Columns, values: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
        """Return the mask of items that meet the filter, bool, shape (n_items,).

        `values` has the values of `names` by prefix. A comparison with an absent value of the user is false.

        Raises
        ------
        ConfigError
            A column or a list is unknown, or a column is compared with a value of another type.
        """
        condition = _Translation(columns, values).condition(self.tree)
        mask: np.ndarray = pl.DataFrame(dict(columns)).with_columns(condition.alias("")).get_column("").to_numpy()
        return mask


def _split(node: ast.expr) -> tuple[str, str]:
    """Return ``("user", "country")`` for ``user.country``, ``("", "")`` for other expressions."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    return "", ""


def find_column(columns: Columns, name: str) -> str:
    """Return the name of a column; ``artist`` also finds ``artist_id``. Raise ConfigError if there is none."""
    for column in (name, f"{name}_id"):
        if column in columns:
            return column
    columns_text = f"choose one of {', '.join(sorted(columns))}" if columns else "the model's items have no columns"
    raise ConfigError(f"rules: items have no column {name!r}{hint_at(name, tuple(columns))}; {columns_text}.")


def describe_columns(columns: Columns) -> list[dict[str, Any]]:
    """Return the name and type of each column, and what is in it.

    A ``boolean`` has `n_true`, a ``number`` has `lowest` and `highest`, ``text`` and ``list`` have the number of
    distinct values, `n_values`, and the most frequent ones, `values`.
    """
    described: list[dict[str, Any]] = []
    for name, column in sorted(columns.items()):
        about: dict[str, Any]
        if column.dtype == pl.Boolean:
            about = {"type": "boolean", "n_true": column.sum()}
        elif column.dtype == pl.Float64:
            about = {"type": "number", "lowest": column.min(), "highest": column.max()}
        else:
            is_list = column.dtype == pl.List
            counts = (column.explode() if is_list else column).alias("value").drop_nulls().value_counts(name="n")
            most = counts.sort("n", "value", descending=[True, False])["value"].head(MOST_EXAMPLES)
            about = {"type": "list" if is_list else "text", "n_values": counts.height, "values": most.to_list()}
        described.append({"name": name, **about})
    return described


@dataclass(frozen=True, eq=False)
class _Translation:
    """Translates a syntax tree to Polars, for the given columns and values by prefix."""

    columns: Columns
    values: Mapping[str, Mapping[str, Any]]

    def condition(self, node: ast.expr) -> pl.Expr:
        """Translate an expression that is true or false."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return reduce(operator.and_ if isinstance(op, ast.And) else operator.or_, map(self.condition, values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.condition(operand)
            case ast.Compare(left=left, ops=ops, comparators=others) if OPERATORS.keys() >= set(map(type, ops)):
                sides = zip([left, *others], ops, others, strict=False)
                return reduce(operator.and_, (self._compare(*side) for side in sides))
            case ast.Name():
                return self._compare(node, ast.Eq(), ast.Constant(value=True))
        raise ConfigError(f"filter: {ast.unparse(node)!r} is not a condition; {EXAMPLE}.")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pl.Expr:
        """Translate one comparison between a column and a value, on either side."""
        is_reversed = isinstance(right, ast.Name) and not isinstance(left, ast.Name)
        name, node = (right, left) if is_reversed else (left, right)
        if not isinstance(name, ast.Name):
            raise ConfigError(f"filter: {ast.unparse(name)!r} is not compared with a column of items; {EXAMPLE}.")
        column = find_column(self.columns, name.id)
        values = self._values(column, node)
        if values is None:
            return pl.lit(value=False)
        compare = OPERATORS[type(op)]
        if compare not in (operator.eq, operator.ne):
            if len(values) != 1 or isinstance(values[0], bool):
                raise ConfigError(f"filter: {column} and {ast.unparse(node)!r} have no order; compare them with ==.")
            limit = values[0]
            return self._meets(column, lambda value: compare(limit, value) if is_reversed else compare(value, limit))
        options = pl.Series(values, dtype=self._type_of(column)).implode()
        is_equal = self._meets(column, lambda value: value.is_in(options))
        if compare is operator.eq:
            return is_equal
        return self._meets(column, pl.Expr.is_not_null) & ~is_equal

    def _meets(self, column: str, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
        """Translate a test of one value, false where the value is missing."""
        if self.columns[column].dtype == pl.List:
            return pl.col(column).list.eval(test(pl.element())).list.any().fill_null(value=False)
        return test(pl.col(column)).fill_null(value=False)

    def _type_of(self, column: str) -> Any:
        """Return the type of a column's values, Boolean, Float64 or String."""
        dtype = self.columns[column].dtype
        return dtype.inner if isinstance(dtype, pl.List) else dtype

    def _values(self, column: str, node: ast.expr) -> list[Any] | None:
        """Return the values that a column is compared with, in its type; None if they are the user's and missing."""
        prefix, name = _split(node)
        if prefix == LISTS and name not in self.values[LISTS]:
            raise ConfigError(f"filter: there is no list {name!r}; put it first.")
        try:
            value = self.values[prefix].get(name) if prefix in self.values else ast.literal_eval(node)
        except ValueError:
            raise ConfigError(f"filter: {ast.unparse(node)!r} is not a value; {EXAMPLE}.") from None
        values = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        typed = [self._in_type_of(column, one) for one in values]
        if prefix == USER:
            return [one for one in typed if one is not None] or None
        if None in typed:
            kind = KINDS[type(self._type_of(column))]
            raise ConfigError(f"filter: {column} has {kind}; compare it with one, not with {ast.unparse(node)}.")
        return typed

    def _in_type_of(self, column: str, value: Any) -> Any:
        """Return a value in the type of a column, None if it has another type; 42 and "42" are the same text."""
        dtype = self._type_of(column)
        if dtype == pl.Boolean or isinstance(value, bool):
            return value if dtype == pl.Boolean and isinstance(value, bool) else None
        if dtype == pl.String:
            return str(value) if isinstance(value, str | int) else None
        try:
            return float(value) if isinstance(value, int | float | str) else None
        except ValueError:
            return None
