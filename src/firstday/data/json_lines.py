"""Files with one JSON object on each line: the types of all their values, and what Polars would misread."""

from __future__ import annotations

import codecs
import glob
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl

from firstday.data.contents import EMPTY_OF_ROWS, Lines, NotUtf8Error, Text, check_utf8, open_text
from firstday.data.find_tables import TableFile
from firstday.data.findings import Findings, SourceFile
from firstday.data.raw_table import ROW, RawFile, first_line
from firstday.data.text_files import MAX_ROW_BYTES, shorten
from firstday.errors import count_of

_BLANK = re.compile(rb"^[ \t\r]*\n", re.MULTILINE)
_TRUTH, _NUMBERS, _TEXT, _LISTS, _OBJECTS = "true or false", "numbers", "text", "lists", "objects"
_KINDS: dict[type, str] = {bool: _TRUTH, int: _NUMBERS, float: _NUMBERS, str: _TEXT, list: _LISTS, dict: _OBJECTS}
_OBJECT = pl.Struct([])
"""The type of an object within a row, of which nothing is read."""


def scan_json_lines(path: Path, file: TableFile, table: str, number: int, findings: Findings) -> RawFile | None:
    """Open JSON lines for reading in batches; the types of columns are those of all lines.

    Parameters
    ----------
    path
        Where the file is.
    file
        What its name says.
    table
        The table whose rows it holds.
    number
        Its number among the table's files.
    findings
        Gets the faults and notes.

    Returns
    -------
    RawFile
        Its rows, with null for a column that a line lacks; None where there is a fault.

    Raises
    ------
    OSError, EOFError, zlib.error
        It is damaged.
    """
    text = open_text(path, file, findings)
    if text is None:
        return None
    _leave_out_mark(text)
    try:
        shape = _find_shape(check_utf8(text.read))
    except NotUtf8Error as error:
        findings.fault(f"{file.name}: {error}")
        return None
    if shape.doubt is not None:
        if not _read_closely(text, file.name, table, findings):
            return None
        shape = _find_shape(text.read())
    if shape.doubt or not shape.columns:
        unread = f"cannot be read as JSON lines ({shape.doubt}); write the file again."
        findings.fault(f"{file.name}: {unread if shape.doubt else EMPTY_OF_ROWS}")
        return None
    scan = pl.scan_ndjson(glob.escape(str(text.path)), schema=shape.columns, row_index_name=ROW)
    return RawFile(scan, SourceFile(file.name, shape.find_lines(), number), text.folder)


def _leave_out_mark(text: Text) -> None:
    """Copy a file that begins with a byte-order mark, which Polars takes for a fault in JSON."""
    chunks = text.read()
    head = next(chunks, b"")
    if head.startswith(codecs.BOM_UTF8):
        with text.replace() as copy:
            copy.write(head.removeprefix(codecs.BOM_UTF8))
            copy.writelines(chunks)


@dataclass
class _Shape:
    """The columns of a file, and where its rows stand.

    Parameters
    ----------
    columns
        The type of each.
    doubt
        What Polars said where it could not read the file; "" where a column may hold lists beside text.
    n_rows
        How many rows there are.
    blank_after
        The row after which each blank line stands.
    """

    columns: dict[str, pl.DataType] = field(default_factory=dict)
    doubt: str | None = None
    n_rows: int = 0
    blank_after: list[int] = field(default_factory=list)

    def find_lines(self) -> Lines:
        """Return where the rows stand."""
        return Lines.of(1, np.array(self.blank_after, dtype=np.int64), np.ones(len(self.blank_after), dtype=np.int64))

    def add(self, block: bytes) -> None:
        """Take in some whole lines."""
        place = 0
        for blank in _BLANK.finditer(block):
            self.n_rows += block.count(b"\n", place, blank.start())
            self.blank_after.append(self.n_rows - 1)
            place = blank.end()
        self.n_rows += block.count(b"\n", place)
        if self.doubt or not block.strip():
            return
        try:
            frame = pl.read_ndjson(block, infer_schema_length=None)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            self.doubt = first_line(error)
            return
        words = pl.col(pl.String)
        if any(map(any, frame.select((words.str.starts_with("[") | words.str.starts_with("{")).any()).rows())):
            self.doubt = ""
        for name, kind in frame.schema.items():
            shared = _join_types(self.columns.get(name, pl.Null()), kind)
            if shared is None:
                self.doubt = f"the column {name} holds values of several kinds"
                return
            self.columns[name] = shared


