"""Separated text files (CSV, TSV), checked for content that Polars would misread."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import polars as pl

from firstday.tables.faults import ROW, Findings, Source
from firstday.tables.schema import TABLES, find_nearest
from firstday.tables.text import EMPTY, Record, Text, UnreadableError, copy_rows

SEPARATORS = ",;\t|"
MAX_ROW_BYTES = 2**26
"""Maximum length of a row in bytes; a longer row is taken to have an unclosed quote."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_QUOTED = rb'"(?:[^"\x00-\x08\x0b\x0c\x0e-\x1f]++|"")*+"'
_UNCLOSED = (
    "unclosed_quote",
    "have an unclosed quote, or text after a quote",
    "quote the whole field, and double the quotes inside it",
)
_CONTROLS = ("control_character", "have control characters", "remove them")
_FIELDS = (
    "field_count",
    "have more or fewer fields than the header",
    "quote fields that contain separators, and do not omit fields",
)


def scan_text(text: Text, findings: Findings) -> tuple[pl.LazyFrame, Source]:
    """Scan a text file in batches, all columns as String; also return the function that locates rows.

    If Polars would misread the file (quotes inside text, rows to drop), a corrected copy with the same line numbers is
    scanned instead. Raises UnreadableError if the file has faults.
    """
    header = find_header(next(text.blocks(), b""), text.table, findings)
    if not is_well_formed(text.blocks(), header) and not copy_rows(
        text, partial(_read_rows, header=header), 1, findings
    ):
        raise UnreadableError
    scan = pl.scan_csv(
        text.path,
        separator=header.separator,
        new_columns=header.columns,
        infer_schema=False,
        glob=False,
        row_index_name=ROW,
    )
    is_blank = pl.all_horizontal(pl.exclude(ROW).is_null())
    return scan.remove(is_blank), text.locate(find_records, header.n_blank + 1)


@dataclass(frozen=True)
class Header:
    """Column separator and column names, from the first line after `n_blank` blank ones."""

    separator: str
    columns: list[str]
    n_blank: int


def find_header(block: bytes, table: str, findings: Findings) -> Header:
    """Choose the separator with the most columns of the table's schema, then the most columns.

    Raises UnreadableError if the first line is not a header of the table.
    """
    text = block.decode()
    first = re.search(r"[^\r\n]+", text)
    if first is None:
        raise UnreadableError(*EMPTY)
    n_blank = text.count("\n", 0, first.start())
    n_known = 0
    best = Header(",", [], n_blank)
    for separator in SEPARATORS:
        with suppress(csv.Error):
            lines = io.StringIO(text[first.start() :], newline="")
            columns = next(csv.reader(lines, delimiter=separator, strict=True))
            labels = findings.rename(table, columns).values()
            n = sum(find_nearest(table, label, ()) != "" for label in labels)
            if (n, len(columns)) > (n_known, len(best.columns)):
                n_known = n
                best = Header(separator, columns, n_blank)
    columns = best.columns
    line = repr(first[0][:80])
    if not n_known or _CONTROL.search("".join(columns)):
        required = " and ".join(TABLES[table].required)
        text = f"the first line is not a header of {table} ({line}); add one, with {required}."
        raise UnreadableError("no_header", text)
    if len(set(columns)) < len(columns) or not all(map(str.strip, columns[1:])):
        text = f"the header has a repeated column or one without a name ({line}); name every column."
        raise UnreadableError("bad_header", text)
    columns[0] = columns[0] if columns[0].strip() else "Unnamed: 0"  # the index of a pandas frame
    return best


def is_well_formed(blocks: Iterable[bytes], header: Header) -> bool:
    """Return whether Polars reads every row correctly, checked by a regular expression.

    Rows with a wrong number of fields, quotes inside text, unclosed quotes, control characters or other line ends are
    not well-formed.
    """
    separator = header.separator.encode()
    field = rb'(?:[^"%b\x00-\x08\n-\x1f]++|%b|)' % (separator, _QUOTED)
    row = rb"%b(?:%b%b){%d}" % (field, re.escape(separator), field, len(header.columns) - 1)
    valid_rows = re.compile(rb"(?:(?:%b)?+\r?\n)*+" % row)
    rest = b""
    is_valid = True
    for block in blocks:  # exhausts the blocks, since their iterator checks the encoding
        if is_valid:
            rest += block
            rest = rest[valid_rows.match(rest).end() :]  # type: ignore[union-attr]
            is_valid = len(rest) <= MAX_ROW_BYTES
    return is_valid and valid_rows.fullmatch(rest + b"\n") is not None


def find_records(lines: Iterable[bytes]) -> Iterator[bool]:
    """Yield for each line of a well-formed file whether a record begins on it: all quotes before it are closed."""
    yield True
    yield from (n_quotes % 2 == 0 for n_quotes in accumulate(line.count(b'"') for line in lines))


def _read_rows(lines: Iterator[str], header: Header) -> Iterator[Record]:
    """Parse rows one by one; an unclosed quote makes only its own line invalid, not the lines up to the next quote."""
    pushed_back: list[str] = []
    consumed: list[str] = []

    def feed() -> Iterator[str]:
        while line := pushed_back.pop() if pushed_back else next(lines, ""):
            consumed.append(line)
            yield line

    while True:
        consumed.clear()
        fields = []
        fault = None
        try:
            fields = next(csv.reader(feed(), delimiter=header.separator, strict=True), [])
        except csv.Error:
            pushed_back += reversed(consumed[1:])
            del consumed[1:]
            fault = _UNCLOSED
        if not consumed:
            return
        is_blank = not any(map(str.strip, fields))
        if not is_blank and _CONTROL.search("".join(consumed)):
            fault = _CONTROLS
        elif not is_blank and len(fields) != len(header.columns):
            fault = _FIELDS
        quoted = (value and '"' + value.replace('"', '""') + '"' for value in fields)
        yield list(consumed), "" if is_blank or fault else f"{header.separator.join(quoted)}\n", fault
