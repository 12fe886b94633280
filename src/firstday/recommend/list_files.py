"""Files of recommended lists; the file extension selects the format."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import polars as pl

from firstday.errors import ConfigError
from firstday.tables.find import ENDINGS, split_ending

LIST_ENDINGS = tuple(ending for ending, (_, packing) in ENDINGS.items() if packing != "zstd")
"""Supported extensions: those of tables, except Zstandard, which the standard library cannot write."""


@dataclass(frozen=True)
class ListForm:
    """File format of lists (``json`` stands for JSON lines), and whether the file is compressed with gzip."""

    format: Literal["parquet", "csv", "json"]
    separator: str = ","
    packed: bool = False


def find_list_form(name: str) -> ListForm:
    """Return the format for a file name; raise ConfigError if its extension is not in `LIST_ENDINGS`."""
    ending = split_ending(name)[1].lower()
    if ending not in LIST_ENDINGS:
        raise ConfigError(f"{name}: the extension is not supported for lists; use one of {', '.join(LIST_ENDINGS)}.")
    form, packing = ENDINGS[ending]
    formats: dict[str, Literal["parquet", "csv", "json"]] = {"Parquet": "parquet", "CSV": "csv", "JSON lines": "json"}
    return ListForm(formats[form], "\t" if ending.startswith(".tsv") else ",", packing == "gzip")


def write_list_file(lists: pl.DataFrame, path: Path, form: ListForm) -> None:
    """Write lists, one row per listed item."""
    with cast("IO[bytes]", gzip.open(path, "wb")) if form.packed else path.open("wb") as file:
        if form.format == "parquet":
            lists.write_parquet(file)
        elif form.format == "csv":
            lists.write_csv(file, separator=form.separator)
        else:
            lists.write_ndjson(file)


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
