"""Text files as UTF-8: decompressed, decoded and checked, with row locations and unparseable rows."""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from firstday.tables.faults import MAX_LISTED, NOWHERE, Findings, Found, LeftOut
from firstday.tables.find import Packing, TableFile
from firstday.tables.zstd import DecompressionParameter, ZstdFile

CHUNK_BYTES = 2**22
EMPTY = "is empty; write rows, or remove it."
_MARKS = {  # the mark of UTF-16 is a prefix of that of UTF-32, so UTF-32 comes first
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZSTD_OPTIONS: Mapping[int, int] = {DecompressionParameter.window_log_max: 31}
LineOf = Callable[[int], int]
"""Maps a row index to the line on which it begins, from 1."""
Fault = tuple[str, str, str]
"""Finding, advice, and suffix of the location of the first row with it."""
Record = tuple[list[str], str, Fault | None]
"""Original lines, text to read instead ("" for blank lines and bad rows), and the fault, if any."""


class UnreadableError(Exception):
    """A file cannot be read; the arguments are faults without the file name, if not among the findings already."""


def count_lines(first: int, rows: np.ndarray, extra: np.ndarray) -> LineOf:
    """Return the function that maps a row index to its line.

    Parameters
    ----------
    first
        Line of row 0, ignoring `extra`.
    rows, extra
        Rows followed by further lines (blank, or part of the row), ascending, and the number of these lines: int64.
    """
    n_further = np.concatenate([[0], np.cumsum(extra)])
    return lambda row: first + row + int(n_further[np.searchsorted(rows, row)])


@dataclass(eq=False)
class Text:
    """A text file, or the copy that is read instead.

    Parameters
    ----------
    path, packing
        Path and compression.
    name, table
        Name in messages, and the table whose rows the file holds.
    folder
        Temporary folder of the copy; deleted together with this object.
    """

    path: Path
    packing: Packing
    name: str
    table: str
    folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> IO[bytes]:
        """Open for reading bytes, decompressed."""
        if self.packing == "zstd":
            return cast("IO[bytes]", ZstdFile(self.path, options=_ZSTD_OPTIONS))
        return cast("IO[bytes]", gzip.open(self.path)) if self.packing == "gzip" else self.path.open("rb")

    def lines(self, encoding: str = "utf-8") -> io.TextIOWrapper:
        """Open for reading line by line; lines keep their ends, which may be a lone carriage return."""
        return io.TextIOWrapper(self.open(), encoding, newline="")

    def chunks(self) -> Iterator[bytes]:
        """Yield chunks of `CHUNK_BYTES`."""
        with self.open() as content:
            yield from iter(lambda: content.read(CHUNK_BYTES), b"")

    def blocks(self) -> Iterator[bytes]:
        """Yield chunks of whole lines, about `CHUNK_BYTES` each."""
        with self.open() as content:
            yield from iter(lambda: b"".join(content.readlines(CHUNK_BYTES)), b"")

    @contextmanager
    def replace(self) -> Iterator[IO[str]]:
        """Write a copy; later reads use it."""
        folder = tempfile.TemporaryDirectory(prefix="firstday-")
        path = Path(folder.name) / "copy"
        with path.open("w", encoding="utf-8", newline="") as copy:
            yield copy
        self.path, self.packing, self.folder = path, "", folder


def open_text(path: Path, file: TableFile, table: str) -> Text:
    """Open a non-empty text file; one with a byte-order mark is copied to UTF-8 without it."""
    text = Text(path, file.packing, file.name, table)
    head = next(text.chunks(), b"")
    if not head:
        raise UnreadableError(EMPTY)
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        return text
    try:
        with text.lines(encoding) as content, text.replace() as copy:
            shutil.copyfileobj(content, copy)
    except UnicodeError:
        name = encoding.removesuffix("-sig").upper()
        raise UnreadableError(f"is not {name} as its beginning says, or is cut off; save it as UTF-8.") from None
    return text


def check_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks and a final empty one; raise UnreadableError if they are not UTF-8."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for chunk in itertools.chain(chunks, [b""]):
        if decoder.getstate()[0] or not chunk.isascii():
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                advice = "save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8"
                advice = "export the table as text in UTF-8" if b"\0" in chunk else advice
                byte = error.object[error.start]
                raise UnreadableError(f"is not UTF-8 (first: line {line:,}, byte 0x{byte:02X}); {advice}.") from None
        line += chunk.count(b"\n")
        yield chunk


def copy_rows(
    text: Text, read: Callable[[Iterator[str]], Iterator[Record]], n_headers: int, findings: Findings
) -> bool:
    """Copy the readable rows of a text file, keeping line numbers; return whether the file can be used.

    `read` parses its lines; the first `n_headers` records are not rows.
    """
    counts: Counter[tuple[str, str]] = Counter()
    firsts: dict[tuple[str, str], str] = {}
    left_out: list[LeftOut] = []
    n_rows, line = -n_headers, 1
    with text.lines() as content, text.replace() as copy:
        for lines, kept, fault in read(iter(content)):
            copy.write(kept + "\n" * (len(lines) - kept.count("\n")))
            n_rows += bool(kept or fault)
            if fault:
                counts[fault[:2]] += 1
                firsts.setdefault(fault[:2], f"line {line:,}{fault[2]}")
                if len(left_out) < MAX_LISTED:
                    row = json.dumps("".join(lines).strip("\r\n"), ensure_ascii=False)
                    left_out.append((text.table, text.name, line, row, [fault[0]]))
            line += len(lines)
    for (finding, advice), n in counts.items():
        first = (NOWHERE, 0, firsts[finding, advice])
        findings.add(Found(text.name, finding, advice, n=n, n_rows=n_rows, first=first, file_of=text.table))
    if findings.drop:
        findings.leave_out_unread(text.table, counts.total(), left_out)
    return findings.drop or not counts
