"""Conversion to the caller's data frame library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import polars as pl

from firstday.errors import ConfigError, FirstdayError

Library = Literal["polars", "pandas", "pyarrow"]


def to_library(frame: pl.DataFrame, library: Library = "polars") -> Any:
    """Convert a data frame to another library; raise FirstdayError if the library is unsupported or not installed."""
    names = get_args(Library)
    if library not in names:
        raise ConfigError(f"library: is {library!r}; give one of {', '.join(map(repr, names))}.")
    try:
        if library == "pandas":
            return frame.to_pandas()
        return frame.to_arrow() if library == "pyarrow" else frame
    except ImportError:
        raise FirstdayError(f"library: {library!r} is not installed; run: pip install pandas pyarrow.") from None


def library_of(tables: object) -> Library:
    """Return the library of a mapping of data frames; Polars for mixed libraries and anything else."""
    frames = tables.values() if isinstance(tables, Mapping) else ()
    modules = {type(frame).__module__.partition(".")[0] for frame in frames}
    return next((library for library in get_args(Library) if modules == {library}), "polars")
