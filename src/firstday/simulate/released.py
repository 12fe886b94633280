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
from firstday.config import Config, EmbeddingConfig, FeatureConfig
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.load import load
from firstday.data.sources.deezer_kdd21 import (
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
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, split_registration
from firstday.data.splits.roles import Roles
from firstday.data.splits.split import Split
from firstday.embed.methods import collect_warm_logs, fit_embeddings
from firstday.errors import ConfigError
from firstday.features.encoder import Encoder, fit_encoder
from firstday.features.signals import Catalogue, SignalBatch
from firstday.progress import Progress, no_progress
from firstday.simulate.simulation_settings import BEGIN, SimulationSettings
from firstday.simulate.tables import new_folder, simulate
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
FEATURES = FeatureConfig(group_shrinkage=0, age_users=0, counts="plain", unit_vectors=False, fold_in=False)
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
    sizes = {"train": settings.n_users - n_validation - n_test, "validation": n_validation, "test": n_test}
    n_simulated = math.ceil(SERVICE_USERS * settings.n_users + 10 * math.sqrt(settings.n_users))
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
    cold_days = round(COLD_SHARE * (days - RELEASED_TARGET_DAYS))
    cut_off = int((BEGIN + timedelta(days=days - RELEASED_TARGET_DAYS - cold_days)).timestamp() * 1_000_000)
    log = log_of(dataset, config)
    nobody = np.zeros(0, dtype=np.int64)
    histories = read_histories(dataset, config, log and replace(log, end=cut_off))
    histories = replace(histories, target_days=RELEASED_TARGET_DAYS)
    roles = Roles(np.flatnonzero(histories.n_used >= WARM_ITEMS), nobody, nobody)
    split = split_registration(dataset, config, histories, roles)
    late = np.flatnonzero(histories.registered_us >= cut_off)
    newcomers = collect_newcomers(dataset, config, replace(histories, log=log), late)
    end = histories.target_end_us
    end[split.warm] = np.minimum(end[split.warm], cut_off)
    month = dataset.actions(Window(histories.day_end_us, end))
    streams = month["stream", ITEM].ones()

    rng = np.random.default_rng(config.seed)
    newcomers = newcomers.take(rng.permutation(len(newcomers)))
    n_validation = round(len(newcomers) * VALIDATION_SHARE / (VALIDATION_SHARE + TEST_SHARE))
    pools = (split.warm, *np.split(newcomers.users, [n_validation]))
    rows = []
    for (part, n), users in zip(sizes.items(), pools, strict=True):
        active = np.flatnonzero(streams.lengths()[users])
        if len(active) < n:
            raise ConfigError(
                f"users: {len(active):,} of {len(dataset.users):,} simulated users qualify for the {part} part, which "
                f"needs {n:,}; simulate more days or more items."
            )
        rows.append(np.sort(rng.choice(active, n, replace=False)))
    warm, validation, cold = rows
    split = replace(
        split.keep_warm(warm), validation=newcomers.take(validation), cold=newcomers.take(n_validation + cold)
    )
    return split, streams


def _write_files(
    folder: Path, dataset: Dataset, split: Split, streams: SparseRows, config: Config, progress: Progress
) -> None:
    """Run step 1 in both spaces, compute features and write all files, with random ids and shuffled rows."""
    rng = np.random.default_rng([config.seed, 21])
    song_ids, user_ids = (rng.permutation(ID_SPREAD * len(ids))[: len(ids)] for ids in (dataset.items, dataset.users))

    def write(name: str, table: pl.DataFrame) -> None:
        table[rng.permutation(table.height)].write_parquet(
            folder / name,
            compression_level=1,
            statistics=False,
            metadata={SIMULATED_KEY: f"firstday {firstday.__version__}"},
        )

    catalogue = Catalogue.of(dataset, config.signals.known)
    batches: dict[Part, SignalBatch] = {}
    heads: dict[Part, pl.DataFrame] = {}
    cohorts = ((cohort.users, cohort.day_one) for cohort in (split.validation, split.cold))
    for part, (users, day_one) in zip(PARTS, ((split.warm, split.warm_day_one[0]), *cohorts), strict=True):
        batches[part] = catalogue.translate(dataset, users, day_one)[0]
        songs = streams.take(users)
        lists = np.split(song_ids[songs.columns], songs.starts[1:-1])
        heads[part] = pl.DataFrame({USER: user_ids[users], SONGS_OF_USER: lists})
    logs = collect_warm_logs(dataset, split, config, split.warm_actions["favorite", ITEM])
    vectors = {SONGS: pl.DataFrame({SONG: song_ids}), USERS: heads["train"].select(USER)}
    for n_done, (space, method) in enumerate(SPACES.items()):
        progress("spaces", n_done, len(SPACES))
        dimensions = min(method.dimensions or 0, len(dataset.items) // 2)
        embeddings = fit_embeddings(logs, method.override("dimensions", dimensions), seed=config.seed)
        encoder = fit_encoder(
            embeddings,
            batches["train"],
            {name: entity.items for name, entity in dataset.entities.items()},
            {"country": len(catalogue.groups["country"])},
            FEATURES,
            config.signals,
        )
        for part, batch in batches.items():
            write(name_features(part, space), heads[part].hstack(_tabulate_features(encoder, batch)))
        for file, column, matrix in (
            (SONGS, f"features_{space}", embeddings.item_vectors),
            (USERS, f"{space}_embeddings", embeddings.user_vectors),
        ):
            vectors[file] = vectors[file].with_columns(pl.Series(column, matrix).cast(pl.List(pl.Float32)))
    for file, table in vectors.items():
        write(file, table)
    progress("spaces", len(SPACES), len(SPACES))


def _tabulate_features(encoder: Encoder, batch: SignalBatch) -> pl.DataFrame:
    """Encode users as columns of the release: missing values and the blocks of users who lack the signal are null."""
    features = encoder.encode(batch)
    d = encoder.dimensions
    n_pairs = len(encoder.pairs)
    assert batch.ages is not None
    is_ageless = batch.ages < 0
    counts = features[:, -1 - n_pairs : -1]
    vectors = features[:, : -1 - n_pairs].reshape(batch.n_users, -1, d)
    vectors[:, -n_pairs:][counts == 0] = np.nan
    vectors[is_ageless, 0] = np.nan
    counts[counts == 0] = np.nan
    features[:, -1] = np.where(is_ageless, np.nan, batch.ages)
    names = [
        f"{SIGNAL_NAMES.get(signal, signal)}_{'songs' if entity == ITEM else f'{entity}s'}"
        for signal, entity in encoder.pairs
    ]
    table = pl.DataFrame(features, schema=_name_columns(names, d)).fill_nan(None)
    release = pl.DataFrame(schema=dict.fromkeys(_name_columns(COUNTED_BLOCKS, d), pl.Float32))
    return pl.concat([release, table], how="diagonal")


def _name_columns(counted_blocks: Sequence[str], d: int) -> list[str]:
    """Name the feature columns, in the order of the release."""
    stems = [*(f"{block}_embedding" for block in BLOCKS[:2]), *(f"{block}_" for block in counted_blocks)]
    names = [f"{stem}{number}" for stem in stems for number in range(d)]
    return [*names, *(COUNT_PREFIX + block for block in counted_blocks), AGE_VALUE]
