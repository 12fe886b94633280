"""Which files of a folder are tables, by their names alone; no file is opened here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from firstday.data.findings import Findings
from firstday.data.schema import TABLES

Form = Literal["Parquet", "CSV", "JSON lines"]
"""What the rows of a file are written in, as messages name it; CSV stands for every text with separators."""
Packing = Literal["", "gzip", "zstd"]
"""How a file is compressed as a whole."""

_FORMS: Mapping[str, Form] = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
}
_PACKINGS: Mapping[str, Packing] = {"": "", ".gz": "gzip", ".zst": "zstd"}
ENDINGS: Mapping[str, tuple[Form, Packing]] = {
    ending + packed: (form, packing)
    for ending, form in _FORMS.items()
    for packed, packing in _PACKINGS.items()
    if form != "Parquet" or not packed
}
"""The endings of the files that are read, in lower case."""
OTHER_FORMATS: Mapping[str, tuple[str, str]] = {
    "Excel": ("an Excel workbook", "save the sheet as CSV UTF-8, {base}.csv"),
    "OpenDocument": ("an OpenDocument spreadsheet", "save the sheet as CSV with UTF-8, {base}.csv"),
    "ORC": ("an ORC file", "write it as Parquet, {base}.parquet"),
    "Avro": ("an Avro file", "write it as Parquet, {base}.parquet"),
    "Arrow": ("an Arrow or Feather file", "write it as Parquet, {base}.parquet"),
    "pickle": ("a Python pickle", "write it as Parquet, {base}.parquet"),
    "HDF5": ("an HDF5 file", "write it as Parquet, {base}.parquet"),
    "JSON": ("a JSON document", "write one object on each line, as {base}.jsonl"),
    "XML": ("an XML document or a web page", "export the table as {base}.csv"),
    "PDF": ("a PDF document", "export the table as {base}.csv"),
    "text": ("text of no known layout", "name it {base}.csv if it has a header and separators"),
    "SQL": ("an SQL script", "export the table as {base}.csv"),
    "database": ("a database", "export the table as {base}.csv"),
    "ZIP": ("a ZIP archive", "unpack it"),
    "archive": ("an archive", "unpack it"),
    "bzip2": ("compressed with bzip2", "unpack it, or compress it with gzip or zstd"),
    "xz": ("compressed with xz", "unpack it, or compress it with gzip or zstd"),
    "packed": ("compressed", "unpack it, or compress a .csv, .tsv or .jsonl file with gzip or zstd"),
    "Git LFS": ("a pointer of Git LFS without the content", "run git lfs pull"),
}
"""Formats that are not read: what each is, and what to do; ``{base}`` is the file's name without its ending."""
_OTHER_ENDINGS: Mapping[str, str] = {
    ending: name
    for name, endings in {
        "Excel": ".xlsx .xls .xlsm .xlsb",
        "OpenDocument": ".ods",
        "ORC": ".orc",
        "Avro": ".avro",
        "Arrow": ".feather .arrow .ipc",
        "pickle": ".pkl .pickle",
        "HDF5": ".h5 .hdf5",
        "JSON": ".json",
        "XML": ".xml .html",
        "text": ".txt .dat",
        "SQL": ".sql",
        "database": ".db .sqlite .sqlite3 .duckdb .mdb .accdb",
        "ZIP": ".zip",
        "archive": ".7z .rar .tar .tgz",
        "bzip2": ".bz2",
        "xz": ".xz",
        "packed": ".gz .zst .lz4 .snappy .br",
    }.items()
    for ending in endings.split()
}
_OTHER_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("event", "log", "play", "stream", "rating", "click", "view", "listen"), "interactions"),
    **dict.fromkeys(("customer", "profile", "member"), "users"),
    **dict.fromkeys(("track", "song", "product", "movie", "article"), "items"),
    **dict.fromkeys(("playlist",), "collections"),
    **dict.fromkeys(("friendship", "follow", "follower"), "friends"),
}
"""What others call the tables."""
_VECTORS = "embeddings/"
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
        What its name says that it is.
    partitions
        The columns that its folders give it: ``{"date": "2024-05-01"}`` under ``date=2024-05-01/``; None is a missing
        value.
    """

    name: str
    size: int
    form: Form
    packing: Packing = ""
    partitions: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The name without its ending."""
        return split_ending(self.name)[0]

    @property
    def unpacked(self) -> str:
        """The name without the ending of its packing."""
        return self.name.rpartition(".")[0] if self.packing else self.name

    @property
    def is_tab_separated(self) -> bool:
        """Whether the name says that tabs separate the columns."""
        return split_ending(self.name)[1].startswith(".tsv")


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
        All in one form.
    """

    table: str
    place: str
    files: tuple[TableFile, ...]

    @property
    def form(self) -> Form:
        """What the rows are written in."""
        return self.files[0].form


def find_tables(paths: Iterable[tuple[str, int]], findings: Findings) -> dict[str, TableFiles | None]:
    """Tell which files are tables.

    Parameters
    ----------
    paths
        All files under the folder of tables with their sizes in bytes, named as seen from there with ``/`` between
        folders. A folder may stand here too, with ``/`` at its end: one without files is a fault.
    findings
        Gets a fault for whatever looks like a table and is not read, and a note for the rest.

    Returns
    -------
    dict
        The tables that are there, in the order of `TABLES`; None for one that has a fault.
    """
    places = _Places()
    for name, size in sorted(paths):
        parts = name.split("/")
        if not any(_is_hidden(part) for part in parts):
            places.add(parts, size)
    tables: dict[str, TableFiles | None] = {}
    for table in TABLES:
        readable, others = places.of_table(table)
        if len(readable) > 1:
            names = " and ".join(place.name for place in readable)
            findings.fault(f"{table}: is there more than once ({names}); keep one of them.")
            tables[table] = None
        elif readable:
            tables[table] = _take(table, readable[0], places.ignored, findings)
        for name in others:
            if readable:
                places.ignored[name] = f"ignored ({readable[0].name} is read)"
            else:
                findings.fault(f"{name}: {_describe(name)}")
                tables[table] = None
    _note_ignored(places.ignored, tables, findings)
    return tables


def may_hold_tables(folder: str) -> bool:
    """Tell whether a folder right under the folder of tables has to be searched for files."""
    return f"{folder.lower()}/" == _VECTORS or _table_of_folder(folder) is not None


@dataclass
class _Place:
    """A file or a folder that may be a table.

    Parameters
    ----------
    name
        For messages.
    files
        What can be read.
    others
        The names of files in other formats.
    """

    name: str
    files: list[TableFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class _Places:
    """Sorts files by the tables that their names say.

    `ignored` has the names of what is no table, with the note on it, "" for the usual one.
    """

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, _Place]] = {}
        self._files: dict[str, list[_Place]] = {}
        self._others: dict[str, list[str]] = {}
        self.ignored: dict[str, str] = {}

    def of_table(self, table: str) -> tuple[list[_Place], list[str]]:
        """Return the places that can be read, folders first, and the files in other formats."""
        order = list(ENDINGS)
        files = sorted(self._files.get(table, []), key=lambda place: order.index(split_ending(place.name)[1].lower()))
        return [*self._folders.get(table, {}).values(), *files], self._others.get(table, [])

    def add(self, parts: list[str], size: int) -> None:
        """Sort in one file, or a folder (the last part is empty)."""
        prefix = ""
        if len(parts) > 1 and f"{parts[0].lower()}/" == _VECTORS:
            prefix, parts = f"{parts[0]}/", parts[1:]
        head, rest = parts[0], parts[1:]
        if rest:
            self._add_to_folder(prefix + head, rest, size)
        elif head:
            self._add_file(prefix + head, size)

    def _add_file(self, name: str, size: int) -> None:
        """Sort in a file that stands beside the other tables."""
        stem, ending = split_ending(name)
        table = stem.lower()
        if ending and table in TABLES:
            self._files.setdefault(table, []).append(_Place(name, [_table_file(name, size)]))
        elif (table := _base(name).lower()) in TABLES and _other_format(name) is not None:
            self._others.setdefault(table, []).append(name)
        else:
            self.ignored[name] = ""

    def _add_to_folder(self, folder: str, rest: list[str], size: int) -> None:
        """Sort in a file of a folder."""
        table, name = _table_of_folder(folder), "/".join([folder, *rest])
        if table is None:
            self.ignored[f"{folder}/"] = ""
            return
        place = self._folders.setdefault(table, {}).setdefault(folder, _Place(f"{folder}/"))
        if split_ending(name)[1]:
            place.files.append(_table_file(name, size, rest[:-1]))
        elif _other_format(name) is not None:
            place.others.append(name)
        elif rest[-1]:
            self.ignored[name] = ""


def _take(table: str, place: _Place, ignored: dict[str, str], findings: Findings) -> TableFiles | None:
    """Return the files of a table's place, or None with a fault."""
    present = {file.form for file in place.files}
    forms = [form for form in dict.fromkeys(_FORMS.values()) if form in present]
    others = [name for name in place.others if not (forms and _other_format(name) == "text")]  # a README.txt
    ignored |= dict.fromkeys(set(place.others) - set(others), "")
    for name in others:
        findings.fault(f"{name}: {_describe(name)}")
    if len(forms) > 1:
        findings.fault(f"{place.name}: holds {forms[0]} beside {forms[1]} files; keep one format.")
    elif not forms and not others:
        findings.fault(f"{place.name}: holds no Parquet, CSV or JSON lines file; add one or remove it.")
    if len(forms) != 1 or others:
        return None
    return TableFiles(table, place.name, tuple(sorted(place.files, key=lambda file: file.name)))


