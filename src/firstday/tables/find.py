"""Discovery of table files in a folder, by name only; opens no file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from firstday.tables.faults import Findings
from firstday.tables.schema import TABLES, WHOLE_NUMBER

Format = Literal["Parquet", "CSV", "JSON lines"]
"""Row format of a file; CSV means any separated text."""
Packing = Literal["", "gzip", "zstd"]
"""Compression of a whole file."""

_FORMATS: Mapping[str, Format] = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
}
_PACKINGS: Mapping[str, Packing] = {"": "", ".gz": "gzip", ".zst": "zstd"}
ENDINGS: Mapping[str, tuple[Format, Packing]] = {
    f"{ending}{suffix}": (content, packing)
    for ending, content in _FORMATS.items()
    for suffix, packing in _PACKINGS.items()
    if content != "Parquet" or not suffix
}
"""Supported file extensions, in lower case."""
_OTHER_ENDINGS = re.compile(
    r"\.(xls[xmb]?|ods|orc|avro|feather|arrow|ipc|pkl|pickle|h5|hdf5|json|xml|html|txt|dat|sql|db|sqlite3?|duckdb|mdb"
    r"|accdb|zip|7z|rar|tar|tgz|bz2|xz|gz|zst|lz4|snappy|br)$",
    re.IGNORECASE,
)
"""Extensions of tabular formats that are not supported."""
_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("event", "log", "play", "stream", "rating", "click", "view", "listen"), "interactions"),
    **dict.fromkeys(("customer", "profile", "member"), "users"),
    **dict.fromkeys(("track", "song", "product", "movie", "article"), "items"),
    **dict.fromkeys(("playlist",), "collections"),
    **dict.fromkeys(("friendship", "follow", "follower"), "friends"),
}
"""Common names for the tables elsewhere."""
_VECTORS = "embeddings"
_MISSING = "__HIVE_DEFAULT_PARTITION__"
_MAX_NOTES = 20
"""Maximum number of ignored files named individually."""


@dataclass(frozen=True)
class TableFile:
    """A file with rows of a table.

    Parameters
    ----------
    name
        Path relative to the folder of tables, with ``/`` as separator.
    format, packing
        Format and compression, from the extension.
    partitions
        Hive partition columns: ``{"date": "2024-05-01"}`` under ``date=2024-05-01/``; None is a missing value.
    """

    name: str
    format: Format
    packing: Packing = ""
    partitions: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, sorted by name.

    Parameters
    ----------
    table
        Table name.
    path
        The file or folder, as messages name it: ``users.csv``, ``interactions/``.
    files
        Files, all of the same format.
    """

    table: str
    path: str
    files: tuple[TableFile, ...]

    @property
    def format(self) -> Format:
        """Format of the rows."""
        return self.files[0].format


def find_tables(paths: Iterable[str], findings: Findings) -> dict[str, TableFiles | None]:
    """Return the files of each table found, in the order of `TABLES`; None for a table with a fault.

    `paths` are relative to the folder of tables, separated by ``/``. Folders may be included with a trailing ``/``; an
    empty table folder is a fault. Other files get a note.
    """
    found: dict[str | None, dict[str, list[str]]] = {}
    for name in sorted(paths):
        if name.lower() != f"{_VECTORS}/" and not any(map(_is_hidden, name.split("/"))):
            table, path = _locate(name)
            found.setdefault(table, {}).setdefault(path, []).append(name)
    ignored = dict.fromkeys(found.get(None, ()), "")
    tables = {table: _choose(table, found[table], ignored, findings) for table in TABLES if table in found}
    _note_ignored(ignored, tables, findings)
    return tables


def _locate(name: str) -> tuple[str | None, str]:
    """Return the table that a path belongs to, if any, and the table's file or folder."""
    parts = name.split("/")
    depth = 2 if len(parts) > 1 and parts[0].lower() == _VECTORS else 1
    head = "/".join(parts[:depth])
    if len(parts) > depth:
        return _table_of(head), f"{head}/"
    if _ending_of(name):
        return _table_of(head), head
    return (_table_of(_base(head)) if _OTHER_ENDINGS.search(name) else None), head


