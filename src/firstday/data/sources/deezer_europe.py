"""Deezer Europe: 28,281 users, the artists they like, their mutual followers and their gender.

B. Rozemberczki and R. Sarkar, "Characteristic Functions on Graphs: Birds of a Feather, from Statistical Descriptors
to Parametric Models", CIKM 2020; published by SNAP as ``deezer_europe.zip``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl

from firstday.data.sources.local_copy import read_local_copy
from firstday.errors import DataError

NAME = "deezer-europe"
FOLDER = "deezer_europe"
FEATURES = "deezer_europe_features.json"
EDGES = "deezer_europe_edges.csv"
TARGET = "deezer_europe_target.csv"
COUNTS = {"users": 28_281, "likes": 958_475, "artists": 30_978, "edges": 92_752}


def read_deezer_europe(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables of firstday: artists are the items, a like is the signal ``favorite``.

    Parameters
    ----------
    path
        ``deezer_europe.zip``, the folder with its files, or the folder that holds either.

    Raises
    ------
    DataError
        A file is missing or damaged, or the counts are not those of the published dataset.
    """
    files = read_local_copy(path, FOLDER, (FEATURES, EDGES, TARGET))
    try:
        artists_of = json.loads(files[FEATURES])
        likes = pl.DataFrame({"user_id": [int(user) for user in artists_of], "item_id": [*artists_of.values()]})
        likes = (
            likes.explode("item_id")
            .drop_nulls()
            .with_columns(pl.col("item_id").cast(pl.Int64), signal=pl.lit("favorite"))
        )
        edges = pl.read_csv(io.BytesIO(files[EDGES])).select(
            user_id=pl.col("node_1").cast(pl.Int64), friend_id=pl.col("node_2").cast(pl.Int64)
        )
        people = pl.read_csv(io.BytesIO(files[TARGET])).select(
            user_id=pl.col("id").cast(pl.Int64), gender=pl.col("target").cast(pl.String)
        )
    except (ValueError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: is not the Deezer Europe dataset ({reason}); download the zip again.") from None
    n_artists = likes["item_id"].n_unique()
    counts = {"users": people.height, "likes": likes.height, "artists": n_artists, "edges": edges.height}
    if counts != COUNTS:
        actual = ", ".join(f"{n:,} {noun}" for noun, n in counts.items())
        expected = ", ".join(f"{n:,} {noun}" for noun, n in COUNTS.items())
        raise DataError(
            f"{path}: is not the whole Deezer Europe dataset ({actual}, not {expected}); download the zip again."
        )
    return {
        "interactions": likes,
        "users": people,
        "friends": pl.concat([edges, edges.select(user_id="friend_id", friend_id="user_id")]),
    }
