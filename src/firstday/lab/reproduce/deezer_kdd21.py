"""The paper's released data (Zenodo record 5121674; PAPER, "The released data"): vectors, features and songs as arrays.

The files contain day ones only as features (mean vectors and counts). They are therefore not read as a `Dataset` and
bypass the encoder; all later stages apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.errors import DataError
from firstday.progress import Progress, no_progress
from firstday.sparse import SparseRows
from firstday.tables.raw_table import first_line

NAME = "deezer-kdd21"
RECORD = "https://zenodo.org/record/5121674"
Space = Literal["svd", "mf"]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SONGS = "song_embeddings.parquet"
USERS = "user_embeddings.parquet"
SIMULATED_KEY = "firstday.simulated"
"""Key in the Parquet metadata of simulated files."""

COUNTED_BLOCKS = (
    "favorite_songs",
    "favorite_artists",
    "favorite_albums",
    "favorite_playlists",
    "onboarding_like_artists",
    "skipped_songs",
    "skipped_artists",
    "skipped_albums",
    "streamed_songs",
    "streamed_artists",
    "streamed_albums",
    "banned_songs",
    "banned_artists",
    "banned_albums",
    "search_songs",
    "search_artists",
    "search_albums",
    "search_playlists",
)
"""Blocks of mean vectors that also have a count."""
BLOCKS = ("age", "country", *COUNTED_BLOCKS)
"""Blocks of d columns each, in file order; the counts and the age follow."""
COUNT_PREFIX = "nb_"
AGE_VALUE = "age_value"
SONG = "song_index"
USER = "user_index"
SONGS_OF_USER = "d1d30_songs"


@dataclass(frozen=True, eq=False)
class PaperUsers:
    """Users of one feature file."""

    ids: Ids  # `user_index` of each row
    features: np.ndarray  # `BLOCKS`, counts, age; missing values are 0; float32, shape (n_users, 20 d + 19)
    songs: SparseRows  # songs streamed in the 30 days after registration, shape (n_users, n_items), all weights 1

    def __len__(self) -> int:
        return len(self.ids)

    def block(self, name: str) -> np.ndarray:
        """Return the mean vectors of a block, a view of shape (n_users, d); zeros if a user has none."""
        d = (self.features.shape[1] - len(COUNTED_BLOCKS) - 1) // len(BLOCKS)
        first = BLOCKS.index(name) * d
        return self.features[:, first : first + d]

    def counts(self) -> np.ndarray:
        """Return the counts of `COUNTED_BLOCKS`, int64, shape (n_users, 18)."""
        return np.rint(self.features[:, -1 - len(COUNTED_BLOCKS) : -1]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PaperData:
    """The released data of one embedding space."""

    space: Space
    items: Ids  # `song_index` of each item
    item_vectors: np.ndarray  # float32, shape (n_items, d)
    user_vectors: np.ndarray  # mature vectors of the training users, float32, shape (n_train, d)
    train: PaperUsers
    validation: PaperUsers
    test: PaperUsers
    simulated: bool  # whether the files are simulated


def read_paper_data(folder: str | Path, space: Space, *, progress: Progress = no_progress) -> PaperData:
    """Read the released files of one embedding space: ``svd`` (TT-SVD) or ``mf`` (UT-ALS).

    Feature columns must be in the order of the release; their names are ignored. Lists may be Parquet lists or JSON
    text; rows may be in any order. Vectors of users who are not in the training file are ignored. Raises DataError if a
    file is missing or damaged, lacks columns, has vectors of another size, or refers to an unknown song or user.
    """
    folder = Path(folder)
    names = [SONGS, USERS, *(name_features(part, space) for part in PARTS)]
    parts: list[PaperUsers] = []
    try:
        simulated = any(SIMULATED_KEY in pl.read_parquet_metadata(folder / name) for name in names)
        progress("reading", 0, len(PARTS))
        items, item_vectors = _read_vectors(folder / SONGS, SONG, f"features_{space}")
        d = item_vectors.shape[1]
        owners, vectors = _read_vectors(folder / USERS, USER, f"{space}_embeddings", d)
        for part in PARTS:
            parts.append(_read_users(folder / name_features(part, space), items, d))
            progress("reading", len(parts), len(PARTS))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{folder}: cannot be read as the paper's released files ({first_line(error)}); "
            f"download them from {RECORD}."
        ) from error
    train, validation, test = parts
    rows = owners.lookup(train.ids.values)
    _refuse(USERS, rows < 0, "training users have no vector")
    return PaperData(space, items, item_vectors, vectors[rows], train, validation, test, simulated)


def name_features(part: Part, space: Space) -> str:
    """Return the name of a feature file."""
    return f"user_features_{part}_{space}.parquet"


def _refuse(name: str, is_bad: np.ndarray, what: str) -> None:
    """Raise DataError if any row or entry of a file is bad; `what` says how."""
    if is_bad.any():
        raise DataError(
            f"{name}: {is_bad.sum():,} of {is_bad.size:,} {what}; use files of the same release ({RECORD})."
        )


def _read_users(path: Path, items: Ids, d: int) -> PaperUsers:
    """Read a feature file; missing features become 0."""
    ids, lists = _read_lists(path, USER, SONGS_OF_USER, items.values.dtype)
    entries = pl.DataFrame({"row": np.arange(len(lists)), "song": lists}).explode("song").drop_nulls("song")
    columns = items.lookup(entries["song"])
    _refuse(path.name, columns < 0, f"entries of {SONGS_OF_USER} are not in {SONGS}")
    songs = SparseRows.from_pairs(entries["row"].to_numpy(), columns, None, len(lists), len(items)).ones()
    names = [name for name in pl.read_parquet_schema(path) if name not in (USER, SONGS_OF_USER)]
    n_names = len(BLOCKS) * d + len(COUNTED_BLOCKS) + 1
    if len(names) != n_names:
        raise DataError(
            f"{path.name}: has {len(names)} feature columns instead of {n_names} for vectors of {d} numbers; use files "
            f"of the same release ({RECORD})."
        )
    features = pl.read_parquet(path, columns=names, glob=False).cast(pl.Float32).fill_nan(0).fill_null(0)
    return PaperUsers(ids, features.to_numpy(order="c"), songs)


def _read_lists(path: Path, index: str, name: str, inner: pl.DataType | type[pl.DataType]) -> tuple[Ids, pl.Series]:
    """Read ids and their lists, stored as Parquet lists or JSON text."""
    ids, lists = pl.read_parquet(path, columns=[index, name], glob=False)[[index, name]]
    if lists.dtype == pl.String:
        lists = lists.str.json_decode(pl.List(inner))
    return Ids.of(ids), lists.cast(pl.List(inner))


def _read_vectors(path: Path, index: str, name: str, d: int | None = None) -> tuple[Ids, np.ndarray]:
    """Read ids and their vectors of d numbers, float32, shape (n_rows, d)."""
    ids, lists = _read_lists(path, index, name, pl.Float32)
    return ids, lists.cast(pl.Array(pl.Float32, d or max(lists.list.len(), default=0))).to_numpy()
