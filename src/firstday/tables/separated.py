"""Text with separators, checked for what Polars would misread, and opened."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from firstday.errors import count_of
from firstday.tables.faults import MAX_LISTED, ROW, Findings, SourceFile
from firstday.tables.find import TableFile
from firstday.tables.schema import TABLES, fold_name, note_pandas_index
from firstday.tables.text import EMPTY, Lines, NotUtf8Error, Text, check_utf8, open_text

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_SHOWN = 80
"""Characters of a line that a message shows."""
MAX_ROW_BYTES = 2**26
"""A longer row has a quote that is not closed."""
_CR, _LF, _QUOTE, _FIRST_PRINTED = 13, 10, 34, 32
_NO_ROWS = np.empty(0, dtype=np.int64)
_BLANK_LINE = re.compile(rb"^\n", re.MULTILINE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_PRINTED = bytes([*b"\t\n\r", *range(_FIRST_PRINTED, 256)])


def scan_text(path: Path, file: TableFile, table: str, findings: Findings) -> tuple[pl.LazyFrame, SourceFile] | None:
    """Open a text file for reading in batches, every column as String; None where there is a fault.

    Where Polars would misread it (quotes inside text, another encoding, rows to be left out) it opens a copy, which
    has every row on the same line.

    Parameters
    ----------
    path, file
        Where it is, and what its name says.
    table
        The table whose rows it holds.
    findings
        Gets the faults and notes.

    Raises
    ------
    OSError, EOFError, zlib.error, ZstdError
        It is damaged.
    """
    text = open_text(path, file, findings)
    if text is None:
        return None
    header = find_header(next(text.chunks()), table)
    try:
        lines = check_structure(check_utf8(text.chunks()), header)
    except NotUtf8Error as error:
        findings.fault(f"{file.name}: {error}")
        return None
    faults = header.find_faults(table)
    for fault in faults:
        findings.fault(f"{file.name}: {fault}")
    if not faults and lines is None:
        lines = _copy_rows(text, file.name, table, header, findings)
    if lines is None or faults:
        return None
    scan = pl.scan_csv(
        text.path,
        separator=header.separator,
        new_columns=header.columns,
        infer_schema=False,
        glob=False,
        row_index_name=ROW,
    )
    scan.collect_schema()
    if header.has_index:
        note_pandas_index(table, "", findings)
        scan = scan.drop(header.columns[0])
    rows = scan.filter(~pl.all_horizontal(pl.exclude(ROW).is_null()))  # blank lines
    return rows, SourceFile(file.name, lines, text.folder)


@dataclass(frozen=True)
class Header:
    """The first line with text.

    Parameters
    ----------
    separator, columns
        What separates the columns, and their names; none where the line has a quote that is not closed.
    line
        The line, "" where there is none.
    n_before
        How many blank lines precede it.
    """

    separator: str
    columns: list[str]
    line: str = ""
    n_before: int = 0

    @property
    def has_index(self) -> bool:
        """Whether the first column has no name: pandas writes the index of a table so."""
        return bool(self.columns) and not self.columns[0].strip()

    def find_faults(self, table: str) -> list[str]:
        """Return what is wrong, each after the file's name."""
        if not self.line:
            return [EMPTY]
        line = f"{self.line[:MAX_SHOWN]}..." if len(self.line) > MAX_SHOWN else self.line
        if not self.columns:
            return [f"the header has a quote that is not closed ({line!r}); close it."]
        if not set(map(fold_name, self.columns)) & set(map(fold_name, TABLES[table].kinds)):
            names = " and ".join(TABLES[table].required)
            return [f"the first line names no column of {table} ({line!r}); put a header there, with {names}."]
        nameless = [number for number, name in enumerate(self.columns, 1) if number > 1 and not name.strip()]
        faults = [
            f"column {number} of the header has no name; name it, or leave it out (with pandas: "
            "to_csv(..., index=False))."
            for number in nameless[:1]
        ]
        repeated = [name for name, n in Counter(self.columns).items() if n > 1 and name.strip()]
        return faults + [f"has the column {name} more than once; keep one of them." for name in repeated]


