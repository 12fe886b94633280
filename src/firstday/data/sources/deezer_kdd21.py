"""The paper's released data (Zenodo record 5121674; PAPER, "The released data"): vectors, features and songs as arrays.

These files have users' day ones only as features: mean vectors and counts. So they are no `Dataset`, and the encoder is
not used; every later stage is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import polars as pl

from firstday.data.ids import Ids
from firstday.errors import DataError, count_of
from firstday.progress import Progress, no_progress
from firstday.sparse import SparseRows

NAME = "deezer-kdd21"
RECORD = "https://zenodo.org/record/5121674"
Space = Literal["svd", "mf"]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SONGS, USERS = "song_embeddings.parquet", "user_embeddings.parquet"
SIMULATED_KEY = "firstday.simulated"
"""Key in the Parquet metadata of a simulated file."""

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
"""Blocks of mean vectors that have a count beside them."""
BLOCKS = ("age", "country", *COUNTED_BLOCKS)
"""Blocks of as many columns as vectors have numbers, in order; then come the counts, then the age."""
COUNT_PREFIX, AGE_VALUE = "nb_", "age_value"
SONG, USER, SONGS_OF_USER = "song_index", "user_index", "d1d30_songs"


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
        """Return a block's mean vectors, a view of shape (n_users, d), zeros where the user has none."""
        d = (self.features.shape[1] - len(COUNTED_BLOCKS) - 1) // len(BLOCKS)
        first = BLOCKS.index(name) * d
        return self.features[:, first : first + d]

    def counts(self) -> np.ndarray:
        """Return the counts of `COUNTED_BLOCKS`, int64, shape (n_users, 18)."""
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
        Whether the files are simulated.
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


def read_paper_data(folder: str | Path, space: Space, *, progress: Progress = no_progress) -> PaperData:
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
        Columns are found by the beginning of their name and the number at its end, counted from 0 or 1; lists may be
        Parquet lists or JSON text; rows may have any order.

    Raises
    ------
    DataError
        A file is missing or damaged, lacks columns, has vectors of another size, names an unknown song or user, names a
        user twice, or has a validation or test user without any streamed song.
    """
    folder = Path(folder)
    names = [SONGS, USERS, *(name_features(part, space) for part in PARTS)]
    _check_files(folder, names)
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
        for n_read, part in enumerate(PARTS, 2):
            progress("reading", n_read, len(names))
            parts.append(_read_users(folder / name_features(part, space), items, d, must_have_songs=part != "train"))
        progress("reading", len(names), len(names))
        simulated = any(SIMULATED_KEY in pl.read_parquet_metadata(folder / name) for name in names)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{folder}: cannot be read ({reason}); fetch the files again.") from error
    train, validation, test = parts
    rows = owners.lookup(train.ids.values)
    without_vector = np.flatnonzero(rows < 0)
    if len(without_vector):
        raise DataError(
            f"{USERS}: has no vector for {count_of(len(without_vector), len(train), 'training users')} (first: "
            f"{train.ids[without_vector[0]]!r}); take both files from the same release."
        )
    notes = []
    n_idle = int((train.songs.lengths() == 0).sum())
    if n_idle:
        notes.append(
            f"{count_of(n_idle, len(train), 'training users')} streamed nothing in their 30 days; they have a vector, "
            "and count in no list."
        )
    if len(owners) > len(train):
        notes.append(
            f"{USERS}: {len(owners) - len(train):,} users are not in {name_features('train', space)} and were ignored."
        )
    return PaperData(space, items, item_vectors, vectors[rows], train, validation, test, simulated, tuple(notes))


def name_features(part: Part, space: Space) -> str:
    """Return the name of a file of users' features."""
    return f"user_features_{part}_{space}.parquet"


def _check_files(folder: Path, names: Sequence[str]) -> None:
    """Raise if files are missing, with their names."""
    if not folder.is_dir():
        fault = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {fault}; give the folder of the paper's released files ({RECORD}).")
    missing_names = [name for name in names if not (folder / name).is_file()]
    if missing_names:
        raise DataError(f"{folder}: has no {', '.join(missing_names)}; fetch what is missing from {RECORD}.")


def _read_users(path: Path, items: Ids, d: int, *, must_have_songs: bool) -> PaperUsers:
    """Read a file of features."""
    ids, songs = read_index(path, USER), read_songs(path, items)
    idle = np.flatnonzero(songs.lengths() == 0)
    if must_have_songs and len(idle):
        raise DataError(
            f"{path.name}: {count_of(len(idle), len(ids), 'users')} have no song in {SONGS_OF_USER} (first: "
            f"{ids[idle[0]]!r}), so that no list can be judged by them; leave these rows out of the file."
        )
    return PaperUsers(ids, read_features(path, d), songs)


def read_index(path: Path, name: str) -> Ids:
    """Read a column of unique ids."""
    column = _read(path, [name])[name]
    if column.null_count():
        raise DataError(f"{path.name}: {name} is missing in {count_of(column.null_count(), len(column), 'rows')}.")
    repeated = column.is_duplicated()
    if repeated.any():
        first = column.filter(repeated)[0]
        raise DataError(
            f"{path.name}: {count_of(int(repeated.sum()), len(column), 'rows')} repeat a {name} (first: {first!r}); "
            "leave one row for each."
        )
    return Ids.of(column)


