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
RATINGS, FILMS = "ratings.dat", "movies.dat"


def read_movietweetings(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: a rating is a ``stream``, and the first rating is the registration.

    `path` is ``movietweetings_100k.zip``, the folder with its files, or a folder that contains either.
    """
    files = read_files(path, FOLDER, (RATINGS, FILMS))
    ratings = _split(files[RATINGS], 4).select(
        user_id=pl.col("1").cast(pl.Int64),
        item_id="2",
        timestamp=pl.from_epoch(pl.col("4").cast(pl.Int64), "s").dt.replace_time_zone("UTC"),
    )
    films = _split(files[FILMS], 3).select(item_id="1", title="2", genre=pl.col("3").replace("", None).str.split("|"))
    return {
        "interactions": ratings,
        "users": ratings.group_by("user_id").agg(registered_at=pl.col("timestamp").min()),
        "items": films.unique("item_id", keep="first", maintain_order=True),
    }


def _split(content: bytes, n_fields: int) -> pl.DataFrame:
    """Split lines at ``::`` into columns named "1", "2", ..."""
    lines = pl.Series(content.decode("utf-8").splitlines(), dtype=pl.String)
    fields = lines.str.split("::").list.to_struct(fields=[str(number) for number in range(1, n_fields + 1)])
    return fields.struct.unnest()