def find_header(chunk: bytes, table: str) -> Header:
    """Find the separator and the names in the header at the beginning of a file.

    The separator is the one that makes columns of all required names, or else the most columns.
    """
    text = chunk.decode(errors="replace")
    first = re.search(r"[^\r\n]+", text)
    if first is None:
        return Header(",", [])
    n_before, begin = text.count("\n", 0, first.start()), text[first.start() :]
    required = set(map(fold_name, TABLES[table].required))
    best, best_rank = Header(",", [], first[0], n_before), (False, 0)
    for separator in SEPARATORS:
        try:
            columns = next(csv.reader(io.StringIO(begin, newline=""), delimiter=separator, strict=True))
        except csv.Error:
            continue
        rank = (required <= set(map(fold_name, columns)), len(columns))
        if rank > best_rank:
            best, best_rank = Header(separator, columns, first[0], n_before), rank
    return best


def check_structure(chunks: Iterable[bytes], header: Header) -> Lines | None:
    """Check all rows of a file, quickly.

    Returns
    -------
    Lines
        The lines of its rows. None where something may be wrong: a row with another number of fields, quotes inside
        text or not closed, control characters, other line ends.
    """
    rest, n_records, is_sound = b"", 0, True
    rows, extra = [_NO_ROWS], [_NO_ROWS]
    for chunk in chunks:  # all of them, since their reader checks them too; the last is empty
        piece = rest + (chunk or b"\n" * bool(rest))
        look = _look_through(piece, header) if is_sound else None
        if look is None or len(piece) - look.n_bytes > (MAX_ROW_BYTES if chunk else 0):
            is_sound, rest = False, b""
            continue
        rows.append(look.long_rows + n_records)
        extra.append(look.extra)
        n_records += look.n_records
        rest = piece[look.n_bytes :]
    before = header.n_before + 1
    return Lines.of(before + 1, np.concatenate(rows) - before, np.concatenate(extra)) if is_sound else None


@dataclass(frozen=True, eq=False)
class _Look:
    """The structure of a piece of a file.

    Parameters
    ----------
    n_bytes, n_records
        How much of it is whole rows, and how many; a blank line is one.
    long_rows, extra
        int64: the rows of more than one line, and how many lines more.
    """

    n_bytes: int
    n_records: int
    long_rows: np.ndarray
    extra: np.ndarray