def read_vectors(path: Path, index: str, name: str) -> tuple[Ids, np.ndarray]:
    """Read ids and the vectors beside them, float32, shape (n_rows, d)."""
    ids = read_index(path, index)
    lists = parse_lists(_read(path, [name])[name], pl.Float32, f"{path.name}: {name}")
    lengths = lists.list.len().fill_null(0).to_numpy()
    d = int(np.bincount(lengths).argmax()) if len(lengths) else 0
    deviating = np.flatnonzero(lengths != d)
    if d == 0 or len(deviating):
        example = f" (first: {lengths[deviating[0]]} of {index} {ids[deviating[0]]!r})" if len(deviating) else ""
        raise DataError(
            f"{path.name}: {name}: {count_of(len(deviating), len(ids), 'vectors')} have not {d} numbers as most "
            f"have{example}; give all vectors the same size."
        )
    vectors = lists.explode().to_numpy().reshape(len(ids), d)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(f"{path.name}: {name}: holds no number in the vector of {index} {ids[row]!r}; correct it.")
    return ids, np.array(vectors, dtype=np.float32)


def read_songs(path: Path, items: Ids) -> SparseRows:
    """Read the songs of each user as rows over the items, all weights 1."""
    lists = _read(path, [SONGS_OF_USER])[SONGS_OF_USER]
    lists = parse_lists(lists, items.values.dtype, f"{path.name}: {SONGS_OF_USER}")
    entries = pl.DataFrame({"row": np.arange(len(lists)), "song": lists}).explode("song").drop_nulls("song")
    columns = items.lookup(entries["song"])
    stray = np.flatnonzero(columns < 0)
    if len(stray):
        raise DataError(
            f"{path.name}: {SONGS_OF_USER}: {count_of(len(stray), len(columns), 'entries')} name unknown songs "
            f"(first: {entries['song'][int(stray[0])]!r}); take the files from the same release."
        )
    return SparseRows.from_pairs(entries["row"].to_numpy(), columns, None, len(lists), len(items)).ones()


def find_columns(path: Path, d: int) -> list[list[str]]:
    """Find the columns of each block of features, then those of the counts and the age, in the order of the result.

    Raises
    ------
    DataError
        One sentence for each block that has not `d` columns, and for each missing count.
    """
    names = list(pl.read_parquet_schema(path))
    faults = [f"{path.name}: has no column {name}." for name in (USER, SONGS_OF_USER) if name not in names]
    blocks = [_number_columns(names, block) for block in BLOCKS]
    sizes = {len(numbered) for numbered in blocks}
    if len(sizes) == 1 and sizes != {d}:
        faults.append(
            f"{path.name}: each block of features has {len(blocks[0]):,} columns, where vectors have {d} numbers; take "
            "the files of one space from the same release."
        )
    else:
        for block, numbered in zip(BLOCKS, blocks, strict=True):
            if list(numbered) not in (list(range(d)), list(range(1, d + 1))):
                span = f", numbered {min(numbered)} to {max(numbered)}" if numbered else ""
                faults.append(
                    f"{path.name}: the block {block} has {len(numbered):,} columns{span}, where vectors have {d} "
                    "numbers; take the files of one space from the same release."
                )
    singles = []
    for prefix in (*(COUNT_PREFIX + block for block in COUNTED_BLOCKS), AGE_VALUE):
        matches = [name for name in names if name.startswith(prefix)]
        if len(matches) != 1:
            faults.append(f"{path.name}: has {len(matches)} columns {prefix}; exactly one is needed.")
        singles += matches
    if faults:
        raise DataError(faults)
    return [*(list(numbered.values()) for numbered in blocks), singles]


def _number_columns(names: Sequence[str], block: str) -> dict[int, str]:
    """Return the columns of a block by the number at their end, in its order."""
    matches = [match for name in names if (match := re.fullmatch(rf"{block}(?:\D.*?)?(\d+)", name))]
    return dict(sorted((int(match[1]), match[0]) for match in matches))


def read_features(path: Path, d: int) -> np.ndarray:
    """Read the features of all users a block of columns at a time into one array, missing values as zeros."""
    blocks = find_columns(path, d)
    features, first = np.empty((0, 0), dtype=np.float32), 0
    for columns in blocks:
        block = _read(path, columns).cast(pl.Float32).to_numpy()
        if not first:
            features = np.empty((len(block), sum(map(len, blocks))), dtype=np.float32)
        target = features[:, first : first + len(columns)]
        target[:] = block
        target[np.isnan(target)] = 0
        if np.isinf(target).any():
            raise DataError(
                f"{path.name}: the columns {columns[0]} to {columns[-1]} hold infinite numbers; correct them."
            )
        first += len(columns)
    return features


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns."""
    try:
        return pl.read_parquet(path, columns=list(columns), glob=False)
    except pl.exceptions.ColumnNotFoundError:
        missing_names = set(columns) - set(pl.read_parquet_schema(path))
        raise DataError(f"{path.name}: has no column {min(missing_names)}; fetch the file again.") from None


def parse_lists(column: pl.Series, inner: pl.DataType | type[pl.DataType], where: str) -> pl.Series:
    """Return lists of the given type, whether they are lists already or JSON text."""
    try:
        if column.dtype == pl.String:
            column = column.str.json_decode(pl.List(inner))
        return column.cast(pl.List(inner))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{where}: holds neither lists nor JSON text ({str(error).splitlines()[0]}).") from None
