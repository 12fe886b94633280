"""Which files of a folder are tables, by their names alone; no file is opened here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from firstday.tables.faults import Findings
from firstday.tables.schema import TABLES

Form = Literal["Parquet", "CSV", "JSON lines"]
"""The format of a file's rows; CSV stands for every text with separators."""
Packing = Literal["", "gzip", "zstd"]
"""How a file is compressed as a whole."""

ENDINGS: Mapping[str, tuple[Form, Packing]] = {
    ".parquet": ("Parquet", ""),
    ".pq": ("Parquet", ""),
    ".csv": ("CSV", ""),
    ".csv.gz": ("CSV", "gzip"),
    ".csv.zst": ("CSV", "zstd"),
    ".tsv": ("CSV", ""),
    ".tsv.gz": ("CSV", "gzip"),
    ".tsv.zst": ("CSV", "zstd"),
    ".jsonl": ("JSON lines", ""),
    ".jsonl.gz": ("JSON lines", "gzip"),
    ".jsonl.zst": ("JSON lines", "zstd"),
    ".ndjson": ("JSON lines", ""),
    ".ndjson.gz": ("JSON lines", "gzip"),
    ".ndjson.zst": ("JSON lines", "zstd"),
}
"""The endings of the files that are read, in lower case."""
_OTHER_ENDINGS = re.compile(
    r"\.(xls[xmb]?|ods|orc|avro|feather|arrow|ipc|pkl|pickle|h5|hdf5|json|xml|html|txt|dat|sql|db|sqlite3?|duckdb|mdb"
    r"|accdb|zip|7z|rar|tar|tgz|bz2|xz|gz|zst|lz4|snappy|br)$",
    re.IGNORECASE,
)
"""Formats that hold tables and are not read."""
_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("event", "log", "play", "stream", "rating", "click", "view", "listen"), "interactions"),
    **dict.fromkeys(("customer", "profile", "member"), "users"),
    **dict.fromkeys(("track", "song", "product", "movie", "article"), "items"),
    **dict.fromkeys(("playlist",), "collections"),
    **dict.fromkeys(("friendship", "follow", "follower"), "friends"),
}
"""What others call the tables."""
_VECTORS = "embeddings"
_MISSING = "__HIVE_DEFAULT_PARTITION__"
_MAX_NOTES = 20
"""Files that are not tables are named one by one up to this number."""


@dataclass(frozen=True)
class TableFile:
    """A file with rows of a table.

    Parameters
    ----------
    name
        As seen from the folder of tables, with ``/`` between folders.
    size
        In bytes.
    form, packing
        Its format according to its name.
    partitions
        The columns that its folders give it: ``{"date": "2024-05-01"}`` under ``date=2024-05-01/``; None is a missing
        value.
    """

    name: str
    size: int
    form: Form
    packing: Packing = ""
    partitions: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, in the order of their names.

    Parameters
    ----------
    table
        The table's name.
    place
        The file or the folder, as messages name it: ``users.csv``, ``interactions/``.
    files
        All in one format.
    """

    table: str
    place: str
    files: tuple[TableFile, ...]

    @property
    def form(self) -> Form:
        """The format of the rows."""
        return self.files[0].form


@dataclass
class _Place:
    """A file or a folder named after a table: the files that can be read, and the names of those that cannot."""

    name: str
    files: list[TableFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def find_tables(paths: Iterable[tuple[str, int]], findings: Findings) -> dict[str, TableFiles | None]:
    """Tell which files are tables.

    Parameters
    ----------
    paths
        All files under the folder of tables with their sizes in bytes, named as seen from there with ``/`` between
        folders. Folders may be listed too, with ``/`` at the end: one without files is a fault.
    findings
        Gets a fault for whatever looks like a table and is not read, and a note for the rest.

    Returns
    -------
    dict
        The tables that are there, in the order of `TABLES`; None for one that has a fault.
    """
    found: dict[str, dict[str, _Place]] = {}
    ignored: dict[str, str] = {}
    for name, size in sorted(paths):
        if not any(map(_is_hidden, name.split("/"))):
            _sort_in(name, size, found, ignored)
    tables: dict[str, TableFiles | None] = {}
    for table in TABLES:
        places = list(found.get(table, {}).values())
        readable = [place for place in places if place.files or place.name.endswith("/")]
        if len(readable) > 1:
            names = " and ".join(place.name for place in readable)
            findings.fault(f"{table}: is there more than once ({names}); keep one of them.")
            tables[table] = None
        elif readable:
            ignored |= {
                place.name: f"ignored ({readable[0].name} is read)" for place in places if place not in readable
            }
            tables[table] = _take(table, readable[0], ignored, findings)
        for place in places if not readable else ():
            findings.fault(_not_read(place.name))
            tables[table] = None
    _note_ignored(ignored, tables, findings)
    return tables


def may_hold_tables(folder: str) -> bool:
    """Tell whether a folder in the folder of tables has to be searched for files."""
    return folder.lower() == _VECTORS or _table_of(folder) is not None


def _sort_in(name: str, size: int, found: dict[str, dict[str, _Place]], ignored: dict[str, str]) -> None:
    """Put a file, or a folder (the last part is empty), to the table that it is named after, or to what is ignored."""
    parts = name.split("/")
    depth = 2 if len(parts) > 1 and parts[0].lower() == _VECTORS else 1
    head, rest = "/".join(parts[:depth]), parts[depth:]
    if head.endswith("/"):
        return
    label, ending = f"{head}/" if rest else head, _ending_of(name)
    is_other = not ending and _OTHER_ENDINGS.search(name) is not None
    table = _table_of(head) if rest or ending else _table_of(_base(head)) if is_other else None
    if table is None:
        ignored[label] = ""
        return
    place = found.setdefault(table, {}).setdefault(label, _Place(label))
    if ending:
        place.files.append(_table_file(name, size, rest[:-1]))
    elif is_other:
        place.others.append(name)
    elif rest[-1]:
        ignored[name] = ""


def _take(table: str, place: _Place, ignored: dict[str, str], findings: Findings) -> TableFiles | None:
    """Return the files of a table's place, or None with a fault."""
    forms = list(dict.fromkeys(form for form, _ in ENDINGS.values() if form in {file.form for file in place.files}))
    texts = {name for name in place.others if forms and name.lower().endswith(".txt")}  # such as README.txt
    ignored |= dict.fromkeys(texts, "")
    faults = [_not_read(name) for name in place.others if name not in texts]
    if len(forms) > 1:
        faults.append(f"{place.name}: holds {forms[0]} beside {forms[1]} files; keep one format.")
    elif not forms and not faults:
        faults.append(f"{place.name}: holds no Parquet, CSV or JSON lines file; add one or remove it.")
    for fault in faults:
        findings.fault(fault)
    return None if faults else TableFiles(table, place.name, tuple(sorted(place.files, key=lambda file: file.name)))


