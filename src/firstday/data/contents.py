"""What a file really holds: its bytes, unpacked, and the format that they are in, whatever its name says."""

from __future__ import annotations

import codecs
import errno
import gzip
import itertools
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from firstday.data.find_tables import OTHER_FORMATS, Packing, TableFile
from firstday.data.findings import Findings
from firstday.data.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

CHUNK_BYTES = 2**22
ZSTD_BYTES = 2**14
"""Compressed bytes that are unpacked at a time: text can be a thousand times as long."""
HEAD_BYTES = 4096
"""How much of a file is looked at to tell what it is."""
DAMAGED = (OSError, EOFError, zlib.error)
"""What `read_chunks` can raise."""

EMPTY = "is empty; write a header and rows, or remove it."
EMPTY_OF_ROWS = "is empty; write rows, or remove it."
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PARQUET = b"PAR1"
_ENCRYPTED_PARQUET = b"PARE"
_MIN_PARQUET_BYTES = 12
_ZSTD_OPTIONS: Mapping[int, int] = {DecompressionParameter.window_log_max: 31}
_GZIP, _ZSTD = "a gzip file", "a zstd file"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\x1f\x8b", _GZIP),
    (rb"\x28\xb5\x2f\xfd", _ZSTD),
    (rb"PAR[1E]", "a Parquet file"),
    (rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|xl/|docProps/)", "Excel"),
    (rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis", "OpenDocument"),
    (rb"PK\x03\x04", "ZIP"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
    (rb"ORC[^ -~\s]", "ORC"),
    (rb"Obj\x01", "Avro"),
    (rb"ARROW1|FEA1", "Arrow"),
    (rb"BZh[1-9]1AY&SY", "bzip2"),
    (rb"\xfd7zXZ\x00", "xz"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|.{257}ustar", "archive"),
    (rb"SQLite format 3\x00", "database"),
    (rb"\x89HDF\r\n", "HDF5"),
    (rb"\x80[\x02-\x05][^ -~]", "pickle"),
    (rb"%PDF-", "PDF"),
    (rb"version https://git-lfs", "Git LFS"),
    (rb"(\xef\xbb\xbf)?\s*<(!DOCTYPE|!doctype|html|HTML|\?xml)", "XML"),
)
"""How formats begin."""
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\{\s*[\"}]|\[\s*[\[{\"])")
_ADVICE = {
    _GZIP: "name it {unpacked}.gz",
    _ZSTD: "name it {unpacked}.zst",
    "a Parquet file": "name it {base}.parquet",
    "JSON lines": "name it {base}.jsonl",
}


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines on which rows of a text file begin.

    Parameters
    ----------
    first
        The line of row 0, from 1, were there no further lines.
    rows
        int64, ascending: the rows after which further lines stand, blank ones or parts of the row; -1 stands for what
        is before row 0.
    n_lines
        int64: how many further lines there are up to and after each of `rows`.
    """

    first: int
    rows: np.ndarray
    n_lines: np.ndarray

    @classmethod
    def of(cls, first: int, rows: np.ndarray, extra: np.ndarray) -> Lines:
        """Make it of the number of further lines after each row."""
        return cls(first, np.asarray(rows, dtype=np.int64), np.cumsum(extra, dtype=np.int64))

    def __call__(self, row: int) -> int:
        """Return the line of a row, both counted from the file's start, rows from 0."""
        n = int(np.searchsorted(self.rows, row))
        return self.first + row + (int(self.n_lines[n - 1]) if n else 0)


def read_chunks(path: Path, packing: Packing = "") -> Iterator[bytes]:
    """Read a file, unpacked, some megabytes at a time.

    Raises
    ------
    OSError, EOFError, zlib.error
        It is cut off, damaged or not packed in this way.
    """
    with path.open("rb") as file:
        if packing == "zstd":
            parts: list[bytes] = []
            for part in _unpack_zstd(iter(lambda: file.read(ZSTD_BYTES), b"")):
                parts.append(part)
                if sum(map(len, parts)) >= CHUNK_BYTES:
                    yield b"".join(parts)
                    parts = []
            if parts:
                yield b"".join(parts)
        elif packing == "gzip":
            with gzip.open(file) as content:
                yield from iter(lambda: content.read(CHUNK_BYTES), b"")
        else:
            yield from iter(lambda: file.read(CHUNK_BYTES), b"")


def _unpack_zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack zstd, of one frame or several."""
    unpacker = None
    for chunk in chunks:
        rest = chunk
        while rest:
            if unpacker is None:
                unpacker = ZstdDecompressor(options=_ZSTD_OPTIONS)
            try:
                content = unpacker.decompress(rest)
            except ZstdError as error:
                raise OSError(str(error)) from None
            if content:
                yield content
            rest = unpacker.unused_data if unpacker.eof else b""
            if unpacker.eof:
                unpacker = None
    if unpacker is not None:
        raise EOFError("the last frame is not complete")


def read_head(path: Path, packing: Packing = "") -> bytes:
    """Read the first bytes of a file, unpacked."""
    head = b""
    for chunk in read_chunks(path, packing):
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return head[:HEAD_BYTES]


def find_foreign(path: Path, file: TableFile) -> str | None:
    """Say what is wrong with a file as a whole: that it is empty, cut off, or something else than its name says.

    Parameters
    ----------
    path
        Where it is.
    file
        What its name says.

    Returns
    -------
    str
        The fault after the file's name; None where its beginning, and the end of Parquet, are what they should be.
    """
    packed = read_head(path)
    if not packed:
        return EMPTY if file.form == "CSV" else EMPTY_OF_ROWS
    if file.packing:
        begins = {"gzip": _GZIP, "zstd": _ZSTD}[file.packing]
        if _name_format(packed) != begins:
            return _say(f"is not packed with {file.packing}", packed, file)
        try:
            head = read_head(path, file.packing)
        except DAMAGED as error:
            return say_damaged(file, error)
    else:
        head = packed
    if file.form == "Parquet":
        return _find_foreign_parquet(path, file, head)
    name = _name_format(head)
    if file.form == "CSV" and name is None and _JSON.match(head):
        name = "JSON"
    return None if name is None else _say(f"is not {file.form}", head, file, name)


def _find_foreign_parquet(path: Path, file: TableFile, head: bytes) -> str | None:
    """Look at both ends of a Parquet file."""
    with path.open("rb") as content:
        content.seek(max(0, path.stat().st_size - len(_PARQUET)))
        tail = content.read()
    if head.startswith(_ENCRYPTED_PARQUET) or (head.startswith(_PARQUET) and tail == _ENCRYPTED_PARQUET):
        return "is an encrypted Parquet file; write it without encryption."
    if not head.startswith(_PARQUET):
        return _say("is not Parquet", head, file)
    if tail != _PARQUET or path.stat().st_size < _MIN_PARQUET_BYTES:
        return "is cut off (its end is not that of a Parquet file); copy or write it again."
    return None


def say_damaged(file: TableFile, error: BaseException) -> str:
    """Say that a file cannot be opened or unpacked, after its name."""
    if isinstance(error, PermissionError):
        return "may not be read; allow reading it."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"is copied to be read, and {tempfile.gettempdir()} has no space; make space, or set TMPDIR."
    if file.packing and getattr(error, "errno", None) is None:
        return f"is cut off or damaged (as {file.packing}); copy or write it again."
    return f"cannot be read ({str(error).rstrip('.') or type(error).__name__}); write the file again."


def _say(fault: str, head: bytes, file: TableFile, name: str | None = None) -> str:
    """Say that a file is something else."""
    name = name or _name_format(head)
    if name is None and _is_text(head):
        name = "JSON lines" if _JSON.match(head) else "text"
    if name is None:
        return f"{fault}; write the file again."
    if name == "text":
        advice = "name it {unpacked}" if file.packing else "name it {base}.csv if it has a header and separators"
        return f"{fault} but plain text; {advice.format(base=file.base, unpacked=file.unpacked)}."
    what, advice = OTHER_FORMATS.get(name, (name, _ADVICE.get(name, "")))
    return f"{fault} but {what}; {advice.format(base=file.base, unpacked=file.unpacked)}."


def _name_format(head: bytes) -> str | None:
    """Return the format that a file begins in, None for text and for what is not known."""
    return next((name for magic, name in _MAGIC if re.match(magic, head, re.DOTALL)), None)


def _is_text(head: bytes) -> bool:
    """Tell whether bytes are text in UTF-8 or UTF-16."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0e-\x1f]", text)


class NotUtf8Error(Exception):
    """A file is not UTF-8; the text is the fault after the file's name."""


def check_utf8(read: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """Pass on the chunks of a file, and look whether they are UTF-8.

    Parameters
    ----------
    read
        Starts reading the file.

    Raises
    ------
    NotUtf8Error
        They are not.
    """
    decoder, n_bytes = codecs.getincrementaldecoder("utf-8")(), 0
    for chunk in itertools.chain(read(), [b""]):
        waiting = decoder.getstate()[0]
        if waiting or not chunk.isascii():
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line = _line_of_byte(read(), n_bytes - len(waiting) + error.start)
                raise NotUtf8Error(_say_not_utf8(line, error.object[error.start])) from None
        n_bytes += len(chunk)
        yield chunk


def _line_of_byte(chunks: Iterator[bytes], place: int) -> int:
    """Return the line, from 1, of a byte."""
    line = 1
    for chunk in chunks:
        line += chunk[:place].count(b"\n") if place < len(chunk) else chunk.count(b"\n")
        place -= len(chunk)
        if place < 0:
            break
    return line


def _say_not_utf8(line: int, byte: int) -> str:
    """Say where a file is not UTF-8, and what the byte is in Windows-1252."""
    try:
        letter = bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return f"is not UTF-8 (first: line {line:,}, byte 0x{byte:02X}); save it as UTF-8."
    return (
        f"is not UTF-8 (first: line {line:,}, byte 0x{byte:02X}, in Windows-1252 {letter!r}); save it as UTF-8, "
        "for example: iconv -f WINDOWS-1252 -t UTF-8."
    )


@dataclass(eq=False)
class Text:
    """A text file, or the copy that is read in its place.

    Parameters
    ----------
    path
        Where it is.
    packing
        How it is compressed.
    folder
        The folder of the copy, which goes with this.
    """

    path: Path
    packing: Packing
    folder: tempfile.TemporaryDirectory[str] | None = None

    def read(self) -> Iterator[bytes]:
        """Read it, unpacked, some megabytes at a time."""
        return read_chunks(self.path, self.packing)

    @contextmanager
    def replace(self) -> Iterator[IO[bytes]]:
        """Write a copy to be read from then on."""
        folder = tempfile.TemporaryDirectory(prefix="firstday-")
        place = Path(folder.name) / "copy"
        with place.open("wb") as copy:
            yield copy
        self.path, self.packing, self.folder = place, "", folder


def open_text(path: Path, file: TableFile, findings: Findings) -> Text | None:
    """Open a text file; one in UTF-16 or UTF-32 that says so is copied to UTF-8.

    Parameters
    ----------
    path
        Where it is.
    file
        What its name says.
    findings
        Gets the faults and notes.

    Returns
    -------
    Text
        The text; None with a fault.
    """
    text = Text(path, file.packing)
    head = read_head(path, file.packing)
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    nuls = {order: head[place::2].count(0) > len(head) // 3 for order, place in (("LE", 1), ("BE", 0))}
    if encoding is None and any(nuls.values()):
        order = next(order for order, is_it in nuls.items() if is_it)
        findings.fault(
            f"{file.name}: looks like UTF-16 without a byte-order mark; save it as UTF-8, for example: "
            f"iconv -f UTF-16{order} -t UTF-8."
        )
        return None
    if encoding is None:
        return text
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with text.replace() as copy:
            for chunk in read_chunks(path, file.packing):
                copy.write(decoder.decode(chunk).encode())
            copy.write(decoder.decode(b"", final=True).encode())
    except UnicodeError:
        findings.fault(
            f"{file.name}: is not {encoding.upper()} as its beginning says, or is cut off; save it as UTF-8."
        )
        return None
    findings.note(f"{file.name}: is {encoding.upper()} and was read as such.")
    return text
