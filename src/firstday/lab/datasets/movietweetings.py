"""MovieTweetings 100K: film ratings posted on Twitter, 28 February to 1 September 2013.

S. Dooms, T. De Pessemier, L. Martens, "MovieTweetings: a Movie Rating Dataset Collected From Twitter", CrowdRec at
RecSys 2013. MIT licence.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets.published import parse_seconds, read_files

FILE = "movietweetings_100k.zip"
RATINGS = "ratings.dat"
FILMS = "movies.dat"


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: a rating is a ``stream``.

    `path` is ``movietweetings_100k.zip``, the folder with its files, or the folder that contains the zip.
    """
    ratings, films = map(_split, read_files(path, FILE, (RATINGS, FILMS)).values())
    ratings = ratings.select(
        user_id=pl.col("field_0").cast(pl.Int64), item_id="field_1", timestamp=parse_seconds("field_3")
    )
    genre = pl.col("field_2").replace("", None).str.split("|")
    films = films.select(item_id="field_0", title="field_1", genre=genre)
    return {
        "interactions": ratings,
        "items": films.unique("item_id", keep="first", maintain_order=True),
    }


def _split(content: bytes) -> pl.DataFrame:
    """Split lines at double colons."""
    lines = pl.Series("line", content.decode().splitlines(), pl.String)
    return lines.str.split_exact("::", 3).struct.unnest()


SOURCE = Source(read_tables, file=FILE)
