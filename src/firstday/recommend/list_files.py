"""Files of recommended lists; the file extension selects the format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from firstday.errors import ConfigError
from firstday.tables.find import ENDINGS, Format, split_ending

LIST_ENDINGS = tuple(ending for ending, (_, packing) in ENDINGS.items() if packing != "zstd")
"""Supported extensions: those of tables, except Zstandard."""
ListFormat = Literal["parquet", "csv", "json"]
_FORMATS: Mapping[Format, ListFormat] = {"Parquet": "parquet", "CSV": "csv", "JSON lines": "json"}


@dataclass(frozen=True)
class ListForm:
    """File format of lists (``json`` stands for JSON lines), and whether the file is compressed with gzip."""

    format: ListFormat
    separator: str = ","
    packed: bool = False


def find_list_form(name: str) -> ListForm:
    """Return the format for a file name; raise ConfigError if its extension is not in `LIST_ENDINGS`."""
    ending = split_ending(name)[1].lower()
    if ending not in LIST_ENDINGS:
        raise ConfigError(f"{name}: the extension is not supported for lists; use one of {', '.join(LIST_ENDINGS)}.")
    rows, packing = ENDINGS[ending]
    separator = "\t" if ending.startswith(".tsv") else ","
    return ListForm(_FORMATS[rows], separator, packing == "gzip")


def write_list_file(lists: pl.DataFrame, path: Path, form: ListForm) -> None:
    """Write lists, one row per listed item."""
    compression: Literal["gzip", "uncompressed"] = "gzip" if form.packed else "uncompressed"
    if form.format == "parquet":
        lists.write_parquet(path)
    elif form.format == "csv":
        lists.write_csv(path, separator=form.separator, compression=compression, check_extension=False)
    else:
        lists.write_ndjson(path, compression=compression, check_extension=False)


def read_list_file(path: Path) -> pl.DataFrame:
    """Read lists, all columns of CSV as strings; raise ConfigError if the file cannot be read."""
    form = find_list_form(str(path))
    try:
        if form.format == "parquet":
            return pl.read_parquet(path)
        content = gzip.decompress(path.read_bytes()) if form.packed else path.read_bytes()
        if form.format == "csv":
            return pl.read_csv(content, separator=form.separator, infer_schema=False)
        return pl.read_ndjson(content)
    except (pl.exceptions.PolarsError, zlib.error, OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read as lists ({str(error).splitlines()[0]}); write it again.") from None
