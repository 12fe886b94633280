"""JSON Lines files: common types of all values, and checks for what Polars would misread."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import polars as pl

from firstday.tables.faults import ROW, Findings
from firstday.tables.raw_table import first_line, join_types
from firstday.tables.separated import MAX_SHOWN
from firstday.tables.text import EMPTY, LineOf, Record, Text, UnreadableError, check_utf8, copy_rows, count_lines

_TRUTH, _NUMBERS, _TEXT, _LISTS, _OBJECTS = "true or false", "numbers", "text", "lists", "objects"
_KINDS: dict[type, str] = {bool: _TRUTH, int: _NUMBERS, float: _NUMBERS, str: _TEXT, list: _LISTS, dict: _OBJECTS}
_OBJECT = pl.Struct([])
"""Type of a nested object, whose fields are not read."""
_NO_OBJECT = ("are no JSON objects", "write one on each line, with null for what is missing")


class _DoubtError(UnreadableError):
    """Polars cannot read the file, or may read it differently from what is meant."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot be read as JSON lines ({reason}); write the file again.")


def scan_json_lines(text: Text, findings: Findings) -> tuple[pl.LazyFrame, LineOf]:
    """Scan JSON Lines in batches; see `firstday.tables.separated.scan_text`.

    Column types are inferred from all lines; a column absent from a line is null there.
    """
    try:
        columns, line_of = _find_types(text)
    except _DoubtError:
        _check_lines(text, findings)
        columns, line_of = _find_types(text, may_hold_brackets=True)
    if not columns:
        raise UnreadableError(EMPTY)
    return pl.scan_ndjson(glob.escape(str(text.path)), schema=columns, row_index_name=ROW), line_of


def _find_types(text: Text, *, may_hold_brackets: bool = False) -> tuple[dict[str, pl.DataType], LineOf]:
    """Return the column types of a file, and the line of each row."""
    columns: dict[str, pl.DataType] = {}
    blank: list[int] = []
    n_lines = 0
    for block in check_utf8(text.blocks()):
        lines = block.removesuffix(b"\n").split(b"\n")
        blank += [n_lines + ix for ix, line in enumerate(lines) if not line.strip()]
        n_lines += len(lines)
        if not block.strip():
            continue
        try:
            frame = pl.read_ndjson(block, infer_schema_length=None)
            for name, kind in frame.schema.items():
                columns[name] = join_types(name, columns.get(name, pl.Null()), _without_fields(kind))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _DoubtError(first_line(error)) from None
        in_brackets = frame.select(pl.col(pl.String).str.contains(r"^[\[{]").any())
        if not may_hold_brackets and any(map(any, in_brackets.rows())):
            raise _DoubtError("lists or objects beside text")
    rows = np.array(blank, dtype=np.int64) - np.arange(len(blank)) - 1
    return columns, count_lines(1, rows, np.ones(len(blank), dtype=np.int64))


def _without_fields(kind: Any) -> pl.DataType:
    """Replace nested struct types by an empty struct."""
    if isinstance(kind, pl.List):
        return pl.List(_without_fields(kind.inner))
    return _OBJECT if isinstance(kind, pl.Struct) else kind


def _check_lines(text: Text, findings: Findings) -> None:
    """Find bad lines and columns of mixed types, line by line; bad lines are blank in the copy."""
    kinds: dict[str, dict[str, int]] = {}

    def read(lines: Iterator[str]) -> Iterator[Record]:
        for number, line in enumerate(lines, 1):
            row, shown = _parse(line), line.strip()[:MAX_SHOWN]
            for column, value in (row or {}).items():
                if value is not None:
                    kinds.setdefault(column, {}).setdefault(_KINDS[type(value)], number)
            fault = (*_NO_OBJECT, f", {shown!r}") if row is None and shown else None
            yield [line], "" if row is None else line, fault

    may_be_read, faults = copy_rows(text, read, 0, findings), []
    for column, firsts in kinds.items():
        nested = {_LISTS, _OBJECTS} & set(firsts)
        if len(firsts) > 1 and (nested or set(firsts) == {_TRUTH, _NUMBERS}):  # numbers mixed with text become text
            (one, first), *_, (other, second) = sorted(firsts.items(), key=lambda kind: kind[0] in nested)
            faults.append(
                f"{column} holds {one} (first: line {first:,}) and {other} (first: line {second:,}); "
                "write values of one kind."
            )
    if faults or not may_be_read:
        raise UnreadableError(*faults)


def _parse(line: str) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _refuse(word: str) -> NoReturn:
    """Reject NaN and Infinity, which are not JSON."""
    raise ValueError(word)