def _find_shape(chunks: Iterator[bytes]) -> _Shape:
    """Read a file to find the types of its columns."""
    shape, rest = _Shape(), b""
    for chunk in chunks:
        whole, _, rest_of_chunk = chunk.rpartition(b"\n")
        if len(rest) > MAX_ROW_BYTES:
            shape.doubt = "a line is too long"
        elif whole or chunk.startswith(b"\n"):
            shape.add(rest + whole + b"\n")
            rest = rest_of_chunk
        else:
            rest += chunk
    if rest.strip():
        shape.add(rest + b"\n")
    return shape


def _join_types(one: Any, other: Any) -> pl.DataType | None:
    """Return a type for values of both; None where there is none."""
    types = (one, other)
    if pl.Null in types:
        return _without_objects(one if other == pl.Null else other)
    if one.is_nested() or other.is_nested():
        if isinstance(one, pl.List) and isinstance(other, pl.List):
            inner = _join_types(one.inner, other.inner)
            return None if inner is None else pl.List(inner)
        return _OBJECT if isinstance(one, pl.Struct) and isinstance(other, pl.Struct) else None
    if one == other or pl.String in types:
        return pl.String() if pl.String in types else one
    if pl.Boolean in types:
        return None
    return pl.Float64() if pl.Float64 in types else pl.Int128()


def _without_objects(kind: Any) -> pl.DataType:
    """Return a type without the columns of objects."""
    if isinstance(kind, pl.List):
        return pl.List(_without_objects(kind.inner))
    return _OBJECT if isinstance(kind, pl.Struct) else kind


def _read_closely(text: Text, name: str, table: str, findings: Findings) -> bool:
    """Read a file line by line in Python to name what is wrong; leave bad lines out of a copy where that is allowed.

    Returns
    -------
    bool
        Whether the file, or its copy, has no fault that was found here.
    """
    n_rows, n_bad, first_bad = 0, 0, ""
    kinds: dict[str, dict[str, int]] = {}
    content = _read_lines(text.read())
    with text.replace() as copy:
        for number, line in enumerate(content, 1):
            if not line.strip():
                copy.write(b"\n")
                continue
            n_rows += 1
            row = _parse(line)
            if row is not None:
                copy.write(line)
                for column, value in row.items():
                    if value is not None:
                        kinds.setdefault(column, {}).setdefault(_KINDS[type(value)], number)
                continue
            copy.write(b"\n")
            shown = shorten(line.decode().strip())
            first_bad = first_bad or f"line {number:,}, {shown!r}"
            n_bad += 1
            if findings.drop:
                findings.leave_out_unread(table, f"{name} line {number:,}", "is no JSON object", line.decode().strip())
    mixed = [(column, lines) for column, lines in kinds.items() if _is_mixed(set(lines))]
    for column, lines in mixed:
        (one, first), (other, second) = list(lines.items())[:2]
        findings.fault(
            f"{name}: {column} holds {one} (first: line {first:,}) and {other} (first: line {second:,}); "
            "write values of one kind."
        )
    if n_bad:
        counted = f"{name}: {count_of(n_bad, n_rows, 'rows')} are no JSON objects (first: {first_bad})"
        if findings.drop:
            findings.note(f"{counted}; left out.")
        else:
            findings.fault(f"{counted}; write one on each line, with null for what is missing.")
    return not mixed and (findings.drop or not n_bad)


def _read_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Read lines with their ends."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read an object; None for what is none."""
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _refuse(word: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(word)


def _is_mixed(kinds: set[str]) -> bool:
    """Tell whether values have no type in common; numbers beside text become text."""
    return len(kinds) > 1 and (bool(kinds & {_LISTS, _OBJECTS}) or kinds == {_TRUTH, _NUMBERS})
