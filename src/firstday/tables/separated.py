"""Separated text files (CSV, TSV), checked for what Polars would misread."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from firstday.tables.faults import ROW, Findings
from firstday.tables.schema import TABLES, fold_name, note_pandas_index
from firstday.tables.text import EMPTY, Fault, LineOf, Record, Text, UnreadableError, check_utf8, copy_rows, count_lines

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_SHOWN = 80
"""Maximum number of characters of a line shown in a message."""
MAX_ROW_BYTES = 2**26
"""Maximum length of a row in bytes; a longer one has an unclosed quote."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_QUOTED = rb'"(?:[^"\x00-\x08\x0b\x0c\x0e-\x1f]++|"")*+"'
_UNCLOSED = (
    "have a quote that is not closed, or text after a quote",
    "close it, put quotes around the whole text, and write a quote inside of it twice",
)


def scan_text(text: Text, findings: Findings) -> tuple[pl.LazyFrame, LineOf]:
    """Scan a text file in batches, every column as String; also return the line of each row.

    If Polars would misread the file (quotes inside text, another encoding, rows to drop), a copy is scanned instead, in
    which rows keep their line numbers. Raises UnreadableError if the file has faults.
    """
    header = find_header(next(check_utf8(text.chunks())), text.table)
    line_of = find_lines(check_utf8(text.chunks()), header)
    if line_of is None:
        if not copy_rows(text, partial(_read_rows, header=header), 1, findings):
            raise UnreadableError
        line_of = find_lines(check_utf8(text.chunks()), header)
    if line_of is None:
        raise UnreadableError("the header holds control characters; remove them.")
    scan = pl.scan_csv(
        text.path,
        separator=header.separator,
        new_columns=header.columns,
        infer_schema=False,
        glob=False,
        row_index_name=ROW,
    )
    if not header.columns[0].strip():  # the index of a pandas frame
        note_pandas_index(text.table, "", findings)
        scan = scan.drop(header.columns[0])
    return scan.filter(~pl.all_horizontal(pl.exclude(ROW).is_null())), line_of  # drops blank lines


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


def find_header(chunk: bytes, table: str) -> Header:
    """Detect the separator and column names from the beginning of a file.

    Prefers the separator that yields all required columns, then the one that yields the most columns. Raises
    UnreadableError if the first line is not a header of the table.
    """
    text = chunk.decode(errors="ignore")  # the chunk may end within a character
    first = re.search(r"[^\r\n]+", text)
    if first is None:
        raise UnreadableError(EMPTY)
    kinds, required = (set(map(fold_name, names)) for names in (TABLES[table].kinds, TABLES[table].required))
    best = Header(",", [], text.count("\n", 0, first.start()))
    for separator in SEPARATORS:
        with suppress(csv.Error):
            lines = io.StringIO(text[first.start() :], newline="")
            header = replace(
                best, separator=separator, columns=next(csv.reader(lines, delimiter=separator, strict=True))
            )
            best = max(best, header, key=lambda one: (required <= set(map(fold_name, one.columns)), len(one.columns)))
    line = repr(f"{first[0][:MAX_SHOWN]}..." if len(first[0]) > MAX_SHOWN else first[0])
    faults = [
        f"column {number} of the header has no name; name it, or leave it out (with pandas: to_csv(..., index=False))."
        for number, name in enumerate(best.columns, 1)
        if number > 1 and not name.strip()
    ][:1]
    repeated = [name for name, n in Counter(best.columns).items() if n > 1 and name.strip()]
    faults += [f"has the column {name} more than once; keep one of them." for name in repeated]
    if not best.columns:
        faults = [f"the header has a quote that is not closed ({line}); close it."]
    elif not kinds & set(map(fold_name, best.columns)):
        names = " and ".join(TABLES[table].required)
        faults = [f"the first line names no column of {table} ({line}); put a header there, with {names}."]
    if faults:
        raise UnreadableError(*faults)
    return best


def find_lines(chunks: Iterable[bytes], header: Header) -> LineOf | None:
    """Find the line of each row with a regular expression, without parsing.

    Returns None if the file needs the slow path: wrong number of fields, quotes inside text, unclosed quotes, control
    characters or other line ends.
    """
    separator = header.separator.encode()
    field = rb'(?:[^"%b\x00-\x08\n-\x1f]++|%b|)' % (separator, _QUOTED)
    row = rb"%b(?:%b%b){%d}" % (field, re.escape(separator), field, len(header.columns) - 1)
    sound_rows = re.compile(rb"(?:(?:%b)?+\r?\n)*+" % row)
    rest, n_records, is_sound = b"", 0, True
    rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    extra = rows.copy()
    for chunk in chunks:  # exhausts the chunks, since their iterator checks them too; the last is empty
        if not is_sound:
            continue
        rest += chunk or b"\n" * bool(rest)
        n_bytes = sound_rows.match(rest).end()  # type: ignore[union-attr]
        whole, rest = rest[:n_bytes], rest[n_bytes:]
        if b'"' in whole:
            codes = np.frombuffer(whole, dtype=np.uint8)
            is_end, is_inside = codes == ord("\n"), np.cumsum(codes == ord('"'), dtype=np.uint8) % 2 == 1
            ends, inner = np.flatnonzero(is_end & ~is_inside), np.flatnonzero(is_end & is_inside)
            long_rows, n_further = np.unique(np.searchsorted(ends, inner), return_counts=True)
            rows.append(long_rows + n_records)
            extra.append(n_further)
            n_records -= len(inner)
        n_records += whole.count(b"\n")
        is_sound = len(rest) <= (MAX_ROW_BYTES if chunk else 0)
    before = header.n_before + 1
    return count_lines(before + 1, np.concatenate(rows) - before, np.concatenate(extra)) if is_sound else None


def _read_rows(lines: Iterator[str], header: Header) -> Iterator[Record]:
    """Parse rows one by one; an unclosed quote invalidates only its own line, not the lines it runs over."""
    returned: list[str] = []
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while line := returned.pop() if returned else next(lines, ""):
            taken.append(line)
            yield line

    reader = csv.reader(feed(), delimiter=header.separator, strict=True)
    is_header = True
    while True:
        taken.clear()
        may_belong_to_quote = bool(returned)
        fields: list[str] | None = None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            reader = csv.reader(feed(), delimiter=header.separator, strict=True)
        whole = "".join(taken)
        fault: Fault | None = None
        if fields is None or (may_belong_to_quote and whole.count('"') % 2):
            returned += reversed(taken[1:])
            del taken[1:]
            fields, fault = [], (*_UNCLOSED, "")
        elif not any(value.strip() for value in fields):
            fields = []
        elif control := _CONTROL.search(whole):
            fault = "hold control characters", "remove them", f", U+{ord(control[0]):04X}"
        elif len(fields) != len(header.columns):
            fault = (
                f"have another number of fields than the header's {len(header.columns)}",
                f"put quotes around text that has {SEPARATORS[header.separator]}, and leave no field out",
                f", with {len(fields)}",
            )
        if fields and (is_header or not fault):
            is_header = False
            quoted = (value and '"' + value.replace('"', '""') + '"' for value in fields)
            is_plain = whole.endswith("\n") and '"' not in whole
            yield list(taken), whole if is_plain else f"{header.separator.join(quoted)}\n", None
        else:
            yield list(taken), "", fault
