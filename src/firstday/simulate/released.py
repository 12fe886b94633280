"""Simulate a service in the layout of the paper's released data: embeddings in both spaces, features and songs.

A larger service is simulated as tables in a temporary folder and split by the `registration` protocol. Users of each
part are then sampled to the requested size. Step 1 runs on the warm users; features use the paper's settings.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

import firstday
from firstday.config import Config, EmbeddingConfig, FeatureConfig, RegistrationProtocolConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.load import load
from firstday.data.sources.deezer_kdd21 import (
    AGE_VALUE,
    BLOCKS,
    COUNT_PREFIX,
    COUNTED_BLOCKS,
    SIMULATED_KEY,
    SONG,
    SONGS,
    SONGS_OF_USER,
    USER,
    USERS,
    Part,
    Space,
    name_features,
)
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, split_registration
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Actions, Split
from firstday.embed.embeddings import Embeddings, compute_affinity
from firstday.embed.methods import WarmLogs, fit_embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import Encoder, fit_encoder
from firstday.features.signals import Catalogue
from firstday.progress import Progress, no_progress
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import fill_folder, simulate
from firstday.sparse import SparseRows, stack_rows

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
"""Ids are drawn from a range this many times the number of rows, so that they differ from row numbers."""

SHARES: Mapping[Part, float] = {"train": 0.7, "validation": 0.2, "test": 0.1}
"""Shares of the parts: 70,000, 20,000 and 10,000 users in the paper."""
TARGET_DAYS = 30
COLD_SHARE = 0.18
"""Share of registration days on which cold users register."""
WARM_YIELD, COLD_YIELD, MARGIN = 0.45, 0.86, 1.15
"""Approximate shares of registered users who qualify as warm and as cold users, and a safety factor."""
MAX_ATTEMPTS, GROWTH = 4, 1.4
"""Maximum number of simulations until enough users qualify, and growth factor between them."""
MIN_DAYS = 60
"""Minimum length of the log; with fewer days, almost no user has enough history to be warm."""
DIMENSIONS: Mapping[Space, int] = {"svd": 128, "mf": 256}
METHODS: Mapping[Space, EmbeddingConfig] = {
    "svd": EmbeddingConfig(method="svd", dimensions=128),
    "mf": EmbeddingConfig(method="als", dimensions=128, als_iterations=6),
}
"""Step 1 of each space; ALS runs fewer iterations than by default."""
COLLECTIONS = ("playlist", "album")
"""Collections that define co-occurrence for the SVD, as in the paper; warm users' favorites are added."""
FEATURES = FeatureConfig(group_shrinkage=0, age_users=0, counts="plain", unit_vectors=False, fold_in=False)
"""The paper's features: plain means and counts."""
ROWS_AT_ONCE = 4096


