"""The paper's released data (Zenodo record 5121674; PAPER, "The released data"): vectors, features and songs as arrays.

The files contain day ones only as features (mean vectors and counts). They are therefore not a `Dataset` and bypass the
encoder; all later stages apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.errors import DataError, count_of
from firstday.progress import Progress, no_progress
from firstday.sparse import SparseRows
from firstday.tables.raw_table import first_line

NAME = "deezer-kdd21"
RECORD = "https://zenodo.org/record/5121674"
Space = Literal["svd", "mf"]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SONGS, USERS = "song_embeddings.parquet", "user_embeddings.parquet"
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
"""Blocks of d columns each, in file order; followed by the counts, then the age."""
COUNT_PREFIX, AGE_VALUE = "nb_", "age_value"
SONG, USER, SONGS_OF_USER = "song_index", "user_index", "d1d30_songs"


@dataclass(frozen=True, eq=False)
class PaperUsers:
    """Users of one feature file.

    Parameters
    ----------
    ids
        `user_index` of each row.
    features
        Blocks in the order of `BLOCKS`, counts, age; missing values are 0: float32, shape (n_users, 20 d + 19).
    songs
        Songs streamed in the 30 days after registration, shape (n_users, n_items), all weights 1.
    """

    ids: Ids
    features: np.ndarray
    songs: SparseRows

    def __len__(self) -> int:
        return len(self.ids)

    def block(self, name: str) -> np.ndarray:
        """Return the mean vectors of a block, a view of shape (n_users, d); zeros if a user has none."""
        d = (self.features.shape[1] - len(COUNTED_BLOCKS) - 1) // len(BLOCKS)
        first = BLOCKS.index(name) * d
        return self.features[:, first : first + d]

    def counts(self) -> np.ndarray:
        """Return the counts of `COUNTED_BLOCKS`, int64, shape (n_users, 18)."""
        counts: np.ndarray = np.rint(self.features[:, -1 - len(COUNTED_BLOCKS) : -1]).astype(np.int64)
        return counts


@dataclass(frozen=True, eq=False)
class PaperData:
    """The released data of one embedding space.

    Parameters
    ----------
    space
        ``svd`` or ``mf``.
    items
        `song_index` of each item.
    item_vectors
        float32, shape (n_items, d).
    user_vectors
        Mature vectors of the training users, in their order: float32, shape (n_train, d).
    train, validation, test
        Users of each part.
    simulated
        Whether the files are simulated.
    notes
        Sentences on what was ignored.
    """

    space: Space
    items: Ids
    item_vectors: np.ndarray
    user_vectors: np.ndarray
    train: PaperUsers
    validation: PaperUsers
    test: PaperUsers
    simulated: bool
    notes: tuple[str, ...] = ()


def read_paper_data(folder: str | Path, space: Space, *, progress: Progress = no_progress) -> PaperData:
    """Read the released files of one embedding space: ``svd`` (TT-SVD) or ``mf`` (UT-ALS).

    Feature columns are read in the order of the release, whatever number their names start from. Lists may be Parquet
    lists or JSON text; rows may be in any order.

    Raises
    ------
    DataError
        A file is missing or damaged, lacks columns, has vectors of another size, refers to an unknown song or user,
        repeats a user, or has a validation or test user without streamed songs.
    """
    folder = Path(folder)
    names = [SONGS, USERS, *(name_features(part, space) for part in PARTS)]
    if not folder.is_dir():
        fault = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {fault}; give the folder of the paper's released files ({RECORD}).")
    missing_names = [name for name in names if not (folder / name).is_file()]
    if missing_names:
        raise DataError(f"{folder}: has no {', '.join(missing_names)}; fetch what is missing from {RECORD}.")
    parts: list[PaperUsers] = []
    try:
        progress("reading", 0, len(names))
        items, item_vectors = _read_vectors(folder / SONGS, SONG, f"features_{space}")
        progress("reading", 1, len(names))
        owners, vectors = _read_vectors(folder / USERS, USER, f"{space}_embeddings")
        d = item_vectors.shape[1]
        _refuse_other_release(vectors.shape[1] != d, USERS, f"has vectors of {vectors.shape[1]} numbers, not {d}")
        for n_read, name in enumerate(names[2:], 2):
            progress("reading", n_read, len(names))
            parts.append(_read_users(folder / name, items, d))
        progress("reading", len(names), len(names))
        simulated = any(SIMULATED_KEY in pl.read_parquet_metadata(folder / name) for name in names)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{folder}: cannot be read ({first_line(error)}); fetch the files again.") from error
    n_idle, *n_unjudged = (int((users.songs.lengths() == 0).sum()) for users in parts)
    for name, users, n in zip(names[3:], parts[1:], n_unjudged, strict=True):
        what = f"has {count_of(n, len(users), 'users')} without any of {SONGS_OF_USER} to judge lists by"
        _refuse_other_release(n, name, what)
    train, validation, test = parts
    rows = owners.lookup(train.ids.values)
    n_bare = int((rows < 0).sum())
    _refuse_other_release(n_bare, USERS, f"has no vector for {count_of(n_bare, len(train), 'training users')}")
    notes = []
    if n_idle:
        notes.append(
            f"{count_of(n_idle, len(train), 'training users')} streamed nothing in their 30 days; they have a vector, "
            "and count in no list."
        )
    if len(owners) > len(train):
        notes.append(f"{USERS}: {len(owners) - len(train):,} users are not in {names[2]} and were ignored.")
    return PaperData(space, items, item_vectors, vectors[rows], train, validation, test, simulated, tuple(notes))


def name_features(part: Part, space: Space) -> str:
    """Return the name of a feature file."""
    return f"user_features_{part}_{space}.parquet"


def _refuse_other_release(is_other: object, name: str, what: str) -> None:
    """Raise DataError if a file does not match the others."""
    if is_other:
        raise DataError(f"{name}: {what}; take all files from the same release.")


def _read_users(path: Path, items: Ids, d: int) -> PaperUsers:
    """Read a feature file."""
    ids, lists = _read_lists(path, USER, SONGS_OF_USER, items.values.dtype)
    entries = pl.DataFrame({"row": np.arange(len(lists)), "song": lists}).explode("song").drop_nulls("song")
    columns = items.lookup(entries["song"])
    n_stray = int((columns < 0).sum())
    what = f"has {count_of(n_stray, len(columns), 'entries')} of {SONGS_OF_USER} that {SONGS} lacks"
    _refuse_other_release(n_stray, path.name, what)
    songs = SparseRows.from_pairs(entries["row"].to_numpy(), columns, None, len(lists), len(items)).ones()
    return PaperUsers(ids, _read_features(path, d), songs)


def _read_lists(path: Path, index: str, name: str, inner: pl.DataType | type[pl.DataType]) -> tuple[Ids, pl.Series]:
    """Read unique ids and their lists, stored as Parquet lists or JSON text."""
    table = pl.read_parquet(path, columns=[index, name], glob=False)
    ids, lists = table[index], table[name]
    n_bad = int((ids.is_null() | ids.is_duplicated()).sum())
    what = f"has {count_of(n_bad, len(ids), 'rows')} without {index} or with a repeated one"
    _refuse_other_release(n_bad, path.name, what)
    if lists.dtype == pl.String:
        lists = lists.str.json_decode(pl.List(inner))
    return Ids.of(ids), lists.cast(pl.List(inner))


def _read_vectors(path: Path, index: str, name: str) -> tuple[Ids, np.ndarray]:
    """Read ids and their vectors, float32, shape (n_rows, d)."""
    ids, lists = _read_lists(path, index, name, pl.Float32)
    d = max(lists.list.len().fill_null(0), default=0)
    numbers = lists.explode().to_numpy()
    is_other = len(numbers) != len(ids) * d or not np.isfinite(numbers).all()
    _refuse_other_release(is_other, path.name, f"has {name} of other sizes than {d} or with missing numbers")
    return ids, np.array(numbers.reshape(len(ids), d), dtype=np.float32)


def _read_features(path: Path, d: int) -> np.ndarray:
    """Read the features of all users into one array, a block of columns at a time; missing values become 0."""
    names = [name for name in pl.read_parquet_schema(path) if name not in (USER, SONGS_OF_USER)]
    starts = [block for block in BLOCKS for _ in range(d)]
    starts += [*(COUNT_PREFIX + block for block in COUNTED_BLOCKS), AGE_VALUE]
    is_other = len(names) != len(starts) or not all(map(str.startswith, names, starts))
    what = f"does not have {d} columns of each block ({', '.join(BLOCKS)}), then the counts and {AGE_VALUE}"
    _refuse_other_release(is_other, path.name, what)
    features = np.empty((pl.scan_parquet(path, glob=False).select(pl.len()).collect().item(), len(names)), np.float32)
    for first in range(0, len(names), d):
        rows = pl.read_parquet(path, columns=names[first : first + d], glob=False)
        features[:, first : first + d] = rows.cast(pl.Float32).fill_nan(0).fill_null(0).to_numpy()
    _refuse_other_release(np.isinf(features).any(), path.name, "has features that are infinite")
    return features
