"""Text files as UTF-8: decompressed, decoded and checked, with line numbers of rows and faults of unparsable rows."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import polars as pl

from firstday.errors import Fault
from firstday.tables.faults import DROPPED, MAX_LISTED, NOWHERE, Finding, Findings, Location, Source
from firstday.tables.find import Packing, TableFile
from firstday.tables.zstd import ZstdFile

CHUNK_BYTES = 2**22
EMPTY = ("no_rows", "is empty; write rows, or remove it.")
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OPEN: Mapping[Packing, Callable[..., Any]] = {"": open, "gzip": gzip.open, "zstd": ZstdFile}
BadLine = tuple[str, str, str]
"""Code, finding and advice."""
Record = tuple[list[str], str, BadLine | None]
"""Original lines, the text to read instead ("" for blank lines and bad rows), and the fault, if any."""


class UnreadableError(Exception):
    """A file cannot be read; the arguments are code and text of the fault, unless the findings have it."""


@dataclass(eq=False)
class Text:
    """A text file of a table, or a corrected copy in a temporary folder, which is deleted together with this object."""

    path: Path
    packing: Packing
    name: str
    table: str
    folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> IO[bytes]:
        """Open for reading bytes, decompressed."""
        return cast("IO[bytes]", _OPEN[self.packing](self.path, "rb"))

    def lines(self, encoding: str = "utf-8") -> io.TextIOWrapper:
        """Open for reading line by line; lines keep their line ends, including lone carriage returns."""
        return io.TextIOWrapper(self.open(), encoding, newline="")

    def blocks(self) -> Iterator[bytes]:
        """Yield blocks of complete lines, about `CHUNK_BYTES` each; raise UnreadableError if one is not UTF-8."""
        line = 1
        with self.open() as content:
            while block := content.read(CHUNK_BYTES) + content.readline():
                try:
                    _ = block.isascii() or block.decode()
                except UnicodeDecodeError as error:
                    line += block.count(b"\n", 0, error.start)
                    byte = f"line {line:,}, byte 0x{block[error.start]:02X}"
                    text = f"is not UTF-8 (first: {byte}); save it as text in UTF-8."
                    raise UnreadableError("not_utf8", text) from None
                line += block.count(b"\n")
                yield block

    def locate(self, starts_record: Callable[[Iterable[bytes]], Iterable[bool]], n_skipped: int = 0) -> Source:
        """Return the function that names the line of a row; it reads the file when first called.

        `starts_record` yields for each line whether a record begins on it; the first `n_skipped` records are not rows.
        """

        @cache
        def find() -> np.ndarray:
            with self.open() as content:
                return np.flatnonzero(np.fromiter(starts_record(content), np.bool_)) + 1

        return lambda row: Location(self.name, int(find()[n_skipped + row]), "line")

    @contextmanager
    def replace(self) -> Iterator[IO[str]]:
        """Write a copy, which is read from then on."""
        folder = tempfile.TemporaryDirectory(prefix="firstday-")
        path = Path(folder.name) / "copy"
        with path.open("w", encoding="utf-8", newline="") as copy:
            yield copy
        self.path, self.packing, self.folder = path, "", folder


def open_text(path: Path, file: TableFile, table: str) -> Text:
    """Open a text file; a file with a byte-order mark is copied to UTF-8 without it."""
    text = Text(path, file.packing, file.name, table)
    with text.open() as content:
        first_bytes = content.read(3)
    encoding = next((name for bom, name in _BYTE_ORDER_MARKS.items() if first_bytes.startswith(bom)), None)
    if encoding is not None:
        with text.lines(encoding) as content, text.replace() as copy:
            shutil.copyfileobj(content, copy)
    return text


def copy_rows(
    text: Text, read: Callable[[Iterator[str]], Iterator[Record]], n_headers: int, findings: Findings
) -> bool:
    """Replace a text file with a copy of its readable rows, with the same line numbers.

    `read` parses the lines; the first `n_headers` records are not rows. Returns whether the file can be used: bad rows
    are dropped, or there are none.
    """
    n_records = 0
    n_bad = 0
    line = 1
    dropped: list[tuple[str, int, int, str, str, list[str]]] = []
    with text.lines() as content, text.replace() as copy:
        for lines, copied, fault in read(iter(content)):
            copy.write(copied + "\n" * (len(lines) - copied.count("\n")))
            n_records += bool(copied or fault)
            if fault:
                n_bad += 1
                code, finding, advice = fault
                found = Fault(code, finding, text.table)
                findings.add(Finding(found, advice, n=1, first=(NOWHERE, line, text.name)))
                if len(dropped) < MAX_LISTED:
                    row = json.dumps("".join(lines).strip("\r\n"), ensure_ascii=False)
                    dropped.append((text.table, NOWHERE, line, text.name, row, [finding]))
            line += len(lines)
    if not n_records:
        raise UnreadableError(*EMPTY)
    if findings.drop:
        findings.n_left_out[text.table] += n_bad
        findings.list_left_out(pl.DataFrame(dropped, schema=DROPPED, orient="row"))
    is_usable = findings.drop or not n_bad
    findings.n_rows[text.table] += n_bad if is_usable else n_records - n_headers
    return is_usable
