"""MovieTweetings 100K: film ratings posted on Twitter, 28 February to 1 September 2013.

S. Dooms, T. De Pessemier, L. Martens, "MovieTweetings: a Movie Rating Dataset Collected From Twitter", CrowdRec at
RecSys 2013. MIT licence.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from firstday.data.sources.published import read_files

NAME = "movietweetings"
FOLDER = "movietweetings_100k"
RATINGS = "ratings.dat"
FILMS = "movies.dat"


def read_movietweetings(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: a rating is a ``stream``, and the first rating is the registration.

    `path` is ``movietweetings_100k.zip``, the folder with its files, or the folder that contains the zip.
    """
    files = read_files(path, FOLDER, (RATINGS, FILMS))
    ratings, films = (
        pl.Series("line", files[name].decode().splitlines(), pl.String).str.split_exact("::", 3).struct.unnest()
        for name in (RATINGS, FILMS)
    )
    ratings = ratings.select(
        user_id=pl.col("field_0").cast(pl.Int64),
        item_id="field_1",
        timestamp=pl.from_epoch(pl.col("field_3").cast(pl.Int64), "s").dt.replace_time_zone("UTC"),
    )
    genre = pl.col("field_2").replace("", None).str.split("|")
    films = films.select(item_id="field_0", title="field_1", genre=genre)
    return {
        "interactions": ratings,
        "users": ratings.group_by("user_id").agg(registered_at=pl.col("timestamp").min()),
        "items": films.unique("item_id", keep="first", maintain_order=True),
    }
