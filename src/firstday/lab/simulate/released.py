"""Simulate a service in the layout of the paper's released data: embeddings in both spaces, features and songs.

A larger service is simulated as tables in a temporary folder and split by the `registration` protocol. Users of each
part are then sampled to the requested size. Step 1 runs on the warm users; features use the paper's settings.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

import firstday
from firstday.config import PAPER_THROUGH_ITEMS, Config, EmbeddingConfig, FeatureConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.load import load
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, split_registration
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Split
from firstday.embed.methods import collect_warm_logs, fit_embeddings
from firstday.errors import ConfigError
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder, fit_encoder
from firstday.features.signal_batch import SignalBatch
from firstday.lab.reproduce.deezer_kdd21 import (
    AGE_VALUE,
    BLOCKS,
    COUNT_PREFIX,
    COUNTED_BLOCKS,
    PARTS,
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
from firstday.lab.simulate.simulation_settings import BEGIN, SimulationSettings
from firstday.lab.simulate.tables import new_folder, simulate
from firstday.progress import Progress, no_progress
from firstday.sparse import SparseRows

SIGNAL_NAMES = {"onboarding": "onboarding_like", "skip": "skipped", "stream": "streamed", "ban": "banned"}
"""Names of signals in the release, where they differ."""
ID_SPREAD = 4
"""Ids are drawn from a range this many times the number of rows, so that they differ from row numbers."""

VALIDATION_SHARE, TEST_SHARE = 0.2, 0.1
"""Shares of users: 20,000 and 10,000 of 100,000 in the paper; the others are training users."""
RELEASED_TARGET_DAYS = 30
WARM_ITEMS = 20
"""Minimum number of items used before the cut-off by training users."""
COLD_SHARE = 0.18
"""Share of registration days on which cold users register."""
SERVICE_USERS = 1.15 * (VALIDATION_SHARE + TEST_SHARE) / (COLD_SHARE * 0.86)
"""Users of the service per user of the files: 86 % of those who register last qualify as cold, plus a margin."""
MIN_DAYS = 60
"""Minimum length of the log; with fewer days, almost no user has enough history to be warm."""
SPACES: Mapping[Space, EmbeddingConfig] = {
    "svd": EmbeddingConfig(method="svd", dimensions=128),
    "mf": EmbeddingConfig(method="als", dimensions=256, als_iterations=6),
}
"""Step 1 of each space; ALS runs fewer iterations than by default."""
COLLECTIONS = EmbeddingConfig(svd_collections=("playlist", "album"))
"""Collections that define co-occurrence for the SVD, as in the paper; warm users' favorites are added."""
FEATURES = FeatureConfig(
    group_shrinkage=0,
    age_users=0,
    counts="plain",
    unit_vectors=False,
    fold_in=False,
    through_items=PAPER_THROUGH_ITEMS,
)
"""The paper's features: plain means and counts."""


