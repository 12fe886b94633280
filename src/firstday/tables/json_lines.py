"""JSON Lines files, checked for content that Polars would misread."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from firstday.tables.faults import ROW, Findings, Source
from firstday.tables.raw_table import UNREADABLE
from firstday.tables.text import Record, Text, UnreadableError, copy_rows

_NOT_OBJECTS = ("not_an_object", "are not JSON objects", "write one object per line, with null for missing values")
_MIXED = ("mixed_lists", "have a list in a column of single values, or the reverse", "use one kind of value per column")


def scan_json_lines(text: Text, findings: Findings) -> tuple[pl.LazyFrame, Source]:
    """Scan JSON Lines in batches; see `firstday.tables.separated.scan_text`.

    Column types are inferred from all lines. A column that is absent from a line is null there.
    """
    scan = _scan(text)
    starts = scan.select(pl.col(pl.String).str.contains(r"^[\[{]").any())  # Polars turns lists among text into text
    try:
        is_readable = not any(map(any, starts.collect(engine="streaming").rows()))
    except UNREADABLE:
        is_readable = False
    if not is_readable:
        for _ in text.blocks():
            pass  # checks the encoding
        if not copy_rows(text, _read_objects, 0, findings):
            raise UnreadableError
        scan = _scan(text)
    return scan, text.locate(lambda lines: (bool(line.strip()) for line in lines))


def _scan(text: Text) -> pl.LazyFrame:
    return pl.scan_ndjson(glob.escape(str(text.path)), infer_schema_length=None, row_index_name=ROW)


def _read_objects(lines: Iterator[str]) -> Iterator[Record]:
    """Parse lines one by one; a column contains lists or objects if its first value is one."""
    are_nested: dict[str, bool] = {}
    for line in lines:
        row = _parse(line)
        fault = None
        if row is None:
            fault = _NOT_OBJECTS if line.strip() else None
        else:
            kinds = {name: isinstance(value, list | dict) for name, value in row.items() if value is not None}
            if any(are_nested.setdefault(name, is_nested) != is_nested for name, is_nested in kinds.items()):
                fault = _MIXED
        yield [line], "" if row is None or fault else line, fault


def _parse(line: str) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else."""
    try:
        row = json.loads(line, parse_constant=int)  # raises ValueError for NaN and Infinity, which are not JSON
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
