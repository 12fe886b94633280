"""The paper's released data (Zenodo record 5121674; PAPER, "The released data"): vectors, features and songs as arrays.

What users did on day one is in these files only as features: mean vectors and counts. So they are no `Dataset`, and the
encoder has no part in them; everything after it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.data.rows import SparseRows
from firstday.data.sources.kdd21_columns import (
    BLOCKS,
    COUNTED_BLOCKS,
    SONG,
    SONGS_OF_USER,
    USER,
    read_features,
    read_index,
    read_songs,
    read_vectors,
)
from firstday.errors import DataError, count_of

NAME = "deezer-kdd21"
RECORD = "https://zenodo.org/record/5121674"
Space = Literal["svd", "mf"]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SONGS, USERS = "song_embeddings.parquet", "user_embeddings.parquet"
SIMULATED_KEY = "firstday.simulated"
"""Key in a file's Parquet metadata which says that its content is invented."""

Progress = Callable[[str, int, int], None]


def name_features(part: Part, space: Space) -> str:
    """Return the name of a file of users' features."""
    return f"user_features_{part}_{space}.parquet"


@dataclass(frozen=True, eq=False)
class PaperUsers:
    """The users of one file of features.

    Parameters
    ----------
    ids
        The file's `user_index`, in the order of its rows.
    features
        float32, shape (n_users, 20 d + 19): blocks in the order of `BLOCKS`, counts, age. Missing values are 0.
    songs
        Songs streamed in the 30 days after registration, shape (n_users, n_items), all weights 1.
    """

    ids: Ids
    features: np.ndarray
    songs: SparseRows

    def __len__(self) -> int:
        return len(self.ids)

    def block(self, name: str) -> np.ndarray:
        """Return a block's mean vectors, a view of shape (n_users, d), zeros where there was nothing."""
        d = (self.features.shape[1] - len(COUNTED_BLOCKS) - 1) // len(BLOCKS)
        at = BLOCKS.index(name) * d
        return self.features[:, at : at + d]

    def counts(self) -> np.ndarray:
        """Return how many there were in each of `COUNTED_BLOCKS`, int64, shape (n_users, 18)."""
        counts: np.ndarray = np.rint(self.features[:, -1 - len(COUNTED_BLOCKS) : -1]).astype(np.int64)
        return counts


@dataclass(frozen=True, eq=False)
class PaperData:
    """The released data of one space.

    Parameters
    ----------
    space
        ``svd`` or ``mf``.
    items
        The `song_index` of each item.
    item_vectors
        float32, shape (n_items, d).
    user_vectors
        Mature vectors of the training users, float32, shape (n_train, d), in their order.
    train, validation, test
        The users.
    simulated
        Whether the files say that they are invented.
    notes
        Sentences about what was ignored.
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


def read_paper_data(
    folder: str | Path, space: Space, *, progress: Progress = lambda _stage, _done, _total: None
) -> PaperData:
    """Read the released files of one space.

    Parameters
    ----------
    folder
        Where they are.
    space
        ``svd`` (TT-SVD) or ``mf`` (UT-ALS).
    progress
        Called as files are read.

    Returns
    -------
    PaperData
        Columns are found by the beginning of their name and the number at its end, whether that counts from 0 or 1;
        lists may be Parquet's or JSON text; rows may come in any order.

    Raises
    ------
    DataError
        A file is missing or damaged, lacks columns, has vectors of another size, names a song or a user that is not
        there or a user twice, or has a user to judge whose list cannot be judged since they streamed nothing.
    """
    folder = Path(folder)
    names = [SONGS, USERS, *(name_features(part, space) for part in PARTS)]
    _find_files(folder, names)
    try:
        progress("reading", 0, len(names))
        items, item_vectors = read_vectors(folder / SONGS, SONG, f"features_{space}")
        progress("reading", 1, len(names))
        owners, vectors = read_vectors(folder / USERS, USER, f"{space}_embeddings")
        d = item_vectors.shape[1]
        if vectors.shape[1] != d:
            raise DataError(
                f"{USERS}: vectors have {vectors.shape[1]} numbers, those of songs {d}; take both files from the same "
                "release."
            )
        parts = []
        for done, part in enumerate(PARTS, 2):
            progress("reading", done, len(names))
            parts.append(_read_users(folder / name_features(part, space), items, d, judged=part != "train"))
        progress("reading", len(names), len(names))
        simulated = any(SIMULATED_KEY in pl.read_parquet_metadata(folder / name) for name in names)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{folder}: cannot be read ({reason}); fetch the files again.") from error
    train, validation, test = parts
    rows = owners.lookup(train.ids.values)
    lacking = np.flatnonzero(rows < 0)
    if len(lacking):
        raise DataError(
            f"{USERS}: has no vector for {count_of(len(lacking), len(train), 'training users')} (first: "
            f"{train.ids[lacking[0]]!r}); take both files from the same release."
        )
    notes = []
    idle = int((train.songs.lengths() == 0).sum())
    if idle:
        notes.append(
            f"{count_of(idle, len(train), 'training users')} streamed nothing in their 30 days; they have a vector, "
            "and count in no list."
        )
    if len(owners) > len(train):
        notes.append(
            f"{USERS}: {len(owners) - len(train):,} users are not in {name_features('train', space)} and were ignored."
        )
    return PaperData(space, items, item_vectors, vectors[rows], train, validation, test, simulated, tuple(notes))


def _find_files(folder: Path, names: Sequence[str]) -> None:
    """Say which files are missing."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {what}; give the folder of the paper's released files ({RECORD}).")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder}: has no {', '.join(missing)}; fetch what is missing from {RECORD}.")


def _read_users(path: Path, items: Ids, d: int, *, judged: bool) -> PaperUsers:
    """Read a file of features."""
    ids, songs = read_index(path, USER), read_songs(path, items)
    idle = np.flatnonzero(songs.lengths() == 0)
    if judged and len(idle):
        raise DataError(
            f"{path.name}: {count_of(len(idle), len(ids), 'users')} have no song in {SONGS_OF_USER} (first: "
            f"{ids[idle[0]]!r}), so that no list can be judged by them; leave these rows out of the file."
        )
    return PaperUsers(ids, read_features(path, d), songs)
