"""Text files as UTF-8: unpacked, decoded and checked; the lines of their rows, and rows that cannot be read."""

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
_MARKS = {  # that of UTF-16 is the beginning of that of UTF-32
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZSTD_OPTIONS: Mapping[int, int] = {DecompressionParameter.window_log_max: 31}
LineOf = Callable[[int], int]
"""Returns the line, from 1, on which a row begins."""
Fault = tuple[str, str, str]
"""What is wrong with a row, what to do, and what to show of the first one."""
Record = tuple[list[str], str, Fault | None]
"""Lines as they are, and as they are to be read: "" for blank lines and rows with a fault."""


class UnreadableError(Exception):
    """A file cannot be read; the arguments are the faults after the file's name, if they are not among the findings."""


def count_lines(first: int, rows: np.ndarray, extra: np.ndarray) -> LineOf:
    """Make the function that returns the line of a row.

    Parameters
    ----------
    first
        The line of row 0, if there were no further lines.
    rows, extra
        int64, ascending: the rows followed by further lines, which are blank or parts of the row, and how many.
    """
    n_further = np.concatenate([[0], np.cumsum(extra)])
    return lambda row: first + row + int(n_further[np.searchsorted(rows, row)])


@dataclass(eq=False)
class Text:
    """A text file, or the copy that is read in its place.

    Parameters
    ----------
    path, packing
        Where it is, and how it is compressed.
    name, table
        What messages call it, and the table whose rows it holds.
    folder
        The folder of the copy, which is removed with this.
    """

    path: Path
    packing: Packing
    name: str
    table: str
    folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> IO[bytes]:
        """Open it for reading, unpacked."""
        if self.packing == "zstd":
            return cast("IO[bytes]", ZstdFile(self.path, options=_ZSTD_OPTIONS))
        return cast("IO[bytes]", gzip.open(self.path)) if self.packing == "gzip" else self.path.open("rb")

    def lines(self, encoding: str = "utf-8") -> io.TextIOWrapper:
        """Open it for reading line by line; each keeps its end, which may be a carriage return alone."""
        return io.TextIOWrapper(self.open(), encoding, newline="")

    def chunks(self) -> Iterator[bytes]:
        """Read it some megabytes at a time."""
        with self.open() as content:
            yield from iter(lambda: content.read(CHUNK_BYTES), b"")

    def blocks(self) -> Iterator[bytes]:
        """Read it some megabytes of whole lines at a time."""
        with self.open() as content:
            yield from iter(lambda: b"".join(content.readlines(CHUNK_BYTES)), b"")

    @contextmanager
    def replace(self) -> Iterator[IO[str]]:
        """Write a copy to be read from then on."""
        folder = tempfile.TemporaryDirectory(prefix="firstday-")
        path = Path(folder.name) / "copy"
        with path.open("w", encoding="utf-8", newline="") as copy:
            yield copy
        self.path, self.packing, self.folder = path, "", folder


def open_text(path: Path, file: TableFile, table: str) -> Text:
    """Open a text file that is not empty; one with a byte-order mark is copied to UTF-8 without it."""
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
    """Pass on the chunks of a file and an empty one at its end; raise UnreadableError where they are not UTF-8."""
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
    """Copy the rows of a text file that can be read, each on its line; tell whether the others may be left out.

    Parameters
    ----------
    text
        The file.
    read
        Reads its lines.
    n_headers
        How many records are no rows.
    findings
        Gets the faults.
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
