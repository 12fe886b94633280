"""Separated text files (CSV, TSV), checked for what Polars would misread."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from operator import itemgetter

import polars as pl

from firstday.tables.faults import ROW, Findings
from firstday.tables.schema import TABLES, fold_name
from firstday.tables.text import EMPTY, LineOf, Record, Text, UnreadableError, copy_rows

SEPARATORS = ",;\t|"
MAX_SHOWN = 80
"""Maximum number of characters of a line shown in a message."""
MAX_ROW_BYTES = 2**26
"""Maximum length of a row in bytes; a longer one has an unclosed quote."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_QUOTED = rb'"(?:[^"\x00-\x08\x0b\x0c\x0e-\x1f]++|"")*+"'
_UNCLOSED = (
    "have an unclosed quote, or text after a quote",
    "put quotes around the whole text, and write quotes within it twice",
)
_CONTROLS = ("have control characters", "remove them")
_FIELDS = ("do not have as many fields as the header", "put quotes around text with separators, and omit no field")


def scan_text(text: Text, findings: Findings) -> tuple[pl.LazyFrame, LineOf]:
    """Scan a text file in batches, every column as String; also return the line of each row.

    If Polars would misread the file (quotes inside text, another encoding, rows to drop), a copy is scanned instead, in
    which rows keep their line numbers. Raises UnreadableError if the file has faults.
    """
    header = find_header(next(text.blocks(), b""), text.table)
    if not are_sound(text.blocks(), header) and not copy_rows(text, partial(_read_rows, header=header), 1, findings):
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
    return scan.remove(is_blank), text.line_of(find_records, header.n_before + 1)


@dataclass(frozen=True)
class Header:
    """The first non-blank line.

    Parameters
    ----------
    separator, columns
        Column separator and column names.
    n_before
        Number of blank lines before the header.
    """

    separator: str
    columns: list[str]
    n_before: int


def find_header(block: bytes, table: str) -> Header:
    """Detect the separator and column names from the first lines of a file.

    Prefers the separator that yields the most columns of the table's schema, then the most columns. Raises
    UnreadableError if the first line is not a header of the table.
    """
    text = block.decode()
    first = re.search(r"[^\r\n]+", text)
    if first is None:
        raise UnreadableError(EMPTY)
    n_before, kinds = text.count("\n", 0, first.start()), set(map(fold_name, TABLES[table].kinds))
    headers = []
    for separator in SEPARATORS:
        with suppress(csv.Error):
            lines = io.StringIO(text[first.start() :], newline="")
            columns = next(csv.reader(lines, delimiter=separator, strict=True))
            n_known = len(kinds & set(map(fold_name, columns)))
            headers.append((n_known, len(columns), Header(separator, columns, n_before)))
    n_known, _, best = max(headers, key=itemgetter(0, 1), default=(0, 0, Header(",", [], 0)))
    columns = best.columns
    line = repr(first[0][:MAX_SHOWN])
    if not n_known or _CONTROL.search("".join(columns)):
        required = " and ".join(TABLES[table].required)
        raise UnreadableError(f"the first line is not a header of {table} ({line}); add one, with {required}.")
    if len(set(columns)) < len(columns) or not all(map(str.strip, columns[1:])):
        raise UnreadableError(f"the header has a column twice or without a name ({line}); name every column.")
    columns[0] = columns[0] if columns[0].strip() else "Unnamed: 0"  # the index of a pandas frame
    return best


def are_sound(blocks: Iterable[bytes], header: Header) -> bool:
    """Whether Polars reads every row as it is meant, by a regular expression.

    Wrong are another number of fields, quotes inside text, unclosed quotes, control characters and other line ends.
    """
    separator = header.separator.encode()
    field = rb'(?:[^"%b\x00-\x08\n-\x1f]++|%b|)' % (separator, _QUOTED)
    row = rb"%b(?:%b%b){%d}" % (field, re.escape(separator), field, len(header.columns) - 1)
    sound_rows = re.compile(rb"(?:(?:%b)?+\r?\n)*+" % row)
    rest, is_sound = b"", True
    for block in blocks:  # exhausts the blocks, since their iterator checks the encoding
        if is_sound:
            rest += block
            rest = rest[sound_rows.match(rest).end() :]  # type: ignore[union-attr]
            is_sound = len(rest) <= MAX_ROW_BYTES
    return is_sound and sound_rows.fullmatch(rest + b"\n") is not None


def find_records(lines: Iterable[bytes]) -> Iterator[bool]:
    """Tell for each line of a sound file whether a record begins on it: quotes before it are closed."""
    yield True
    yield from (n_quotes % 2 == 0 for n_quotes in accumulate(line.count(b'"') for line in lines))


def _read_rows(lines: Iterator[str], header: Header) -> Iterator[Record]:
    """Parse rows one by one; an unclosed quote invalidates only its own line, not the lines it runs over."""
    returned: list[str] = []
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while line := returned.pop() if returned else next(lines, ""):
            taken.append(line)
            yield line

    while True:
        taken.clear()
        fields, fault = [], None
        try:
            fields = next(csv.reader(feed(), delimiter=header.separator, strict=True), [])
        except csv.Error:
            returned += reversed(taken[1:])
            del taken[1:]
            fault = _UNCLOSED
        if not taken:
            return
        is_blank = not any(map(str.strip, fields))
        if not is_blank and _CONTROL.search("".join(taken)):
            fault = _CONTROLS
        elif not is_blank and len(fields) != len(header.columns):
            fault = _FIELDS
        quoted = (value and '"' + value.replace('"', '""') + '"' for value in fields)
        yield list(taken), "" if is_blank or fault else f"{header.separator.join(quoted)}\n", fault
