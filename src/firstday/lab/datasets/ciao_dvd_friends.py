"""CiaoDVD to the end of 2005, with trust as of late 2013 as friends.

Trust has no times, so friends of a newcomer include those made up to eight years later: features that know the future.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets import ciao_dvd

FILE = "ciao_dvd_2000_2005_trust.parquet"


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read the tables of ``ciao-dvd`` and the friends; `path` is the folder with both files, or one of them."""
    folder = Path(path)
    folder = folder if folder.is_dir() else folder.parent
    return {**ciao_dvd.read_tables(folder), "friends": pl.read_parquet(folder / FILE, glob=False)}


SOURCE = Source(read_tables, file=FILE)
