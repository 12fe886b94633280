"""Deezer's PISA release: 700 million timed plays of 50,000 songs by 3.4 million users, March to August 2022.

V.-A. Tran, G. Salha-Galvan, B. Sguerra, R. Hennequin, "Transformers Meet ACT-R: Repeat-Aware and Sequential Listening
Session Recommendation", RecSys 2024; Zenodo record 13890194, which states its terms. Read by the layout that the
authors' code documents (https://github.com/deezer/recsys24-pisa): nobody has run this reader on the real files yet.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from firstday.data.findings import Findings
from firstday.data.ids import Ids
from firstday.data.raw_table import UNREADABLE, RawTable, first_line
from firstday.data.sources.deezer_kdd21 import parse_lists
from firstday.errors import DataError
from firstday.sparse import SparseRows

NAME = "deezer-pisa"
RECORD = "https://zenodo.org/records/13890194"
PLAYS, SONGS = "sessions", "svd_embeddings"
PLAY_COLUMNS = ("user_id", "product_track_id", "ts")
SONG_COLUMNS = ("product_track_id", "artist_id", "vector")


def read_deezer_pisa(path: str | Path, findings: Findings) -> dict[str, RawTable | None]:
    """Read a local copy: plays stay in their files; songs have an artist and a vector.

    The release has vectors of songs alone: a user's vector is the mean of those of the songs that they played, each
    weighed by its plays. Users have no profile, and when they registered is not known.

    Parameters
    ----------
    path
        The folder with ``sessions`` and ``svd_embeddings``, each a Parquet file or a folder of such files.
    findings
        Gets a note on where users' vectors come from.

    Raises
    ------
    DataError
        A file is missing or damaged, or lacks a column.
    """
    plays, songs = _scan(Path(path), PLAYS, PLAY_COLUMNS), _scan(Path(path), SONGS, SONG_COLUMNS)
    plays = plays.select(
        "user_id",
        item_id="product_track_id",
        timestamp=pl.from_epoch(pl.col("ts").cast(pl.Int64), "s").dt.replace_time_zone("UTC"),
    )
    try:
        known = songs.rename({"product_track_id": "item_id"}).collect()
        played = plays.group_by("user_id", "item_id").len().drop_nulls().collect(engine="streaming")
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)}); fetch the files again from {RECORD}.") from None
    known = known.with_columns(parse_lists(known["vector"], pl.Float32, f"{SONGS}: vector"))
    findings.note("embeddings/users: the release has none; a user's vector is the mean of those of the songs played.")
    return {
        "interactions": RawTable.of(plays),
        "items": RawTable.of(known.select("item_id", "artist_id")),
        "embeddings/items": RawTable.of(known.select("item_id", "vector")),
        "embeddings/users": RawTable.of(_average(played, known)),
    }


def _scan(folder: Path, name: str, columns: tuple[str, ...]) -> pl.LazyFrame:
    """Open a file of Parquet, or a folder of them, and take some columns.

    Raises
    ------
    DataError
        There is none, it is damaged, or it lacks a column.
    """
    place = next((place for place in (folder / name, folder / f"{name}.parquet") if place.exists()), None)
    if place is None:
        raise DataError(f"{folder}: has no {name} or {name}.parquet; fetch it from {RECORD}.")
    files = sorted(file for file in place.iterdir() if file.name[0] not in "._") if place.is_dir() else [place]
    if not files:
        raise DataError(f"{place}: is empty; fetch it again from {RECORD}.")
    try:
        rows = pl.scan_parquet(files, glob=False)
        names = rows.collect_schema().names()
    except UNREADABLE as error:
        raise DataError(f"{place}: cannot be read as Parquet ({first_line(error)}); fetch it again.") from None
    missing_names = [column for column in columns if column not in names]
    if missing_names:
        raise DataError(f"{place}: has no column {missing_names[0]} (its columns: {', '.join(names)}); see {RECORD}.")
    return rows.select(columns)


def _average(played: pl.DataFrame, songs: pl.DataFrame) -> pl.DataFrame:
    """Return the mean vector of the songs of each user who played one that has a vector."""
    d = int(songs["vector"].list.len().mode()[0]) if songs.height else 0
    songs = songs.filter(pl.col("item_id").is_not_null() & (pl.col("vector").list.len() == d)).unique("item_id")
    ids = Ids.of(songs["item_id"].sort())
    vectors = songs.sort("item_id")["vector"].explode().to_numpy().reshape(-1, d) if d else np.zeros((0, 0))
    users = played["user_id"].unique().sort()
    columns = ids.lookup(played["item_id"])
    has_vector = columns >= 0
    rows = Ids.of(users).lookup(played["user_id"])[has_vector]
    plays = played["len"].to_numpy()[has_vector]
    uses = SparseRows.from_pairs(rows, columns[has_vector], plays, len(users), len(ids))
    means = uses.mean_vectors(vectors.astype(np.float32), weighted=True)
    return (
        pl.DataFrame({"user_id": users, "vector": means})
        .with_columns(pl.col("vector").arr.to_list())
        .filter(pl.Series(uses.lengths() > 0))
    )