def _is_hidden(part: str) -> bool:
    """Tell whether a file or folder is a system's, an office program's or Spark's own; partition folders are not."""
    return part.startswith((".", "~$")) or (part.startswith("_") and "=" not in part) or part.lower().endswith(".crc")


def split_ending(name: str) -> tuple[str, str]:
    """Split the name of a file that is read at its ending: ``("users", ".csv.gz")``."""
    length = max((len(ending) for ending in ENDINGS if name.lower().endswith(ending)), default=0)
    return name[: len(name) - length], name[len(name) - length :]


def _ending_of(name: str) -> str:
    """Return the ending of a file that is read, in lower case; "" for others."""
    return split_ending(name)[1].lower()


def _base(name: str) -> str:
    """Return a file's name up to the first dot."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.split('.')[0]}"


def _table_of(name: str) -> str | None:
    """Return the table that a file or folder is named after; Spark makes folders such as ``users.parquet/``."""
    return next((table for table in (name.lower(), split_ending(name)[0].lower()) if table in TABLES), None)


def _table_file(name: str, size: int, folders: Sequence[str]) -> TableFile:
    """Describe a file by its name and the folders within its table."""
    pairs = [part.partition("=") for part in folders]
    values = {unquote(key): unquote(value) for key, equals, value in pairs if key and equals}
    columns = {key: None if value in {"", _MISSING} else value for key, value in values.items()}
    form, packing = ENDINGS[_ending_of(name)]
    return TableFile(name, size, form, packing, columns)


def _not_read(name: str) -> str:
    """Return the fault of a table in a format that is not read."""
    base = _base(name)
    return (
        f"{name}: firstday does not read .{name.rpartition('.')[2].lower()}; export the table as {base}.parquet, "
        f"{base}.csv or {base}.jsonl."
    )


def _note_ignored(ignored: Mapping[str, str], tables: Collection[str], findings: Findings) -> None:
    """Note what is not a table."""
    for name, text in list(ignored.items())[:_MAX_NOTES]:
        findings.note(f"{name}: {text or f'ignored (not a table of firstday{_guess(name, tables)})'}.")
    if len(ignored) > _MAX_NOTES:
        findings.note(f"{len(ignored) - _MAX_NOTES:,} more files and folders are ignored (not tables of firstday).")


def _guess(name: str, tables: Collection[str]) -> str:
    """Return a hint at the table that a file was meant to be, among those that are not there; "" without one."""
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
