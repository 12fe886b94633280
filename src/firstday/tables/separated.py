"""Text with separators, checked for what Polars would misread, and opened."""

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
"""Characters of a line that a message shows."""
MAX_ROW_BYTES = 2**26
"""A longer row has a quote that is not closed."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_QUOTED = rb'"(?:[^"\x00-\x08\x0b\x0c\x0e-\x1f]++|"")*+"'
_UNCLOSED = (
    "have a quote that is not closed, or text after a quote",
    "close it, put quotes around the whole text, and write a quote inside of it twice",
)


def scan_text(text: Text, findings: Findings) -> tuple[pl.LazyFrame, LineOf]:
    """Open a text file for reading in batches, every column as String; return also the lines of its rows.

    Where Polars would misread it (quotes inside text, another encoding, rows to be left out) it opens a copy, which
    has every row on the same line.

    Parameters
    ----------
    text
        The file.
    findings
        Gets the faults and notes.

    Raises
    ------
    UnreadableError
        It has faults.
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
    if not header.columns[0].strip():  # pandas writes the index of a table so
        note_pandas_index(text.table, "", findings)
        scan = scan.drop(header.columns[0])
    return scan.filter(~pl.all_horizontal(pl.exclude(ROW).is_null())), line_of  # without blank lines


@dataclass(frozen=True)
class Header:
    """The first line with text.

    Parameters
    ----------
    separator, columns
        What separates the columns, and their names.
    n_before
        How many blank lines precede it.
    """

    separator: str
    columns: list[str]
    n_before: int


def find_header(chunk: bytes, table: str) -> Header:
    """Find the separator and the names in the header at the beginning of a file.

    The separator is the one that makes columns of all required names, or else the most columns.

    Raises
    ------
    UnreadableError
        It is not the header of the table.
    """
    text = chunk.decode(errors="ignore")  # which may end within a character
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
    """Find the lines of a file's rows, quickly.

    Returns
    -------
    LineOf
        None where something may be wrong: a row with another number of fields, quotes inside text or not closed,
        control characters, other line ends.
    """
    separator = header.separator.encode()
    field = rb'(?:[^"%b\x00-\x08\n-\x1f]++|%b|)' % (separator, _QUOTED)
    row = rb"%b(?:%b%b){%d}" % (field, re.escape(separator), field, len(header.columns) - 1)
    sound_rows = re.compile(rb"(?:(?:%b)?+\r?\n)*+" % row)
    rest, n_records, is_sound = b"", 0, True
    rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    extra = rows.copy()
    for chunk in chunks:  # all of them, since their reader checks them too; the last is empty
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
    """Read rows one by one; a quote that is not closed spoils its own line, not those that it runs over."""
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