def _look_through(piece: bytes, header: Header) -> _Look | None:
    """Look at the structure of a piece; None where something may be wrong."""
    separator, n_bytes, outside = header.separator.encode(), piece.rfind(b"\n") + 1, piece
    long_rows, extra = _NO_ROWS, _NO_ROWS
    if b'"' in piece:
        codes = np.frombuffer(b"\n" + piece + b"\n", dtype=np.uint8)
        quotes = np.flatnonzero(codes == _QUOTE)
        before, after = codes[quotes[0::2] - 1], codes[quotes[1::2] + 1]
        sound_before, sound_after = (separator[0], _LF, _QUOTE), (separator[0], _LF, _CR, _QUOTE)
        are_closed = np.isin(before, sound_before).all() and np.isin(after, sound_after).all()
        if not are_closed or piece.translate(None, _PRINTED):
            return None
        inside = (np.cumsum(codes == _QUOTE, dtype=np.uint8) & 1).astype(bool)[1:-1]
        is_end = codes[1:-1] == _LF
        ends = np.flatnonzero(is_end & ~inside)
        n_bytes = int(ends[-1]) + 1 if len(ends) else 0
        inner = np.flatnonzero(is_end[:n_bytes] & inside[:n_bytes])
        long_rows, extra = np.unique(np.searchsorted(ends, inner), return_counts=True)
        outside = codes[1:][:n_bytes][~inside[:n_bytes]].tobytes()
    outside = outside[:n_bytes]
    plain = separator * (len(header.columns) - 1) + b"\n"
    others = bytes(set(range(_FIRST_PRINTED, 256)) - {separator[0]}) + b"\t".replace(separator, b"")
    structure = outside.translate(None, others)
    if structure != plain * (len(structure) // len(plain)):
        without_blank = _BLANK_LINE.sub(b"", outside.replace(b"\r\n", b"\n"))
        structure = without_blank.translate(None, others)
    if structure != plain * (len(structure) // len(plain)):
        return None
    return _Look(n_bytes, outside.count(b"\n"), long_rows, extra)


def _read_records(lines: Iterator[str], separator: str) -> Iterator[tuple[list[str], list[str] | None]]:
    """Read rows one by one: the lines of each, and its values, None where a quote is wrong.

    A quote that is not closed spoils its own line, not those that it runs over.
    """
    returned: list[str] = []
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while line := returned.pop() if returned else next(lines, ""):
            taken.append(line)
            yield line

    reader = csv.reader(feed(), delimiter=separator, strict=True)
    n_doubtful = 0
    while True:
        taken.clear()
        fields: list[str] | None = None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            n_doubtful = max(n_doubtful, len(taken))
            reader = csv.reader(feed(), delimiter=separator, strict=True)
        if fields is None or (n_doubtful > 0 and sum(text.count('"') for text in taken) % 2):
            returned += reversed(taken[1:])
            del taken[1:]
            fields = None
        n_doubtful -= len(taken)
        yield list(taken), fields


def _find_fault(text: str, fields: list[str] | None, header: Header) -> tuple[str, str, str] | None:
    """Return what is wrong with a row, what to do, and what to show of it; None where it is whole."""
    if fields is None:
        return (
            "have a quote that is not closed, or text after a quote",
            "close it, put quotes around the whole text, and write a quote inside of it twice",
            "",
        )
    if control := _CONTROL.search(text):
        return "hold control characters", "remove them", f", U+{ord(control[0]):04X}"
    if len(fields) != len(header.columns):
        return (
            f"have another number of fields than the header's {len(header.columns)}",
            f"put quotes around text that has {SEPARATORS[header.separator]}, and leave no field out",
            f", with {len(fields)}",
        )
    return None


def _copy_rows(text: Text, name: str, table: str, header: Header, findings: Findings) -> Lines | None:
    """Read a file row by row, find the bad ones, and copy the others for Polars, every row on its line.

    Returns
    -------
    Lines
        The lines of the rows; None where there are faults.
    """
    n_rows, n_records, line, before = 0, 0, 1, 0
    long_rows: list[tuple[int, int]] = []
    faults: dict[tuple[str, str], str] = {}
    n_bad: Counter[str] = Counter()
    unread: list[tuple[str, str, str]] = []
    with text.lines() as content, text.replace() as copy:
        writer = csv.writer(copy, delimiter=header.separator, lineterminator="\n")
        for lines, fields in _read_records(iter(content), header.separator):
            is_blank = fields is not None and not any(value.strip() for value in fields)
            fault = None
            if before and not is_blank:
                n_rows += 1
                fault = _find_fault("".join(lines), fields, header)
            if fault is not None:
                faults.setdefault(fault[:2], f"line {line:,}{fault[2]}")
                n_bad[fault[0]] += 1
                if len(unread) < MAX_LISTED:
                    unread.append((f"{name} line {line:,}", fault[0], "".join(lines).rstrip("\r\n")))
            if is_blank or fault is not None or fields is None:
                copy.write("\n" * len(lines))
                n_records += len(lines)
            else:
                writer.writerow(fields)
                if len(lines) > 1:
                    long_rows.append((n_records, len(lines) - 1))
                n_records += 1
                before = before or n_records
            line += len(lines)
    if findings.drop:
        findings.leave_out_unread(table, n_bad.total(), unread)
    for (reason, advice), first in faults.items():
        counted = f"{name}: {count_of(n_bad[reason], n_rows, 'rows')} {reason} (first: {first})"
        if findings.drop:
            findings.note(f"{counted}; left out.")
        else:
            findings.fault(f"{counted}; {advice}.")
    if faults and not findings.drop:
        return None
    rows, extra = np.array(long_rows, dtype=np.int64).reshape(-1, 2).T
    return Lines.of(before + 1, rows - before, extra)
