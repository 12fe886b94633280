"""Text files with separators, as programs write them: looked through for what Polars would misread, and opened."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from firstday.data.contents import EMPTY, Lines, NotUtf8Error, check_utf8, open_text
from firstday.data.find_tables import TableFile
from firstday.data.findings import Findings, SourceFile
from firstday.data.raw_table import ROW, RawFile
from firstday.data.schema import TABLES, note_pandas_index
from firstday.errors import count_of

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_SHOWN = 80
"""Characters of a line that a message shows."""
MAX_ROW_BYTES = 2**26
"""A longer row has a quote that is not closed."""
_CR, _LF, _QUOTE, _TAB, _FIRST_PRINTED = 13, 10, 34, 9, 32
_NONE = np.empty(0, dtype=np.int64)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def scan_text(path: Path, file: TableFile, table: str, number: int, findings: Findings) -> RawFile | None:
    """Open a text file for reading in batches, every column as String.

    Where Polars would misread it (quotes inside of text, another encoding, rows to be left out) it opens a copy, which
    has every row on the line where it was.

    Parameters
    ----------
    path
        Where it is.
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
        Its rows; None where there is a fault.

    Raises
    ------
    OSError, EOFError, zlib.error
        It is damaged.
    """
    text = open_text(path, file, findings)
    if text is None:
        return None
    header = find_header(next(text.read(), b""), table, prefer_tabs=file.is_tab_separated)
    try:
        lines = look_through(check_utf8(text.read), header.separator, len(header.columns))
    except NotUtf8Error as error:
        findings.fault(f"{file.name}: {error}")
        return None
    faults = header.find_faults(table)
    for fault in faults:
        findings.fault(f"{file.name}: {fault}")
    if faults:
        return None
    if lines is None:
        content = text.read()
        with text.replace() as copy:
            lines = _copy_rows(file.name, table, header, content, copy, findings)
        if lines is None:
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
    return RawFile(rows, SourceFile(file.name, lines, number), text.folder)


@dataclass(frozen=True)
class Header:
    """The first line with text.

    Parameters
    ----------
    separator
        The one between columns.
    columns
        Their names; none where the line has a quote that is not closed.
    line
        The line, "" where there is none.
    """

    separator: str
    columns: list[str]
    line: str

    @property
    def has_index(self) -> bool:
        """Whether the first column has no name: pandas writes the index of a table so."""
        return bool(self.columns) and not self.columns[0].strip()

    def find_faults(self, table: str) -> list[str]:
        """Return what is wrong, each after the file's name."""
        if not self.line:
            return [EMPTY]
        if not self.columns:
            return [f"the header has a quote that is not closed ({shorten(self.line)!r}); close it."]
        if "::" in self.line:
            return ["columns are separated by '::', which is not read; separate them by commas."]
        rule = TABLES[table]
        if not {_simplify(name) for name in self.columns} & {_simplify(name) for name in rule.kinds}:
            if len(self.columns) > 1 and all(name.strip().isidentifier() for name in self.columns):
                names = f"{', '.join(rule.required)} (found: {shorten(', '.join(self.columns))})"
                return [f"the first line names no column of {table}; rename its columns: {names}."]
            names = " and ".join(rule.required)
            return [
                f"the first line names no column of {table} ({shorten(self.line)!r}); put a header there, with {names}."
            ]
        faults = []
        nameless = [number for number, name in enumerate(self.columns, 1) if number > 1 and not name.strip()]
        if nameless:
            faults.append(
                f"column {nameless[0]} of the header has no name; name it, or leave it out (with pandas: "
                "to_csv(..., index=False))."
            )
        repeated = [name for name, n in Counter(self.columns).items() if n > 1 and name.strip()]
        return faults + [f"has the column {name} more than once; keep one of them." for name in repeated]


def find_header(chunk: bytes, table: str, *, prefer_tabs: bool = False) -> Header:
    """Find the separator and the names in the header.

    The separator is the one under which the columns that the table must have are among the names, or else the one that
    makes the most columns.

    Parameters
    ----------
    chunk
        The beginning of the file.
    table
        The table's name.
    prefer_tabs
        Whether the file's name says that tabs separate the columns.
    """
    text = chunk.decode("utf-8-sig", errors="replace")
    first = re.search(r"[^\r\n]+", text)
    if first is None:
        return Header(",", [], "")
    required = {_simplify(name) for name in TABLES[table].required}
    best, best_rank = Header(",", [], first[0]), (False, False, 0)
    for separator in SEPARATORS:
        try:
            columns = next(csv.reader(io.StringIO(text[first.start() :], newline=""), delimiter=separator, strict=True))
        except csv.Error:
            continue
        rank = (required <= {_simplify(name) for name in columns}, prefer_tabs and separator == "\t", len(columns))
        if rank > best_rank:
            best, best_rank = Header(separator, columns, first[0]), rank
    return best


