"""Deezer Europe: 28,281 users with liked artists, mutual followers and gender.

B. Rozemberczki and R. Sarkar, "Characteristic Functions on Graphs: Birds of a Feather, from Statistical Descriptors
to Parametric Models", CIKM 2020; published by SNAP as ``deezer_europe.zip``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl

from firstday.data.sources.published import read_files

NAME = "deezer-europe"
FOLDER = "deezer_europe"
FEATURES_FILE = "deezer_europe_features.json"
EDGES = "deezer_europe_edges.csv"
TARGET = "deezer_europe_target.csv"


def read_deezer_europe(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: artists are the items, and a like is the signal ``favorite``.

    `path` is ``deezer_europe.zip``, the folder with its files, or the folder that contains the zip.
    """
    files = read_files(path, FOLDER, (FEATURES_FILE, EDGES, TARGET))
    artists = json.loads(files[FEATURES_FILE])
    likes = pl.DataFrame({"user_id": [int(user) for user in artists], "item_id": [*artists.values()]})
    edges = pl.read_csv(io.BytesIO(files[EDGES])).select(
        user_id=pl.col("node_1").cast(pl.Int64), friend_id=pl.col("node_2").cast(pl.Int64)
    )
    users = pl.read_csv(io.BytesIO(files[TARGET])).select(
        user_id=pl.col("id").cast(pl.Int64), gender=pl.col("target").cast(pl.String)
    )
    return {
        "interactions": likes.explode("item_id")
        .drop_nulls()
        .with_columns(pl.col("item_id").cast(pl.Int64), signal=pl.lit("favorite")),
        "users": users,
        "friends": pl.concat([edges, edges.select(user_id="friend_id", friend_id="user_id")]),
    }