def simulate_released(settings: SimulationSettings, out: Path, *, progress: Progress = no_progress) -> dict[str, int]:
    """Simulate the paper's released data.

    `settings.n_users` is the number of users in the files; the simulated service is larger. `out` must be a new or
    empty folder. Return the number of users of each part, of ``songs``, and of ``simulated users`` in the service.

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
    config = Config(seed=settings.seed, protocol="registration", embedding=COLLECTIONS)
    n_validation, n_test = (round(share * settings.n_users) for share in (VALIDATION_SHARE, TEST_SHARE))
    sizes = {
        "train": settings.n_users - n_validation - n_test,
        "validation": n_validation,
        "test": n_test,
    }
    margin = 10 * math.sqrt(settings.n_users)
    n_simulated = math.ceil(SERVICE_USERS * settings.n_users + margin)
    service = replace(settings, n_users=n_simulated, before_share=0.0, quiet_days=RELEASED_TARGET_DAYS)
    with new_folder(out) as folder:
        with tempfile.TemporaryDirectory(prefix="firstday-") as scratch:
            simulate(service, Path(scratch) / "tables", progress=progress)
            dataset = load(Path(scratch) / "tables", config=config)
        split, streams = _split(dataset, config, settings.days, sizes)
        _write_files(folder, dataset, split, streams, config, progress)
    return {**sizes, "songs": settings.n_items, "simulated users": n_simulated}


def _split(dataset: Dataset, config: Config, days: int, sizes: Mapping[str, int]) -> tuple[Split, SparseRows]:
    """Sample the users of each part from those with streams in their 30 days; also return all users' streams in them.

    Raise ConfigError if there are too few.
    """
    registration_days = days - RELEASED_TARGET_DAYS
    cold_days = round(COLD_SHARE * registration_days)
    moment = BEGIN + timedelta(days=registration_days - cold_days)
    cut_off = int(moment.timestamp() * 1_000_000)
    log = log_of(dataset, config)
    assert log is not None
    nobody = np.zeros(0, dtype=np.int64)
    histories = read_histories(dataset, config, replace(log, end=cut_off))
    histories = replace(histories, target_days=RELEASED_TARGET_DAYS)
    roles = Roles(np.flatnonzero(histories.n_used >= WARM_ITEMS), nobody, nobody)
    split = split_registration(dataset, config, histories, roles)
    late = np.flatnonzero(histories.registered_us >= cut_off)
    newcomers = collect_newcomers(dataset, config, replace(histories, log=log), late)
    end = histories.target_end_us
    end[split.warm] = np.minimum(end[split.warm], cut_off)
    month = dataset.actions(Window(histories.day_end_us, end))
    streams = month["stream", ITEM].ones()
    is_active = streams.lengths() > 0
    rng = np.random.default_rng(config.seed)

    def draw(part: str, users: np.ndarray) -> np.ndarray:
        """Draw rows of the active users among some."""
        active = np.flatnonzero(is_active[users])
        n = sizes[part]
        if len(active) < n:
            raise ConfigError(
                f"users: {len(active):,} of {len(dataset.users):,} simulated users qualify for the {part} part, which "
                f"needs {n:,}; simulate more days or more items."
            )
        return np.sort(rng.choice(active, n, replace=False))

    newcomers = newcomers.take(rng.permutation(len(newcomers)))
    n_validation = round(len(newcomers) * VALIDATION_SHARE / (VALIDATION_SHARE + TEST_SHARE))
    split = split.keep_warm(draw("train", split.warm))
    validation = newcomers.take(draw("validation", newcomers.users[:n_validation]))
    cold = newcomers.take(n_validation + draw("test", newcomers.users[n_validation:]))
    return replace(split, validation=validation, cold=cold), streams


def _write_files(
    folder: Path, dataset: Dataset, split: Split, streams: SparseRows, config: Config, progress: Progress
) -> None:
    """Run step 1 in both spaces, compute features and write all files, with random ids and shuffled rows."""
    rng = np.random.default_rng([config.seed, 21])
    n_songs = len(dataset.items)
    n_users = len(dataset.users)
    song_ids = rng.permutation(ID_SPREAD * n_songs)[:n_songs]
    user_ids = rng.permutation(ID_SPREAD * n_users)[:n_users]
    mark = {SIMULATED_KEY: f"firstday {firstday.__version__}"}

    def write(name: str, table: pl.DataFrame) -> None:
        shuffled = table[rng.permutation(table.height)]
        shuffled.write_parquet(folder / name, compression_level=1, statistics=False, metadata=mark)

    catalogue = Catalogue.of(dataset, config.signals.names)
    batches: dict[Part, SignalBatch] = {}
    heads: dict[Part, pl.DataFrame] = {}
    day_ones = (split.warm_day_one[0], split.validation.day_one, split.cold.day_one)
    parts = (split.warm, split.validation.users, split.cold.users)
    for part, users, day_one in zip(PARTS, parts, day_ones, strict=True):
        batches[part], _ = catalogue.translate(dataset, users, day_one)
        streamed = streams.take(users)
        lists = np.split(song_ids[streamed.columns], streamed.starts[1:-1])
        heads[part] = pl.DataFrame({USER: user_ids[users], SONGS_OF_USER: lists})
    logs = collect_warm_logs(dataset, split, config, split.warm_actions["favorite", ITEM])
    members = {name: entity.items for name, entity in dataset.entities.items()}
    n_countries = {"country": len(catalogue.groups["country"])}
    songs = pl.DataFrame({SONG: song_ids})
    warm_users = heads["train"].select(USER)
    for n_done, (space, method) in enumerate(SPACES.items()):
        progress("spaces", n_done, len(SPACES))
        dimensions = min(method.dimensions or 0, n_songs // 2)
        embeddings = fit_embeddings(logs, method.override("dimensions", dimensions), seed=config.seed)
        encoder = fit_encoder(embeddings, batches["train"], members, n_countries, FEATURES, config.signals)
        for part, batch in batches.items():
            features = _tabulate_features(encoder, batch)
            write(name_features(part, space), heads[part].hstack(features))
        songs = songs.with_columns(_vectors(f"features_{space}", embeddings.item_vectors))
        warm_users = warm_users.with_columns(_vectors(f"{space}_embeddings", embeddings.user_vectors))
    write(SONGS, songs)
    write(USERS, warm_users)
    progress("spaces", len(SPACES), len(SPACES))


def _vectors(column: str, matrix: np.ndarray) -> pl.Series:
    return pl.Series(column, matrix).cast(pl.List(pl.Float32))


def _tabulate_features(encoder: Encoder, batch: SignalBatch) -> pl.DataFrame:
    """Encode users as columns of the release: missing values and the blocks of users who lack the signal are null."""
    features = encoder.encode(batch)
    n_pairs = len(encoder.pairs)
    assert batch.ages is not None
    is_ageless = batch.ages < 0
    counts = features[:, -1 - n_pairs : -1]
    vectors = features[:, : -1 - n_pairs].reshape(batch.n_users, -1, encoder.dimensions)
    vectors[:, -n_pairs:][counts == 0] = np.nan
    vectors[is_ageless, 0] = np.nan
    counts[counts == 0] = np.nan
    features[:, -1] = np.where(is_ageless, np.nan, batch.ages)
    blocks = []
    for signal, entity in encoder.pairs:
        noun = "song" if entity == ITEM else entity
        blocks.append(f"{SIGNAL_NAMES.get(signal, signal)}_{noun}s")
    table = pl.DataFrame(features, schema=_name_columns(blocks, encoder.dimensions)).fill_nan(None)
    release = pl.DataFrame(schema=dict.fromkeys(_name_columns(COUNTED_BLOCKS, encoder.dimensions), pl.Float32))
    return pl.concat([release, table], how="diagonal")


def _name_columns(counted_blocks: Sequence[str], d: int) -> list[str]:
    """Name the feature columns, in the order of the release."""
    stems = [f"{block}_embedding" for block in BLOCKS[:2]]
    stems += [f"{block}_" for block in counted_blocks]
    names = [f"{stem}{number}" for stem in stems for number in range(d)]
    return [*names, *(COUNT_PREFIX + block for block in counted_blocks), AGE_VALUE]