def _simplify(name: str) -> str:
    """Return a name as it is compared: ``userid`` for ``User_ID``."""
    return re.sub(r"[\W_]", "", name.lower())


def shorten(line: str) -> str:
    """Return the beginning of a line, for messages."""
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}..."


def look_through(chunks: Iterator[bytes], separator: str, n_columns: int) -> Lines | None:
    """Look at the structure of a file, quickly.

    Parameters
    ----------
    chunks
        Its bytes; all are read in any case.
    separator, n_columns
        What every row must have.

    Returns
    -------
    Lines
        Where the rows begin. None where something may be wrong: a row with another number of fields, quotes inside of
        text or not closed, control characters, other line ends.
    """
    rest, n_records, at_end = b"", 0, False
    rows, extra = [_NONE], [_NONE]
    n_leading: int | None = None
    line = separator.encode() * (n_columns - 1)
    plain = (line + b"\n", line + b"\r\n")
    told_apart = {ord(separator), _QUOTE, *range(_FIRST_PRINTED)} - ({_TAB} - {ord(separator)})
    unimportant = bytes(set(range(256)) - told_apart)
    for chunk in chunks:
        at_end = not chunk
        piece = rest + chunk
        if at_end and piece and not piece.endswith(b"\n"):
            piece += b"\n"
        if n_leading is None:
            piece = piece.removeprefix(codecs.BOM_UTF8)
            blank = re.match(rb"(\r?\n)*", piece)
            n_leading = 0 if blank is None else blank[0].count(b"\n")
        end = piece.rfind(b"\n") + 1
        structure = piece[:end].translate(None, unimportant)
        form = next((form for form in plain if structure == form * (len(structure) // len(form))), None)
        if form is None or (form is plain[1] and piece.count(b"\r\n") < len(structure) // len(form)):
            look = _look_closer(piece, ord(separator), n_columns)
        else:
            look = _Look(end, len(structure) // len(form), _NONE, _NONE)
        if look is None or len(piece) - look.n_bytes > (0 if at_end else MAX_ROW_BYTES):
            for _ in chunks:
                pass
            return None
        rows.append(look.long_rows + n_records)
        extra.append(look.extra)
        n_records += look.n_records
        rest = piece[look.n_bytes :]
    before = (n_leading or 0) + 1  # records before row 0
    return Lines.of(before + 1, np.concatenate(rows) - before, np.concatenate(extra))


@dataclass(frozen=True, eq=False)
class _Look:
    """The structure of a piece of a file.

    Parameters
    ----------
    n_bytes, n_records
        How much of it is whole rows, and how many.
    long_rows, extra
        int64: the rows of more than one line, and how many lines more.
    """

    n_bytes: int
    n_records: int
    long_rows: np.ndarray
    extra: np.ndarray


def _look_closer(piece: bytes, separator: int, n_columns: int) -> _Look | None:
    """Look at a piece that has quotes or blank lines; None where something may be wrong."""
    codes = np.frombuffer(piece, dtype=np.uint8)
    is_quote = codes == _QUOTE
    inside = (np.cumsum(is_quote, dtype=np.uint8) & 1).astype(bool)
    is_end = codes == _LF
    ends = np.flatnonzero(is_end & ~inside)
    n_bytes = int(ends[-1]) + 1 if len(ends) else 0
    padded = np.frombuffer(b"\n" + piece + b"\n", dtype=np.uint8)
    quotes = np.flatnonzero(is_quote)
    before, after = padded[quotes[0::2]], padded[quotes[1::2] + 2]
    returns = np.flatnonzero((codes == _CR) & ~inside)
    n_controls = np.count_nonzero(codes < _FIRST_PRINTED) - sum(
        np.count_nonzero(codes == code) for code in (_CR, _LF, _TAB)
    )
    separators = np.flatnonzero((codes == separator) & ~inside)
    n_separators = np.diff(np.searchsorted(separators, ends), prepend=0)
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    is_blank = (ends == starts) | ((ends == starts + 1) & (codes[starts] == _CR))
    if (
        n_controls
        or not np.isin(before, (separator, _LF, _QUOTE)).all()
        or not np.isin(after, (separator, _LF, _CR, _QUOTE)).all()
        or not (padded[returns + 2] == _LF).all()
        or not ((n_separators == n_columns - 1) | is_blank).all()
    ):
        return None
    inner = np.flatnonzero(is_end[:n_bytes] & inside[:n_bytes])
    long_rows, extra = np.unique(np.searchsorted(ends, inner), return_counts=True)
    return _Look(n_bytes, len(ends), long_rows, extra)


@dataclass(frozen=True)
class _Record:
    """A row as it stands in the file.

    Parameters
    ----------
    line
        Its first line, from 1.
    text
        Its lines.
    fields
        Its values; None where a quote is not closed, or text comes after a quote.
    """

    line: int
    text: list[str]
    fields: list[str] | None


class _LineFeed:
    """Hands lines to the csv module, and takes back those that it should not have taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._returned = lines, list[str]()
        self.taken: list[str] = []

    def __iter__(self) -> _LineFeed:
        return self

    def __next__(self) -> str:
        line = self._returned.pop() if self._returned else next(self._lines)
        self.taken.append(line)
        return line

    def give_back(self, lines: list[str]) -> None:
        """Take lines back, to hand them out again."""
        self._returned += reversed(lines)


def _read_records(chunks: Iterator[bytes], separator: str) -> Iterator[_Record]:
    """Read rows one by one; a quote that is not closed spoils its own line, not those that it runs over."""
    feed = _LineFeed(_read_lines(chunks))
    reader = csv.reader(feed, delimiter=separator, strict=True)
    line, last_doubtful = 1, 0
    while True:
        feed.taken = []
        fields: list[str] | None = None
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            last_doubtful = max(last_doubtful, line + len(feed.taken) - 1)
            feed.give_back(feed.taken[1:])
            feed.taken = feed.taken[:1]
        if line <= last_doubtful and sum(text.count('"') for text in feed.taken) % 2:
            feed.give_back(feed.taken[1:])
            feed.taken, fields = feed.taken[:1], None
        yield _Record(line, feed.taken, fields)
        line += len(feed.taken)


def _read_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Read lines with their ends; a carriage return alone ends a line too."""
    decoder, rest = codecs.getincrementaldecoder("utf-8-sig")(), ""
    for chunk in chunks:
        lines = io.StringIO(rest + decoder.decode(chunk), newline="").readlines()
        rest = lines.pop() if lines else ""
        yield from lines
    if rest:
        yield rest


@dataclass
class _BadRows:
    """Rows of a file with the same fault.

    Parameters
    ----------
    reason, advice
        What is wrong with them, and what to do.
    first
        The place of the first one, and what it has there.
    n
        How many there are.
    """

    reason: str
    advice: str
    first: str
    n: int = 0


def _judge(record: _Record, header: Header) -> _BadRows | None:
    """Find out what is wrong with a row; None where it is whole."""
    n_columns, place = len(header.columns), f"line {record.line:,}"
    control = _CONTROL.search("".join(record.text))
    if record.fields is None:
        return _BadRows(
            "have a quote that is not closed, or text after a quote",
            "close it, put quotes around the whole text, and write a quote inside of it twice",
            place,
        )
    if control is not None:
        return _BadRows("hold control characters", "remove them", f"{place}, U+{ord(control[0]):04X}")
    if len(record.fields) != n_columns:
        return _BadRows(
            f"have another number of fields than the header's {n_columns}",
            f"put quotes around text that has {SEPARATORS[header.separator]}, and leave no field out",
            f"{place}, with {len(record.fields)}",
        )
    return None


def _copy_rows(
    name: str, table: str, header: Header, chunks: Iterator[bytes], place: IO[bytes], findings: Findings
) -> Lines | None:
    """Read a file row by row, find the bad ones, and copy the others for Polars, every row on its line.

    Returns
    -------
    Lines
        Where the rows begin; None where there are faults.
    """
    copy = io.TextIOWrapper(place, encoding="utf-8", newline="")
    writer = csv.writer(copy, delimiter=header.separator, lineterminator="\n")
    n_rows, n_records, first = 0, 0, 0
    long_rows: list[tuple[int, int]] = []
    faults: dict[str, _BadRows] = {}
    for record in _read_records(chunks, header.separator):
        is_blank = record.fields is not None and not any(value.strip() for value in record.fields)
        is_header = not (first or is_blank)
        n_rows += not (is_blank or is_header)
        bad = None if is_blank or is_header else _judge(record, header)
        if bad is not None:
            faults.setdefault(bad.reason, bad).n += 1
            if findings.drop:
                text = "".join(record.text).rstrip("\r\n")
                findings.leave_out_unread(table, f"{name} line {record.line:,}", bad.reason, text)
        if faults and not findings.drop:
            continue
        if is_blank or bad is not None or record.fields is None:
            copy.write("\n" * len(record.text))
            n_records += len(record.text)
            continue
        writer.writerow(record.fields)
        if len(record.text) > 1:
            long_rows.append((n_records, len(record.text) - 1))
        n_records += 1
        first = first or n_records
    copy.detach()
    for bad in faults.values():
        counted = f"{name}: {count_of(bad.n, n_rows, 'rows')} {bad.reason} (first: {bad.first})"
        if findings.drop:
            findings.note(f"{counted}; left out.")
        else:
            findings.fault(f"{counted}; {bad.advice}.")
    if faults and not findings.drop:
        return None
    rows, extra = np.array(long_rows, dtype=np.int64).reshape(-1, 2).T
    return Lines.of(first + 1, rows - first, extra)
