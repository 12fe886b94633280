"""Text files as UTF-8: unpacked, decoded and checked, with the lines on which their rows begin."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import itertools
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from firstday.tables.faults import Findings
from firstday.tables.find import Packing, TableFile
from firstday.tables.zstd import DecompressionParameter, ZstdError, ZstdFile

CHUNK_BYTES = 2**22
DAMAGED = (OSError, EOFError, zlib.error, ZstdError)
"""What reading a damaged file can raise."""
EMPTY = "is empty; write a header and rows, or remove it."
EMPTY_OF_ROWS = "is empty; write rows, or remove it."
_MARKS = {  # that of UTF-16 is the beginning of that of UTF-32
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZSTD_OPTIONS: Mapping[int, int] = {DecompressionParameter.window_log_max: 31}


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines on which rows of a text file begin.

    Parameters
    ----------
    first
        The line of row 0, from 1, if there were no further lines.
    rows
        int64, ascending: the rows followed by further lines, which are blank or parts of the row.
    n_lines
        int64: the number of further lines up to and after each of `rows`.
    """

    first: int
    rows: np.ndarray
    n_lines: np.ndarray

    @classmethod
    def of(cls, first: int, rows: np.ndarray, extra: np.ndarray) -> Lines:
        """Make it of the number of further lines after each row."""
        return cls(first, np.asarray(rows, dtype=np.int64), np.cumsum(extra, dtype=np.int64))

    def __call__(self, row: int) -> int:
        """Return the line of a row, both counted from the start of the file, rows from 0."""
        n = int(np.searchsorted(self.rows, row))
        return self.first + row + (int(self.n_lines[n - 1]) if n else 0)


@dataclass(eq=False)
class Text:
    """A text file, or the copy that is read in its place.

    Parameters
    ----------
    path, packing
        Where it is, and how it is compressed.
    folder
        The folder of the copy, which is removed with this.
    """

    path: Path
    packing: Packing
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


def open_text(path: Path, file: TableFile, findings: Findings) -> Text | None:
    """Open a text file that is not empty; one with a byte-order mark is copied to UTF-8 without it."""
    text = Text(path, file.packing)
    head = next(text.chunks(), b"")
    if not head:
        findings.fault(f"{file.name}: {EMPTY if file.form == 'CSV' else EMPTY_OF_ROWS}")
        return None
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        return text
    try:
        with text.lines(encoding) as content, text.replace() as copy:
            shutil.copyfileobj(content, copy)
    except UnicodeError:
        name = encoding.removesuffix("-sig").upper()
        findings.fault(f"{file.name}: is not {name} as its beginning says, or is cut off; save it as UTF-8.")
        return None
    if encoding != "utf-8-sig":
        findings.note(f"{file.name}: is {encoding.upper()} and was read as such.")
    return text


def describe_damage(file: TableFile, error: BaseException) -> str:
    """Say that a file cannot be opened or unpacked, after its name."""
    if isinstance(error, PermissionError):
        return "may not be read; allow reading it."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"is copied to be read, and {tempfile.gettempdir()} has no space; make space, or set TMPDIR."
    if file.packing and getattr(error, "errno", None) is None:
        return f"is not {file.packing}, cut off or damaged; copy or write it again."
    return f"cannot be read ({str(error).rstrip('.') or type(error).__name__}); write the file again."


class NotUtf8Error(Exception):
    """A file is not UTF-8; the text is the fault after the file's name."""


def check_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass on the chunks of a file and an empty one at its end; raise NotUtf8Error where they are not UTF-8."""
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
                raise NotUtf8Error(f"is not UTF-8 (first: line {line:,}, byte 0x{byte:02X}); {advice}.") from None
        line += chunk.count(b"\n")
        yield chunk
