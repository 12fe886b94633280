"""Reading a folder of Parquet and CSV files into raw tables, with a fault for everything that cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import polars as pl

from firstday.data.tables import TABLES, Findings, RawTable

ENDINGS = (".parquet", ".csv", ".csv.gz")
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, UnicodeError, zlib.error)


def read_folder(folder: Path, findings: Findings) -> dict[str, RawTable | None]:
    """Read every table in a folder.

    Parameters
    ----------
    folder
        Holds, for each table, ``NAME.parquet``, ``NAME.csv``, ``NAME.csv.gz`` or a folder ``NAME`` of such files.
    findings
        Gets the faults and notes.

    Returns
    -------
    dict
        The tables that are there, by name; None for one that cannot be read.
    """
    tables: dict[str, RawTable | None] = {}
    for name in TABLES:
        places = [place for ending in ("", *ENDINGS) if (place := folder / f"{name}{ending}").exists()]
        if len(places) > 1:
            found = " and ".join(_shown(place, folder) for place in places)
            findings.faults.append(f"{name}: is there more than once ({found}); keep one of them.")
            tables[name] = None
        elif places:
            tables[name] = _read_place(name, places[0], folder, findings)
    used = {folder / f"{name}{ending}" for name in TABLES for ending in ("", *ENDINGS)} | {folder / "embeddings"}
    for place in sorted([*folder.glob("*"), *folder.glob("embeddings/*")]):
        if place not in used and (place.is_dir() or place.name.endswith(ENDINGS)) and place.name[0] not in "._":
            findings.notes.append(f"{_shown(place, folder)}: ignored (not a table of firstday).")
    return tables


def _shown(place: Path, folder: Path) -> str:
    """Name a file or folder as seen from the folder of tables."""
    return place.relative_to(folder).as_posix() + ("/" if place.is_dir() else "")


def _read_place(name: str, place: Path, folder: Path, findings: Findings) -> RawTable | None:
    """Read a table from its file, or from its folder of files."""
    files = [place]
    if place.is_dir():
        files = sorted(part for part in place.iterdir() if part.name.endswith(ENDINGS) and part.name[0] not in "._")
        if not files:
            findings.faults.append(f"{_shown(place, folder)}: holds no Parquet or CSV file; add one or remove it.")
            return None
    are_text = {not part.name.endswith(".parquet") for part in files}
    if len(are_text) > 1:
        findings.faults.append(f"{_shown(place, folder)}: holds Parquet beside CSV files; keep one format.")
        return None
    frames = [_read_file(part, _shown(part, folder), findings) for part in files]
    whole = [frame for frame in frames if frame is not None]
    if len(whole) < len(frames):
        return None
    for part, frame in zip(files, whole, strict=True):
        if set(frame.columns) != set(whole[0].columns):
            findings.faults.append(
                f"{_shown(part, folder)}: has other columns ({', '.join(frame.columns)}) than {files[0].name} "
                f"({', '.join(whole[0].columns)}); give every file of {name} the same columns."
            )
            return None
    try:
        joined = pl.concat([frame.select(whole[0].columns) for frame in whole], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        said = _first_line(error)
        findings.faults.append(
            f"{_shown(place, folder)}: the files have columns of different types ({said}); align them."
        )
        return None
    return RawTable(joined, is_text=are_text.pop())


def _read_file(path: Path, shown: str, findings: Findings) -> pl.DataFrame | None:
    """Read one file."""
    try:
        if path.name.endswith(".parquet"):
            return pl.read_parquet(path, glob=False, hive_partitioning=False)
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        content.decode()  # Polars takes a header that is not UTF-8 as it is
        frame = pl.read_csv(io.BytesIO(content), infer_schema=False)
    except pl.exceptions.NoDataError:
        findings.faults.append(f"{shown}: is empty; write a header and rows, or remove it.")
        return None
    except UNREADABLE as error:
        kind = "Parquet" if path.name.endswith(".parquet") else "CSV"
        findings.faults.append(f"{shown}: cannot be read as {kind} ({_first_line(error)}); write the file again.")
        return None
    repeated = [column for column in frame.columns if column.split("_duplicated_")[0] != column]
    if repeated:
        name = repeated[0].split("_duplicated_")[0]
        findings.faults.append(f"{shown}: has the column {name} more than once; keep one of them.")
        return None
    short = _short_row(content, frame)
    if short:
        findings.faults.append(
            f"{shown}: rows have fewer fields than the header's {frame.width} (first: row {short:,}); "
            "write the file again, with quotes around text that has commas or line breaks."
        )
        return None
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines


def _short_row(content: bytes, frame: pl.DataFrame) -> int | None:
    """Return the number of the first CSV row, from 1, that lacks fields (Polars fills them with nulls), or None."""
    if b'"' not in content and content.count(b",") == (frame.height + 1) * (frame.width - 1):
        return None
    try:
        rows = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=""))
        lengths = [len(row) for row in rows if row][1:]
    except csv.Error:  # a field too long for the csv module; Polars has read it
        return None
    return next((number for number, length in enumerate(lengths, 1) if length < frame.width), None)


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without a closing dot."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
