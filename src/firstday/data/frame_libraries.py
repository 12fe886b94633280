"""Conversion to the caller's data frame library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import polars as pl

from firstday.errors import ConfigError, FirstdayError

Library = Literal["polars", "pandas", "pyarrow"]


def give_frame(frame: pl.DataFrame, library: Library = "polars") -> Any:
    """Convert a data frame to another library; raise FirstdayError if the library is unsupported or not installed."""
    if library not in get_args(Library):
        raise ConfigError(f"library: is {library!r}; give one of {', '.join(map(repr, get_args(Library)))}.")
    try:
        if library == "pandas":
            return frame.to_pandas()
        return frame.to_arrow() if library == "pyarrow" else frame
    except ImportError:
        needed = "pandas pyarrow" if library == "pandas" else "pyarrow"
        raise FirstdayError(f"library: {library!r} needs what is not installed; run: pip install {needed}.") from None


def library_of(tables: object) -> Library:
    """Return the library of data frames given by table name; Polars for anything else."""
    frames = tables.values() if isinstance(tables, Mapping) else ()
    homes = {type(frame).__module__.partition(".")[0] for frame in frames}
    return next((library for library in get_args(Library) if homes == {library}), "polars")