def simulate_released(
    settings: SimulationSettings,
    out: Path,
    *,
    dimensions: Mapping[Space, int] = DIMENSIONS,
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Simulate the paper's released data.

    Parameters
    ----------
    settings
        `n_users` is the number of users in the files; the simulated service is larger.
    out
        A new or empty folder.
    dimensions
        Embedding dimensions of each space; fewer if there are too few items.
    progress
        Called after each step.

    Returns
    -------
    dict
        Number of users of each part, of ``songs``, and of ``simulated users`` in the whole service.

    Raises
    ------
    ConfigError
        The log is too short for warm users, or the folder is not empty or cannot be written.

    References
    ----------
    PAPER, "The released data"; "Offline protocol".
    """
    if settings.days < MIN_DAYS:
        raise ConfigError(f"days: {settings.days} are too few for this layout; give at least {MIN_DAYS}.")
    registering = settings.days - TARGET_DAYS
    cold_days = max(1, round(COLD_SHARE * registering))
    service = replace(settings, n_users=_size_service(settings.n_users), before_share=0.0, registering_days=registering)
    protocol = RegistrationProtocolConfig(
        cut_off=settings.begin + timedelta(days=registering - cold_days), target_days=TARGET_DAYS
    )
    config = Config(seed=settings.seed, protocol="registration", registration=protocol, features=FEATURES)

    sizes = _divide(settings.n_users)

    def fill(folder: Path) -> dict[str, int]:
        attempt = service
        for _ in range(MAX_ATTEMPTS):
            with tempfile.TemporaryDirectory(prefix="firstday-") as scratch:
                tables = Path(scratch) / "tables"
                simulate(attempt, tables, progress=progress)
                progress("reading tables", 0, 1)
                dataset = load(tables, config=config)
                progress("reading tables", 1, 1)
            progress("users of each part", 0, 1)
            parts_and_split = _draw_parts(dataset, config, sizes)
            progress("users of each part", 1, 1)
            if parts_and_split is not None:
                files = FileWriter.draw(folder, dataset, settings.seed)
                _write_spaces(dataset, *parts_and_split, config, files, dimensions, progress)
                return {
                    **{str(part): n for part, n in sizes.items()},
                    "songs": settings.n_items,
                    "simulated users": attempt.n_users,
                }
            attempt = replace(attempt, n_users=math.ceil(GROWTH * attempt.n_users))
        raise ConfigError(f"days: {settings.days} give too few users with enough history; simulate more days.")

    return fill_folder(out, fill)


def _divide(n_users: int) -> dict[Part, int]:
    """Return the number of users in each part."""
    validation, test = (round(SHARES[part] * n_users) for part in ("validation", "test"))
    return {"train": n_users - validation - test, "validation": validation, "test": test}


def _size_service(n_users: int) -> int:
    """Return the number of users to simulate so that enough qualify."""
    cold = (SHARES["validation"] + SHARES["test"]) / (COLD_SHARE * COLD_YIELD)
    warm = SHARES["train"] / ((1 - COLD_SHARE) * WARM_YIELD)
    return math.ceil(MARGIN * n_users * max(cold, warm) + 10 * math.sqrt(n_users))


def _draw_parts(dataset: Dataset, config: Config, sizes: Mapping[Part, int]) -> tuple[dict[Part, _Users], Split] | None:
    """Sample the users of each part from those with streams in their 30 days, and reduce the split to these warm users.

    Return None if there are too few.
    """
    protocol = config.registration
    assert protocol.cut_off is not None
    cut_off = int(protocol.cut_off.timestamp() * 1_000_000)
    log = log_of(dataset, config)
    histories = read_histories(dataset, config, log and replace(log, end=cut_off))
    histories = replace(histories, target_days=TARGET_DAYS)
    nobody = np.zeros(0, dtype=np.int64)
    warm = np.flatnonzero(histories.n_used >= config.sampled.min_items)
    split = split_registration(dataset, config, histories, Roles(warm, nobody, nobody))
    newcomers = collect_newcomers(dataset, config, histories, np.flatnonzero(histories.registered_us >= cut_off))
    rng = np.random.default_rng(config.seed)
    share = SHARES["validation"] / (SHARES["validation"] + SHARES["test"])
    order = rng.permutation(len(newcomers))
    validation, test = (newcomers.take(rows) for rows in np.split(order, [round(share * len(order))]))
    end = histories.target_end_us
    is_warm = np.isin(np.arange(len(end)), split.warm)
    end[is_warm] = np.minimum(end[is_warm], cut_off)
    (month,) = dataset.actions(Window(histories.day_end_us, end))
    streams = month.get(("stream", ITEM), SparseRows.empty(len(end), len(dataset.items))).ones()
    drawn: dict[Part, tuple[np.ndarray, _Users]] = {}
    for (part, n), users, day_one in zip(
        sizes.items(),
        (split.warm, validation.users, test.users),
        (split.warm_day_one[0], validation.day_one, test.day_one),
        strict=True,
    ):
        active = np.flatnonzero(streams.lengths()[users] > 0)
        if len(active) < n:
            return None
        rows = np.sort(rng.choice(active, n, replace=False))
        drawn[part] = rows, _Users(users, day_one, streams.take(users)).take(rows)
    rows, _ = drawn["train"]
    actions = {pair: user_rows.take(rows) for pair, user_rows in split.warm_actions.items()}
    parts = {part: users for part, (_, users) in drawn.items()}
    return parts, replace(split, warm=split.warm[rows], warm_actions=actions)


def _write_spaces(
    dataset: Dataset,
    parts: Mapping[Part, _Users],
    split: Split,
    config: Config,
    files: FileWriter,
    dimensions: Mapping[Space, int],
    progress: Progress,
) -> None:
    """Run step 1 in both spaces, compute features and write all files."""
    catalogue = Catalogue.of(dataset, config.signals.known)
    batches = {
        part: catalogue.translate(dataset, part_users.users, part_users.day_one)[0]
        for part, part_users in parts.items()
    }
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    item_sets = [dataset.entities[name].items for name in COLLECTIONS]
    item_sets += [rows for pair, rows in split.warm_actions.items() if pair == ("favorite", ITEM)]
    logs = WarmLogs(affinity, stack_rows(item_sets), [])
    spaces: dict[Space, Embeddings] = {}
    for space, method in METHODS.items():
        progress(f"vectors ({space})", 0, 1)
        d = min(dimensions[space], len(dataset.items) // 2)
        embeddings = fit_embeddings(logs, method.override("dimensions", d), seed=config.seed)
        progress(f"vectors ({space})", 1, 1)
        encoder = fit_encoder(
            embeddings,
            batches["train"],
            {name: entity.items for name, entity in dataset.entities.items()},
            {"country": len(catalogue.groups["country"])},
            config.features,
            config.signals,
        )
        for n_done, (part, part_users) in enumerate(parts.items()):
            progress(f"features ({space})", n_done, len(parts))
            features = np.empty((len(part_users.users), encoder.n_inputs), dtype=np.float32)
            for start in range(0, len(features), ROWS_AT_ONCE):
                rows = np.arange(start, min(start + ROWS_AT_ONCE, len(features)))
                features[rows] = encoder.encode(batches[part].take(rows))
            files.write_features(name_features(part, space), part_users, encoder, features, batches[part].ages)
        progress(f"features ({space})", len(parts), len(parts))
        spaces[space] = embeddings
    files.write_vectors(parts["train"].users, spaces)


@dataclass(frozen=True, eq=False)
class _Users:
    """Users of one file, their day-one interactions, and the songs they streamed in the 30 days."""

    users: np.ndarray
    day_one: Actions
    songs: SparseRows

    def take(self, rows: np.ndarray) -> _Users:
        day_one = {pair: actions.take(rows) for pair, actions in self.day_one.items()}
        return _Users(self.users[rows], day_one, self.songs.take(rows))


@dataclass(frozen=True, eq=False)
class FileWriter:
    """Writes the files with random ids and shuffled rows.

    Parameters
    ----------
    folder
        Output folder.
    song_ids, user_ids
        int64, shapes (n_items,) and (n_users,): ids by dataset index, unsorted.
    rng
        Random generator.
    """

    folder: Path
    song_ids: np.ndarray
    user_ids: np.ndarray
    rng: np.random.Generator

    @classmethod
    def draw(cls, folder: Path, dataset: Dataset, seed: int) -> FileWriter:
        """Draw ids for a dataset's items and users."""
        rng = np.random.default_rng([seed, 21])
        songs, users = (rng.permutation(ID_SPREAD * len(ids))[: len(ids)] for ids in (dataset.items, dataset.users))
        return cls(folder, songs, users, rng)

    def write_vectors(self, users: np.ndarray, spaces: Mapping[Space, Embeddings]) -> None:
        """Write the embeddings of items and of the given users, one column per space."""
        songs = {f"features_{space}": of.item_vectors for space, of in spaces.items()}
        owners = {f"{space}_embeddings": of.user_vectors for space, of in spaces.items()}
        for file, id_name, ids, vectors in (
            (SONGS, SONG, self.song_ids, songs),
            (USERS, USER, self.user_ids[users], owners),
        ):
            columns = {name: pl.Series(of).cast(pl.List(pl.Float32)) for name, of in vectors.items()}
            self._write_file(file, pl.DataFrame({id_name: ids, **columns}))

    def write_features(
        self, name: str, users: _Users, encoder: Encoder, features: np.ndarray, ages: np.ndarray | None
    ) -> None:
        """Write the features of a part: float32, shape (n_users, n_inputs); ages are in years, -1 if unknown."""
        n, d = len(features), encoder.dimensions
        blocks, n_vectors = encoder.blocks(), len(encoder.blocks()) * d
        vectors = dict(
            zip(map(_name_block, blocks), np.split(features[:, :n_vectors], len(blocks), axis=1), strict=True)
        )
        counts = {
            _name_block(f"{signal} x {entity}"): features[:, n_vectors + number]
            for number, (signal, entity) in enumerate(encoder.pairs)
        }
        years = np.full(n, -1) if ages is None else ages
        profile = {"age": years < 0, "country": np.zeros(n, dtype=bool)}
        nothing = np.zeros((n, d), dtype=np.float32)
        songs = _song_lists(self.song_ids, users.songs)
        frames = [pl.DataFrame({USER: self.user_ids[users.users], SONGS_OF_USER: songs})]
        for block in BLOCKS:
            is_missing = profile[block] if block in profile else counts.get(block, nothing[:, 0]) == 0
            stem = f"{block}_embedding" if block in profile else f"{block}_"
            frame = pl.DataFrame(vectors.get(block, nothing), schema=[f"{stem}{number}" for number in range(d)])
            frames.append(_with_nulls(frame, is_missing))
        for block in COUNTED_BLOCKS:
            values = counts.get(block, nothing[:, 0])
            frames.append(_with_nulls(pl.DataFrame({COUNT_PREFIX + block: values}), values == 0))
        frames.append(_with_nulls(pl.DataFrame({AGE_VALUE: years.astype(np.float32)}), years < 0))
        self._write_file(name, pl.concat(frames, how="horizontal"))

    def _write_file(self, name: str, frame: pl.DataFrame) -> None:
        """Write a file with shuffled rows."""
        shuffled = frame[self.rng.permutation(frame.height)]
        shuffled.write_parquet(
            self.folder / name,
            compression="zstd",
            compression_level=1,
            statistics=False,
            metadata={SIMULATED_KEY: f"firstday {firstday.__version__}"},
        )


def _name_block(name: str) -> str:
    """Return the name of an encoder block in the released files."""
    signal, times, entity = name.partition(" x ")
    return f"{SIGNAL_NAMES[signal]}_{ENTITY_NAMES[entity]}" if times else name


def _song_lists(song_ids: np.ndarray, songs: SparseRows) -> pl.Series:
    """Return the song ids of each row as lists."""
    entries = pl.DataFrame({"row": songs.row_of_entry(), "song": song_ids[songs.columns]})
    lists = entries.group_by("row", maintain_order=True).agg("song")
    rows = pl.DataFrame({"row": np.arange(songs.n_rows)})
    return rows.join(lists, on="row", how="left", maintain_order="left")["song"]


def _with_nulls(frame: pl.DataFrame, is_missing: np.ndarray) -> pl.DataFrame:
    """Return the frame with all values of the masked rows set to null."""
    return frame.select(pl.when(pl.lit(pl.Series(~is_missing))).then(pl.all()))