def _choose(
    table: str, paths: Mapping[str, list[str]], ignored: dict[str, str], findings: Findings
) -> TableFiles | None:
    """Return the files of a table, or None with a fault; `paths` maps each candidate to its file names."""
    readable = [path for path, names in paths.items() if path.endswith("/") or _ending_of(names[0])]
    if not readable:
        findings.fault(*map(_not_read, paths))
        return None
    path = readable[0]
    if len(readable) > 1:
        findings.fault(f"{table}: is there more than once ({' and '.join(readable)}); keep one of them.")
        return None
    ignored |= {other: f"ignored ({path} is read)" for other in paths if other != path}
    files = tuple(_table_file(name, path) for name in paths[path] if _ending_of(name))
    others = [name for name in paths[path] if not (_ending_of(name) or name.endswith("/"))]
    texts = ".txt" if files else ()  # such as README.txt
    unread = [name for name in others if _OTHER_ENDINGS.search(name) and not name.lower().endswith(texts)]
    ignored |= {name: "" for name in others if name not in unread}
    faults = [*map(_not_read, unread)]
    formats = sorted({file.format for file in files})
    if len(formats) > 1:
        faults.append(f"{path}: holds {formats[0]} beside {formats[1]} files; keep one format.")
    if not files and not unread:
        faults.append(f"{path}: holds no Parquet, CSV or JSON lines file; add one or remove it.")
    findings.fault(*faults)
    return None if faults else TableFiles(table, path, files)


def may_hold_tables(folder: str) -> bool:
    """Whether a subfolder of the folder of tables must be searched."""
    return folder.lower() == _VECTORS or _table_of(folder) is not None


def _is_hidden(part: str) -> bool:
    """Whether a path component is hidden, or internal to Spark or an office program; partition folders are not."""
    return part.startswith((".", "~$")) or (part.startswith("_") and "=" not in part) or part.lower().endswith(".crc")


def split_ending(name: str) -> tuple[str, str]:
    """Split off a supported extension: ``("users", ".csv.gz")``."""
    n = len(name) - len(next(filter(name.lower().endswith, ENDINGS), ""))
    return name[:n], name[n:]


def _ending_of(name: str) -> str:
    """Return a supported extension in lower case; "" for other files."""
    return split_ending(name)[1].lower()


def _base(name: str) -> str:
    """Strip everything from the first dot of a file name."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.split('.')[0]}"


def _table_of(name: str) -> str | None:
    """Return the table named by a file or folder; Spark creates folders such as ``users.parquet/``."""
    return next((table for table in (name.lower(), split_ending(name)[0].lower()) if table in TABLES), None)


def _table_file(name: str, path: str) -> TableFile:
    """Derive format, compression and partition columns from a file name."""
    pairs = [part.partition("=") for part in name.removeprefix(path).split("/")[:-1]]
    columns = {unquote(key): _read_partition(unquote(value)) for key, equals, value in pairs if key and equals}
    return TableFile(name, *ENDINGS[_ending_of(name)], columns)


def _read_partition(value: str) -> str | int | None:
    """Decode a Hive partition value: integers if lossless, None if missing."""
    if value in {"", _MISSING}:
        return None
    return int(value) if re.match(WHOLE_NUMBER, value) else value


def _not_read(name: str) -> str:
    """Return the fault of a table in an unsupported format."""
    base = _base(name)
    return (
        f"{name}: firstday does not read .{name.rpartition('.')[2].lower()}; export the table as {base}.parquet, "
        f"{base}.csv or {base}.jsonl."
    )


def _note_ignored(ignored: Mapping[str, str], tables: Collection[str], findings: Findings) -> None:
    """Note the files that are not tables."""
    for name, text in list(ignored.items())[:_MAX_NOTES]:
        findings.note(f"{name}: {text or f'ignored (not a table of firstday{_guess(name, tables)})'}.")
    if len(ignored) > _MAX_NOTES:
        findings.note(f"{len(ignored) - _MAX_NOTES:,} more files and folders are ignored (not tables of firstday).")


def _guess(name: str, tables: Collection[str]) -> str:
    """Suggest the absent table that a file was probably meant to be; "" without one."""
    path, slash = name.rstrip("/"), "/" if name.endswith("/") else ""
    if not (slash or _ending_of(name) or _OTHER_ENDINGS.search(name)):
        return ""
    prefix = f"{_VECTORS}/" if path.lower().startswith(f"{_VECTORS}/") else ""
    meant = {table.removeprefix(prefix): table for table in TABLES if table.startswith(prefix)}
    meant |= {} if prefix else _OTHER_WORDS
    words = re.findall("[a-z]+", _base(path)[len(prefix) :].lower())
    for word in ("_".join(words), *words):
        for match in difflib.get_close_matches(word, meant, 1, 0.75):
            if meant[match] not in tables:
                return f"; did you mean {meant[match]}{slash or _ending_of(name) or '.csv'}?"
    return ""
