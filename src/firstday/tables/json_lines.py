"""Files with one JSON object on each line: the types of all their values, and what Polars would misread."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl

from firstday.errors import count_of
from firstday.tables.faults import MAX_LISTED, ROW, Findings, SourceFile
from firstday.tables.find import TableFile
from firstday.tables.raw_table import first_line
from firstday.tables.separated import MAX_SHOWN
from firstday.tables.text import EMPTY_OF_ROWS, Lines, NotUtf8Error, Text, check_utf8, open_text

_TRUTH, _NUMBERS, _TEXT, _LISTS, _OBJECTS = "true or false", "numbers", "text", "lists", "objects"
_KINDS: dict[type, str] = {bool: _TRUTH, int: _NUMBERS, float: _NUMBERS, str: _TEXT, list: _LISTS, dict: _OBJECTS}
_OBJECT = pl.Struct([])
"""The type of an object within a row, of which nothing is read."""


class _UnreadableError(Exception):
    """Polars cannot read the file, or may read it in another way than it is meant."""


def scan_json_lines(
    path: Path, file: TableFile, table: str, findings: Findings
) -> tuple[pl.LazyFrame, SourceFile] | None:
    """Open JSON lines for reading in batches; see `firstday.tables.separated.scan_text`.

    The types of columns are those of all lines; a column that a line lacks is null there.
    """
    text = open_text(path, file, findings)
    if text is None:
        return None
    try:
        try:
            columns, lines = _find_types(text)
        except _UnreadableError:
            if not _check_lines(text, file.name, table, findings):
                return None
            columns, lines = _find_types(text, may_hold_brackets=True)
    except NotUtf8Error as error:
        findings.fault(f"{file.name}: {error}")
        return None
    except _UnreadableError as error:
        findings.fault(f"{file.name}: cannot be read as JSON lines ({error}); write the file again.")
        return None
    if not columns:
        findings.fault(f"{file.name}: {EMPTY_OF_ROWS}")
        return None
    scan = pl.scan_ndjson(glob.escape(str(text.path)), schema=columns, row_index_name=ROW)
    return scan, SourceFile(file.name, lines, text.folder)


def _find_types(text: Text, *, may_hold_brackets: bool = False) -> tuple[dict[str, pl.DataType], Lines]:
    """Return the types of a file's columns, and the lines of its rows."""
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
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _UnreadableError(first_line(error)) from None
        words = pl.col(pl.String)
        in_brackets = frame.select((words.str.starts_with("[") | words.str.starts_with("{")).any())
        if not may_hold_brackets and any(map(any, in_brackets.rows())):
            raise _UnreadableError("lists or objects beside text")
        for name, kind in frame.schema.items():
            columns[name] = _join_types(name, columns.get(name, pl.Null()), kind)
    rows = np.array(blank, dtype=np.int64) - np.arange(len(blank)) - 1
    return columns, Lines.of(1, rows, np.ones(len(blank), dtype=np.int64))


def _join_types(name: str, one: Any, other: Any) -> pl.DataType:
    """Return a type for the values of both; nothing is read of objects."""
    types = (one, other)
    if isinstance(one, pl.List) and isinstance(other, pl.List):
        return pl.List(_join_types(name, one.inner, other.inner))
    if all(isinstance(kind, pl.Struct) or kind == pl.Null for kind in types) and types != (pl.Null, pl.Null):
        return _OBJECT
    if pl.Null in types or one == other:
        found = one if other == pl.Null else other
        return pl.List(_join_types(name, pl.Null(), found.inner)) if isinstance(found, pl.List) else found
    if one.is_nested() or other.is_nested() or (pl.Boolean in types and pl.String not in types):
        raise _UnreadableError(f"the column {name} holds values of several kinds")
    if pl.String in types:
        return pl.String()
    return pl.Float64() if pl.Float64 in types else pl.Int128()


def _check_lines(text: Text, name: str, table: str, findings: Findings) -> bool:
    """Find bad lines and columns whose values have no type in common, line by line; return whether there are none.

    Where bad rows may be left out, they are blank in a copy.
    """
    n_rows, n_bad, first_bad = 0, 0, ""
    unread: list[tuple[str, str, str]] = []
    kinds: dict[str, dict[str, int]] = {}
    with text.lines() as content, text.replace() as copy:
        for number, line in enumerate(content, 1):
            row = _parse(line)
            copy.write("\n" if row is None else line)
            n_rows += bool(line.strip())
            if row is None and line.strip():
                first_bad = first_bad or f"line {number:,}, {line.strip()[:MAX_SHOWN]!r}"
                n_bad += 1
                if n_bad <= MAX_LISTED:
                    unread.append((f"{name} line {number:,}", "is no JSON object", line.strip()))
            for column, value in (row or {}).items():
                if value is not None:
                    kinds.setdefault(column, {}).setdefault(_KINDS[type(value)], number)
    mixed = {column: firsts for column, firsts in kinds.items() if _are_mixed(set(firsts))}
    for column, firsts in mixed.items():
        nested = {_LISTS, _OBJECTS} & set(firsts)
        (one, first), (other, second) = sorted(firsts.items(), key=lambda kind: kind[0] in nested)[:: len(firsts) - 1]
        findings.fault(
            f"{name}: {column} holds {one} (first: line {first:,}) and {other} (first: line {second:,}); "
            "write values of one kind."
        )
    counted = f"{name}: {count_of(n_bad, n_rows, 'rows')} are no JSON objects (first: {first_bad})"
    if unread and findings.drop:
        findings.leave_out_unread(table, n_bad, unread)
        findings.note(f"{counted}; left out.")
    elif unread:
        findings.fault(f"{counted}; write one on each line, with null for what is missing.")
    return not mixed and (findings.drop or not unread)


def _parse(line: str) -> dict[str, Any] | None:
    """Read an object; None for anything else."""
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _refuse(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(word)


def _are_mixed(kinds: set[str]) -> bool:
    """Tell whether values have no type in common; numbers beside text become text."""
    return len(kinds) > 1 and (bool(kinds & {_LISTS, _OBJECTS}) or kinds == {_TRUTH, _NUMBERS})
