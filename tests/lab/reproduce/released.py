"""A small folder in the layout of the paper's released data, drawn at random: of 90 songs nobody streams two."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from firstday.lab.reproduce.deezer_kdd21 import BLOCKS, COUNTED_BLOCKS

N_SONGS = 90
SIZES = {"train": 240, "validation": 60, "test": 50}
DIMENSIONS = {"svd": 6, "mf": 9}
STREAMED = COUNTED_BLOCKS.index("streamed_songs")


@dataclass(frozen=True)
class Made:
    """What was written: vectors by space, and of each part of the users their ids, songs and features."""

    song_ids: list[int]
    song_vectors: dict[str, np.ndarray] = field(default_factory=dict)
    user_vectors: dict[str, np.ndarray] = field(default_factory=dict)
    users: dict[str, list[int]] = field(default_factory=dict)
    songs: dict[str, list[list[int]]] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    """Counts and age, 0 where unknown: shape (n, 19)."""
    means: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    """Mean vectors by part and space, NaN where there is none: shape (n, 20, d)."""


def make_released(folder: Path, *, start: int = 0, text: bool = False) -> Made:
    """Write both spaces; columns are numbered from `start`, lists are JSON where `text`."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    made = Made((1000 + 7 * rng.permutation(N_SONGS)).tolist())
    ids = iter((50 + 3 * rng.permutation(sum(SIZES.values()))).tolist())
    names = [f"{block}_embedding" if block in ("age", "country") else f"{block}_" for block in BLOCKS]
    for part, n in SIZES.items():
        made.users[part] = [next(ids) for _ in range(n)]
        made.songs[part] = [rng.choice(made.song_ids[2:], size, False).tolist() for size in rng.integers(3, 12, n)]
        made.numbers[part] = numbers = rng.integers(1, 5, (n, 19)) * (rng.random((n, 19)) < 0.3)
        numbers[:, STREAMED], numbers[:, -1] = rng.integers(0, 4, n), 15 * rng.integers(0, 4, n)
        has = np.column_stack([numbers[:, -1], np.ones(n), numbers[:, :-1]])[:, :, None] > 0
        for space, d in DIMENSIONS.items():
            means = made.means[part, space] = np.where(has, rng.normal(size=(n, 20, d)), np.nan).astype(np.float32)
            columns = [f"{name}{number + start}" for name in names for number in range(d)]
            table = [
                pl.DataFrame({"user_index": made.users[part], "d1d30_songs": made.songs[part]}),
                pl.from_numpy(means.reshape(n, -1), columns).fill_nan(None),
                pl.from_numpy(numbers, [*(f"nb_{block}" for block in COUNTED_BLOCKS), "age_value"]),
            ]
            zeros = pl.selectors.starts_with("nb_", "age_value").replace(0, None)
            write(
                pl.concat(table, how="horizontal").with_columns(zeros), folder / f"user_features_{part}_{space}", text
            )
    for vectors, n in ((made.song_vectors, N_SONGS), (made.user_vectors, SIZES["train"])):
        vectors.update((space, rng.normal(size=(n, d)).astype(np.float32)) for space, d in DIMENSIONS.items())
    songs = {f"features_{space}": vectors.tolist() for space, vectors in made.song_vectors.items()}
    write(pl.DataFrame({"song_index": made.song_ids, **songs}), folder / "song_embeddings", text)
    users = {f"{space}_embeddings": vectors.tolist() for space, vectors in made.user_vectors.items()}
    write(pl.DataFrame({"user_index": made.users["train"], **users})[::-1], folder / "user_embeddings", text)
    return made


def write(frame: pl.DataFrame, path: Path, text: bool) -> None:
    """Write a table, with its lists as JSON where `text`."""
    for name in frame.columns if text else ():
        if frame[name].dtype == pl.List:
            frame = frame.with_columns(pl.Series(name, map(json.dumps, frame[name].to_list())))
    frame.write_parquet(path.with_suffix(".parquet"))
