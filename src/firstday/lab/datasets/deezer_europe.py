"""Deezer Europe: 28,281 users with liked artists, mutual followers and gender.

B. Rozemberczki and R. Sarkar, "Characteristic Functions on Graphs: Birds of a Feather, from Statistical Descriptors
to Parametric Models", CIKM 2020; published by SNAP as ``deezer_europe.zip``.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from firstday.datasets import Source
from firstday.lab.datasets.published import read_files

FILE = "deezer_europe.zip"
FEATURES_FILE = "deezer_europe_features.json"
EDGES = "deezer_europe_edges.csv"
TARGET = "deezer_europe_target.csv"


def read_tables(path: str | Path) -> dict[str, pl.DataFrame]:
    """Read a local copy as tables: artists are the items, and a like is the signal ``favorite``.

    `path` is ``deezer_europe.zip``, the folder with its files, or the folder that contains the zip.
    """
    files = read_files(path, FILE, (FEATURES_FILE, EDGES, TARGET))
    artists = json.loads(files[FEATURES_FILE])
    likes = pl.DataFrame({"user_id": [int(user) for user in artists], "item_id": [*artists.values()]})
    edges = pl.read_csv(files[EDGES]).select(user_id="node_1", friend_id="node_2").cast(pl.Int64)
    users = pl.read_csv(files[TARGET]).select(user_id="id", gender="target")
    likes = likes.explode("item_id").drop_nulls()
    return {
        "interactions": likes.with_columns(pl.col("item_id").cast(pl.Int64), signal=pl.lit("favorite")),
        "users": users.cast({"user_id": pl.Int64, "gender": pl.String}),
        "friends": pl.concat([edges, edges.select(user_id="friend_id", friend_id="user_id")]),
    }


SOURCE = Source(read_tables, file=FILE, preset=Path(__file__).with_name("deezer-europe.toml"))
