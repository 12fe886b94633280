"""Files of recommended lists; the file extension selects the format."""

from __future__ import annotations

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
