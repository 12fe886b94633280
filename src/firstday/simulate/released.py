"""A simulated service in the layout of the paper's released data: both spaces, features and songs, computed for real.

A larger service is simulated as tables in a temporary folder. Its users are told apart by the `registration` protocol,
warm ones by their history, and cut down to the asked number; step 1 is run on the warm ones; features are made with the
paper's settings.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from firstday.config import Config, EmbeddingConfig, FeatureConfig
from firstday.config_protocols import RegistrationProtocolConfig
from firstday.data.calendar import DAY_US, find_registrations
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM, Window
from firstday.data.load import load
from firstday.data.registration import split_registration
from firstday.data.rows import SparseRows, stack_rows
from firstday.data.sources.deezer_kdd21 import Part, Space
from firstday.data.split import Actions, Split
from firstday.embed.affinity import compute_affinity
from firstday.embed.fit import WarmLogs, fit_embeddings
from firstday.errors import ConfigError
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import fit_encoder
from firstday.simulate.released_files import ReleasedFiles
from firstday.simulate.settings import SimulationSettings
from firstday.simulate.write import fill_folder, simulate
from firstday.stages import Progress, no_progress

SHARES: Mapping[Part, float] = {"train": 0.7, "validation": 0.2, "test": 0.1}
"""How users divide: 70,000, 20,000 and 10,000 in the paper."""
TARGET_DAYS = 30
COLD_SHARE = 0.18
"""Share of the days on which people register that are the cold users'."""
WARM_YIELD, COLD_YIELD, MARGIN = 0.45, 0.86, 1.15
"""Of those who register, about how many turn out usable as warm and cold users, and how many more are simulated."""
MOST_ATTEMPTS, GROWTH = 4, 1.4
"""How often a service is simulated until it has enough users, and how much larger each time."""
MIN_DAYS = 60
"""With fewer days hardly anyone has enough history to be warm."""
DIMENSIONS: Mapping[Space, int] = {"svd": 128, "mf": 256}
METHODS: Mapping[Space, EmbeddingConfig] = {
    "svd": EmbeddingConfig(method="svd", dimensions=128),
    "mf": EmbeddingConfig(method="als", dimensions=128, als_iterations=6),
}
"""Step 1 of each space; ALS with fewer sweeps than by default."""
COLLECTIONS = ("playlist", "album")
"""What songs of the SVD's space occur together in, beside each warm user's favorites: collections, as in the paper."""
FEATURES = FeatureConfig(group_shrinkage=0, counts="plain", unit_vectors=False, fold_in=False)
"""The paper's features: plain means and counts, nothing more."""
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class _Users:
    """Users of one file: who they are, what they did on day one, and what they streamed in the 30 days."""

    users: np.ndarray
    day_one: Actions
    songs: SparseRows

    def take(self, rows: np.ndarray) -> _Users:
        """Return some of the users."""
        day_one = {pair: actions.take(rows) for pair, actions in self.day_one.items()}
        return _Users(self.users[rows], day_one, self.songs.take(rows))


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
        `n_users` is the number of users in the files; the service that they come from is larger.
    out
        A new or empty folder.
    dimensions
        Numbers in a vector of each space; fewer where there are not as many items.
    progress
        Called as work is done.

    Returns
    -------
    dict
        Users of each part, ``songs``, and ``simulated users``, the size of the service that they come from.

    Raises
    ------
    ConfigError
        The log is too short for warm users, the folder is not empty, or it cannot be written.

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
        cut_off=settings.begin + timedelta(days=registering - cold_days),
        cold_days=cold_days,
        target_days=TARGET_DAYS,
        validation=SHARES["validation"] / (SHARES["validation"] + SHARES["test"]),
    )
    config = Config(seed=settings.seed, registration=protocol, features=FEATURES)

    sizes = _divide(settings.n_users)

    def fill(folder: Path) -> dict[str, int]:
        asked = service
        for _ in range(MOST_ATTEMPTS):
            with tempfile.TemporaryDirectory(prefix="firstday-") as scratch:
                tables = Path(scratch) / "tables"
                simulate(asked, tables, progress=progress)
                progress("reading tables", 0, 1)
                dataset = load(tables, config=config)
                progress("reading tables", 1, 1)
            progress("users of each part", 0, 1)
            chosen = _choose(dataset, config, sizes)
            progress("users of each part", 1, 1)
            if chosen is not None:
                files = ReleasedFiles.draw(folder, dataset, settings.seed)
                _write(dataset, *chosen, config, files, dimensions, progress)
                return {
                    **{str(part): n for part, n in sizes.items()},
                    "songs": settings.n_items,
                    "simulated users": asked.n_users,
                }
            asked = replace(asked, n_users=math.ceil(GROWTH * asked.n_users))
        raise ConfigError(f"days: {settings.days} give too few users with enough history; simulate more days.")

    return fill_folder(out, fill)


