"""Files in the layout of the paper's released data: rows in any order, missing values as nulls, marked as simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import firstday
from firstday.data.dataset import Dataset
from firstday.data.rows import SparseRows
from firstday.data.sources.deezer_kdd21 import SIMULATED_KEY, SONGS, USERS, Part, Space, name_features
from firstday.data.sources.kdd21_columns import (
    AGE_VALUE,
    BLOCKS,
    COUNT_PREFIX,
    COUNTED_BLOCKS,
    SONG,
    SONGS_OF_USER,
    USER,
)
from firstday.features.encoder import Encoder

SIGNAL_NAMES = {
    "favorite": "favorite",
    "onboarding": "onboarding_like",
    "skip": "skipped",
    "stream": "streamed",
    "ban": "banned",
    "search": "search",
}
ENTITY_NAMES = {"item": "songs", "artist": "artists", "album": "albums", "playlist": "playlists"}
ID_SPREAD = 4
"""Ids are drawn from so many times as many numbers: an id is no row number."""


@dataclass(frozen=True, eq=False)
class ReleasedFiles:
    """Where the files go, and the ids in them.

    Parameters
    ----------
    folder
        The folder.
    song_ids, user_ids
        int64, shapes (n_items,) and (n_users,): ids by the dataset's indexes, in no order.
    rng
        Source of the rows' order.
    """

    folder: Path
    song_ids: np.ndarray
    user_ids: np.ndarray
    rng: np.random.Generator

    @classmethod
    def draw(cls, folder: Path, dataset: Dataset, seed: int) -> ReleasedFiles:
        """Draw ids for a dataset's items and users."""
        rng = np.random.default_rng([seed, 21])
        songs, users = (rng.permutation(ID_SPREAD * len(ids))[: len(ids)] for ids in (dataset.items, dataset.users))
        return cls(folder, songs, users, rng)

    def write_vectors(self, users: np.ndarray, spaces: Sequence[tuple[Space, np.ndarray, np.ndarray]]) -> None:
        """Write the vectors of items and of the given users, those of each space in a column."""
        songs = {SONG: pl.Series(self.song_ids)}
        owners = {USER: pl.Series(self.user_ids[users])}
        for space, item_vectors, user_vectors in spaces:
            songs[f"features_{space}"] = _lists(item_vectors)
            owners[f"{space}_embeddings"] = _lists(user_vectors)
        self._write(SONGS, pl.DataFrame(songs))
        self._write(USERS, pl.DataFrame(owners))

    def write_features(
        self,
        part: Part,
        space: Space,
        features: np.ndarray,
        encoder: Encoder,
        ages: np.ndarray | None,
        users: np.ndarray,
        songs: SparseRows,
    ) -> None:
        """Write the features of a part of the users.

        Parameters
        ----------
        features
            From the encoder, float32, shape (n_users, n_inputs).
        ages
            shape (n_users,), years, -1 where unknown.
        users
            Their index in the dataset, shape (n_users,).
        songs
            What they streamed in the 30 days, shape (n_users, n_items).
        """
        n, d = len(features), encoder.dimensions
        at = {_name_block(name): number * d for number, name in enumerate(encoder.blocks())}
        first_count = len(at) * d
        counts = {
            _name_block(f"{signal} x {entity}"): features[:, first_count + number]
            for number, (signal, entity) in enumerate(encoder.pairs)
        }
        nothing = np.zeros(n, dtype=np.float32)
        unknown = np.ones(n, dtype=bool) if ages is None else ages < 0
        frames = [pl.DataFrame({USER: self.user_ids[users], SONGS_OF_USER: _song_lists(self.song_ids, songs)})]
        profile = {"age": unknown, "country": np.zeros(n, dtype=bool)}
        for block in BLOCKS:
            values = features[:, at[block] : at[block] + d] if block in at else np.zeros((n, d), dtype=np.float32)
            missing = profile[block] if block in profile else counts.get(block, nothing) == 0
            stem = f"{block}_embedding" if block in profile else f"{block}_"
            frame = pl.DataFrame(np.asfortranarray(values), schema=[f"{stem}{number}" for number in range(d)])
            frames.append(_with_nulls(frame, missing))
        singles = {COUNT_PREFIX + block: counts.get(block, nothing) for block in COUNTED_BLOCKS}
        frames += [_with_nulls(pl.DataFrame({name: values}), values == 0) for name, values in singles.items()]
        years = np.zeros(n, dtype=np.float32) if ages is None else ages.astype(np.float32)
        frames.append(_with_nulls(pl.DataFrame({AGE_VALUE: years}), unknown))
        self._write(name_features(part, space), pl.concat(frames, how="horizontal"))

    def _write(self, name: str, frame: pl.DataFrame) -> None:
        """Write a file, its rows in random order."""
        shuffled = frame[self.rng.permutation(frame.height)]
        shuffled.write_parquet(
            self.folder / name,
            compression="zstd",
            compression_level=1,
            statistics=False,
            metadata={SIMULATED_KEY: f"firstday {firstday.__version__}"},
        )


def _name_block(name: str) -> str:
    """Return the released name of one of the encoder's blocks."""
    signal, times, entity = name.partition(" x ")
    return f"{SIGNAL_NAMES[signal]}_{ENTITY_NAMES[entity]}" if times else name


def _lists(vectors: np.ndarray) -> pl.Series:
    """Return vectors as lists."""
    return pl.Series(vectors).cast(pl.List(pl.Float32))


def _song_lists(song_ids: np.ndarray, songs: SparseRows) -> pl.Series:
    """Return the ids of each row's songs as lists."""
    entries = pl.DataFrame({"row": songs.row_of_entry(), "song": song_ids[songs.columns]})
    lists = entries.group_by("row", maintain_order=True).agg("song")
    rows = pl.DataFrame({"row": np.arange(songs.n_rows)})
    return rows.join(lists, on="row", how="left", maintain_order="left")["song"]


def _with_nulls(frame: pl.DataFrame, missing: np.ndarray) -> pl.DataFrame:
    """Return the frame with nulls in the rows where `missing`."""
    return frame.select(pl.when(pl.lit(pl.Series(~missing))).then(pl.all()))
