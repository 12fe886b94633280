"""Discovery of table files in a folder by name; no file is opened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
    r"(?<!readme)\.(xls[xmb]?|ods|orc|avro|feather|arrow|ipc|pkl|pickle|h5|hdf5|json|xml|html|txt|dat|sql|db|sqlite3?"
    r"|duckdb|mdb|accdb|zip|7z|rar|tar|tgz|bz2|xz|gz|zst|lz4|snappy|br)$",
    re.IGNORECASE,
)
"""Extensions of tabular formats that are not supported."""
_TABLE_PATH = re.compile(rf"({'|'.join(TABLES)})(\.[^/]*)?(/.*)?", re.IGNORECASE)
"""Table, extension of its file or folder (Spark creates folders such as ``users.parquet``), and path in the folder."""
_VECTORS = "embeddings/"


@dataclass(frozen=True)
class TableFile:
    """A file with rows of a table; its name is the path relative to the folder of tables, with ``/`` as separator.

    Hive partition columns are ``{"date": "2024-05-01"}`` under ``date=2024-05-01/``; None is a missing value.
    """

    name: str
    format: Format
    packing: Packing = ""
    partitions: Mapping[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, sorted by name, all of the same format; messages name the file or folder `path`."""

    table: str
    path: str
    files: tuple[TableFile, ...]

    @property
    def format(self) -> Format:
        """Format of the rows."""
        return self.files[0].format


def find_tables(paths: Iterable[str], findings: Findings) -> dict[str, TableFiles | None]:
    """Return the files of each table found, in the order of `TABLES`; None for a table with a fault.

    `paths` are relative to the folder of tables, with ``/`` as separator; folders have a trailing ``/``. A table folder
    without files is a fault. A note names what is not a table.
    """
    files_by_table: dict[str, dict[str, list[str]]] = {}
    ignored: list[str] = []
    for name in sorted(path for path in paths if not any(map(_is_hidden, path.split("/")))):
        table, path = _locate(name)
        if table:
            files_by_table.setdefault(table, {}).setdefault(path, []).append(name)
        elif name.lower() != _VECTORS:
            ignored.append(name)
    tables = {
        table: _choose(table, files_by_table[table], ignored, findings) for table in TABLES if table in files_by_table
    }
    if ignored:
        first = ", ".join(f"{name}{_guess(name)}" for name in ignored[:20])
        findings.note(f"ignored: {len(ignored):,} files or folders that are not tables of firstday (first: {first}).")
    return tables


def _guess(name: str) -> str:
    """Return " (did you mean users?)" for ``user.csv``; "" if adding an "s" does not give a table."""
    base = name.rstrip("/").split(".")[0].lower()
    return f" (did you mean {base}s?)" if f"{base}s" in TABLES else ""


def _locate(name: str) -> tuple[str, str]:
    """Return the table that a path may belong to, if any, and the table's file or folder."""
    match = _TABLE_PATH.fullmatch(name)
    is_table = name.endswith("/") or _ending_of(name)
    is_other = _OTHER_ENDINGS.search(name)
    if match is None or not (is_table or is_other):
        return "", name
    table, ending, inner = match.groups("")
    if ending and ending.lower() not in ENDINGS and (inner or is_table):
        return "", name
    return table.lower(), f"{name.removesuffix(inner)}/" if inner else name


def _choose(table: str, paths: Mapping[str, list[str]], ignored: list[str], findings: Findings) -> TableFiles | None:
    """Return the files of a table, or None with a fault; `paths` maps each candidate path to its file names."""
    readable = [path for path in paths if path.endswith("/") or _ending_of(path)]
    if len(readable) > 1:
        text = f"the table exists more than once ({' and '.join(readable)}); keep one of them."
        findings.fault("repeated_table", text, table)
        return None
    path = (readable or list(paths))[0]
    ignored += [other for other in paths if other != path]
    names = [name for name in paths[path] if not name.endswith("/")]
    files = tuple(_table_file(name, path) for name in names if _ending_of(name))
    others = [name for name in names if not _ending_of(name)]
    for name in others:
        text = "is not Parquet, CSV or JSON lines; export the table in one of these formats."
        findings.fault("unsupported_format", text, file=name)
    formats = sorted({file.format for file in files})
    if len(formats) > 1:
        findings.fault("mixed_formats", f"has {' and '.join(formats)} files; keep one format.", file=path)
    if not files and not others:
        text = "has no Parquet, CSV or JSON lines file; add one, or remove the folder."
        findings.fault("no_file", text, file=path)
    return None if others or len(formats) != 1 else TableFiles(table, path, files)


def may_hold_tables(folder: str) -> bool:
    """Return whether a subfolder of the folder of tables, with a trailing ``/``, must be searched."""
    return folder.lower() == _VECTORS or bool(_locate(folder)[0])


def _is_hidden(part: str) -> bool:
    """Return whether a path component is hidden, or internal to Spark or an office program."""
    return part.startswith((".", "~$")) or (part.startswith("_") and "=" not in part)


def split_ending(name: str) -> tuple[str, str]:
    """Split off a supported extension: ``("users", ".csv.gz")``."""
    n = len(name) - len(next(filter(name.lower().endswith, ENDINGS), ""))
    return name[:n], name[n:]


def _ending_of(name: str) -> str:
    """Return a supported extension in lower case; "" for other files."""
    return split_ending(name)[1].lower()


def _table_file(name: str, path: str) -> TableFile:
    """Derive format, compression and partition columns from a file name."""
    columns: dict[str, str | int | None] = {}
    for key, text in re.findall("([^/=]+)=([^/]*)/", name.removeprefix(path)):
        value = unquote(text)
        is_number = re.match(WHOLE_NUMBER, value)
        columns[unquote(key)] = (
            int(value) if is_number else None if value in {"", "__HIVE_DEFAULT_PARTITION__"} else value
        )
    return TableFile(name, *ENDINGS[_ending_of(name)], columns)