def _divide(n_users: int) -> dict[Part, int]:
    """Return how many users each part has."""
    validation, test = (round(SHARES[part] * n_users) for part in ("validation", "test"))
    return {"train": n_users - validation - test, "validation": validation, "test": test}


def _size_service(n_users: int) -> int:
    """Return how many users to simulate so that enough of them are usable."""
    cold = (SHARES["validation"] + SHARES["test"]) / (COLD_SHARE * COLD_YIELD)
    warm = SHARES["train"] / ((1 - COLD_SHARE) * WARM_YIELD)
    return math.ceil(MARGIN * n_users * max(cold, warm) + 10 * math.sqrt(n_users))


def _write(
    dataset: Dataset,
    parts: Mapping[Part, _Users],
    split: Split,
    config: Config,
    files: ReleasedFiles,
    dimensions: Mapping[Space, int],
    progress: Progress,
) -> None:
    """Run step 1 in both spaces, make features and write all files."""
    catalogue = Catalogue.of(dataset, config.signals.known)
    batches = {part: catalogue.translate(dataset, own.users, own.day_one)[0] for part, own in parts.items()}
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    together = [dataset.entities[name].items for name in COLLECTIONS]
    together += [rows for pair, rows in split.warm_actions.items() if pair == ("favorite", ITEM)]
    logs = WarmLogs(affinity, stack_rows(together), [])
    songs = []
    for space, method in METHODS.items():
        progress(f"vectors ({space})", 0, 1)
        d = min(dimensions[space], len(dataset.items) // 2)
        of_space = config.model_copy(update={"embedding": method.model_copy(update={"dimensions": d})})
        embeddings = fit_embeddings(logs, of_space.embedding, seed=config.seed)
        progress(f"vectors ({space})", 1, 1)
        encoder = fit_encoder(
            embeddings,
            batches["train"],
            {name: entity.items for name, entity in dataset.entities.items()},
            {"country": len(catalogue.groups["country"])},
            config.features,
            config.signals,
        )
        for done, (part, own) in enumerate(parts.items()):
            progress(f"features ({space})", done, len(parts))
            features = np.empty((len(own.users), encoder.n_inputs), dtype=np.float32)
            for at in range(0, len(features), ROWS_AT_ONCE):
                rows = np.arange(at, min(at + ROWS_AT_ONCE, len(features)))
                features[rows] = encoder.encode(batches[part].take(rows))
            files.write_features(part, space, features, encoder, batches[part].ages, own.users, own.songs)
            del features
        progress(f"features ({space})", len(parts), len(parts))
        songs.append((space, embeddings.item_vectors, embeddings.user_vectors))
    files.write_vectors(parts["train"].users, songs)


def _choose(dataset: Dataset, config: Config, sizes: Mapping[Part, int]) -> tuple[dict[Part, _Users], Split] | None:
    """Draw the users of each part among those who streamed in their 30 days, and cut the split down to warm ones.

    None where there are too few.
    """
    protocol = config.registration
    split = split_registration(dataset, config.signals, protocol, config.sampled, seed=config.seed)
    found = find_registrations(dataset, protocol)
    end = found.at + int(protocol.target_days * DAY_US)
    assert protocol.cut_off is not None
    of_warm = np.isin(np.arange(len(end)), split.warm)
    end[of_warm] = np.minimum(end[of_warm], int(protocol.cut_off.timestamp() * 1_000_000))
    (month,) = dataset.actions(Window(found.day_end, end))
    streams = month.get(("stream", ITEM), SparseRows.empty(len(end), len(dataset.items))).ones()
    rng = np.random.default_rng(config.seed)
    everyone: dict[Part, tuple[np.ndarray, Actions]] = {
        "train": (split.warm, split.warm_day_one[0]),
        "validation": (split.validation.users, split.validation.day_one),
        "test": (split.cold.users, split.cold.day_one),
    }
    parts: dict[Part, _Users] = {}
    warm_rows = np.zeros(0, dtype=np.int64)
    for part, n in sizes.items():
        users, day_one = everyone[part]
        able = np.flatnonzero(streams.lengths()[users] > 0)
        if len(able) < n:
            return None
        rows = np.sort(rng.choice(able, n, replace=False))
        if part == "train":
            warm_rows = rows
        parts[part] = _Users(users, day_one, streams.take(users)).take(rows)
    actions = {pair: own.take(warm_rows) for pair, own in split.warm_actions.items()}
    return parts, replace(split, warm=split.warm[warm_rows], warm_actions=actions)
