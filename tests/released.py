"""A small folder in the layout of the paper's released data, made by hand: four tastes, two of 90 songs by nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from firstday.data.sources.deezer_kdd21 import BLOCKS, COUNTED_BLOCKS

N_SONGS, N_TASTES = 90, 4
SIZES = {"train": 240, "validation": 60, "test": 50}
DIMENSIONS = {"svd": 6, "mf": 9}


@dataclass(frozen=True)
class Made:
    """What was written: songs' ids and vectors, and for each part users' ids, blocks, counts, ages and songs."""

    song_ids: list[int]
    song_vectors: dict[str, np.ndarray]
    user_vectors: dict[str, dict[int, np.ndarray]]
    users: dict[str, list[int]]
    songs: dict[int, list[int]]
    blocks: dict[tuple[str, int, str], np.ndarray | None]
    counts: dict[tuple[int, str], int]
    ages: dict[int, int | None]


def make_released(folder: Path, *, start: int = 0, text: bool = False, seed: int = 0) -> Made:
    """Write both spaces; columns are numbered from `start`, lists are JSON where `text`."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    song_ids = (1000 + 7 * rng.permutation(N_SONGS)).tolist()
    taste_of_song = np.arange(N_SONGS) % N_TASTES
    popularity = rng.exponential(size=N_SONGS) + 0.05
    popularity[:2] = 0  # streamed by nobody
    centres = {space: rng.normal(size=(N_TASTES, d)) for space, d in DIMENSIONS.items()}
    song_vectors = {
        space: (centres[space][taste_of_song] + 0.5 * rng.normal(size=(N_SONGS, d))).astype(np.float32)
        for space, d in DIMENSIONS.items()
    }
    made = Made(song_ids, song_vectors, {space: {} for space in DIMENSIONS}, {}, {}, {}, {}, {})
    ids = iter((50 + 3 * rng.permutation(sum(SIZES.values()))).tolist())
    for part, n in SIZES.items():
        made.users[part] = [next(ids) for _ in range(n)]
        for user in made.users[part]:
            _make_user(made, user, int(rng.integers(N_TASTES)), taste_of_song, popularity, rng)
    lists = (lambda values: json.dumps(values)) if text else (lambda values: values)
    pl.DataFrame(
        {
            "song_index": song_ids,
            **{f"features_{space}": [lists(v.tolist()) for v in vectors] for space, vectors in song_vectors.items()},
        }
    ).write_parquet(folder / "song_embeddings.parquet")
    order = rng.permutation(made.users["train"]).tolist()
    pl.DataFrame(
        {
            "user_index": order,
            **{
                f"{space}_embeddings": [lists(vectors[user].tolist()) for user in order]
                for space, vectors in made.user_vectors.items()
            },
        }
    ).write_parquet(folder / "user_embeddings.parquet")
    for part, users in made.users.items():
        for space in DIMENSIONS:
            table = features_table(made, users, space, start)
            column = [lists(made.songs[user]) for user in users]
            table.insert_column(1, pl.Series("d1d30_songs", column)).write_parquet(
                folder / f"user_features_{part}_{space}.parquet"
            )
    return made


def _make_user(
    made: Made, user: int, taste: int, taste_of_song: np.ndarray, popularity: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw one user."""
    weight = popularity * np.where(taste_of_song == taste, 8.0, 1.0)
    songs = rng.choice(N_SONGS, size=int(rng.integers(3, 12)), p=weight / weight.sum(), replace=False)
    made.songs[user] = [made.song_ids[song] for song in songs]
    made.ages[user] = None if rng.random() < 0.1 else int(rng.integers(15, 70))
    done = {block: int(rng.integers(1, 5)) if rng.random() < 0.3 else 0 for block in COUNTED_BLOCKS}
    done["streamed_songs"] = int(rng.integers(0, 4))
    day = {block: rng.choice(N_SONGS, size=n, p=weight / weight.sum()) for block, n in done.items()}
    for block, n in done.items():
        made.counts[user, block] = n
    for space, vectors in made.song_vectors.items():
        made.user_vectors[space][user] = vectors[songs].mean(axis=0)
        for block in BLOCKS:
            if block == "age":
                mean = None if made.ages[user] is None else np.full(vectors.shape[1], made.ages[user], np.float32) / 99
            elif block == "country":
                mean = np.full(vectors.shape[1], 0.1 + taste % 2, np.float32)
            else:
                mean = vectors[day[block]].mean(axis=0) if done[block] else None
            made.blocks[space, user, block] = mean


def features_table(made: Made, users: list[int], space: str, start: int) -> pl.DataFrame:
    """Return the features of users as a table with nulls for what is missing."""
    columns: dict[str, list[float | int | None]] = {"user_index": list(users)}
    for block in BLOCKS:
        stem = f"{block}_embedding" if block in ("age", "country") else f"{block}_"
        means = [made.blocks[space, user, block] for user in users]
        for number in range(DIMENSIONS[space]):
            columns[f"{stem}{number + start}"] = [None if mean is None else float(mean[number]) for mean in means]
    for block in COUNTED_BLOCKS:
        columns[f"nb_{block}"] = [made.counts[user, block] or None for user in users]
    columns["age_value"] = [made.ages[user] for user in users]
    return pl.DataFrame(columns)