def _is_hidden(part: str) -> bool:
    """Tell whether a file or folder is a system's, an office program's or Spark's own; partition folders are not."""
    return part.startswith((".", "~$")) or (part.startswith("_") and "=" not in part) or part.lower().endswith(".crc")


def split_ending(name: str) -> tuple[str, str]:
    """Split a file's name into what stands before its ending, and the ending: ``("users", ".csv.gz")``."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)], name[-len(ending) :]
    return name, ""


def _base(name: str) -> str:
    """Return a file's name up to the first dot."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.split('.')[0]}"


def _table_of_folder(folder: str) -> str | None:
    """Return the table that a folder is named after; Spark makes folders such as ``users.parquet/``."""
    names = (folder.lower(), split_ending(folder)[0].lower())
    return next((name for name in names if name in TABLES), None)


def _table_file(name: str, size: int, folders: Sequence[str] = ()) -> TableFile:
    """Describe a file by its name and the folders within its table."""
    pairs = [part.partition("=") for part in folders]
    values = {unquote(key): unquote(value) for key, equals, value in pairs if key and equals}
    columns = {key: None if value in {"", _MISSING} else value for key, value in values.items()}
    form, packing = ENDINGS[split_ending(name)[1].lower()]
    return TableFile(name, size, form, packing, columns)


def _other_format(name: str) -> str | None:
    """Return the format, of those that are not read, that a name ends in."""
    return _OTHER_ENDINGS.get(f".{name.rpartition('.')[2].lower()}") if "." in name else None


def _describe(name: str) -> str:
    """Say what a file is that is not read, and what to do."""
    what, advice = OTHER_FORMATS[_other_format(name) or "text"]
    return f"is {what}, which firstday does not read; {advice.format(base=_base(name))}."


def _note_ignored(ignored: Mapping[str, str], tables: Mapping[str, object], findings: Findings) -> None:
    """Note what is no table."""
    for name, text in list(ignored.items())[:_MAX_NOTES]:
        guess = next(_guesses(name, tables), None)
        hint = "" if guess is None else f"; did you mean {guess}?"
        findings.note(f"{name}: {text or f'ignored (not a table of firstday{hint})'}.")
    if len(ignored) > _MAX_NOTES:
        findings.note(f"{len(ignored) - _MAX_NOTES:,} more files and folders are ignored (not tables of firstday).")


def _guesses(name: str, tables: Mapping[str, object]) -> Iterator[str]:
    """Guess which table a file was meant to be, among those that are not there."""
    path, slash = name.rstrip("/"), "/" if name.endswith("/") else ""
    folder, _, last = path.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    stem, ending = split_ending(last)
    if not (ending or slash):
        stem = last.split(".")[0]
        if _other_format(last) is None:
            return
        ending = ".csv"
    known = {table.removeprefix(prefix.lower()): table for table in TABLES if table.startswith(prefix.lower())}
    words = re.findall("[a-z]+", stem.lower())
    for word in ["_".join(words), *words]:
        near = difflib.get_close_matches(word, known, 1, 0.75)
        if not prefix:
            near += [_OTHER_WORDS[other] for other in (word, word.removesuffix("s")) if other in _OTHER_WORDS]
        for match in near:
            if known[match] not in tables:
                yield f"{prefix}{match}{ending}{slash}"
