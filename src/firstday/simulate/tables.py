"""Simulate tables into a folder, in blocks of users, so that memory does not grow with the number of interactions."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from firstday.errors import ConfigError
from firstday.progress import Progress, no_progress
from firstday.simulate.behavior import ENTITIES, ITEM, PLAYLIST, SIGNALS, simulate_block
from firstday.simulate.music import (
    TITLES,
    MusicCatalogue,
    invent_artists,
    invent_names,
    invent_playlists,
    make_catalogue,
)
from firstday.simulate.people import People, draw_friends, make_people
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.world import AGES, COUNTRIES, ZONES, World, make_world

WORKERS = 2
"""Number of blocks simulated in parallel; each needs about 300 MB."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class TableCounts:
    """Row counts of the written tables.

    Parameters
    ----------
    rows
        Number of rows per table.
    signals
        Number of interactions per signal.
    """

    rows: dict[str, int]
    signals: dict[str, int]


def simulate(settings: SimulationSettings, out: Path, *, progress: Progress = no_progress) -> TableCounts:
    """Simulate a service and write its tables.

    Parameters
    ----------
    settings
        Size of the service and behavior of its users; equal settings give equal files.
    out
        A new or empty folder. It appears only once all tables are written.
    progress
        Called after each block of users.

    Returns
    -------
    TableCounts
        Number of rows.

    Raises
    ------
    ConfigError
        The folder is not empty or cannot be written.
    """
    return fill_folder(out, lambda folder: _write_tables(settings, folder, progress))


def _write_tables(settings: SimulationSettings, folder: Path, progress: Progress) -> TableCounts:
    _, _, people_seed, friends_seed, names_seed, block_seeds = _spawn_seeds(settings)
    progress("users and items", 0, 1)
    world, catalogue = make_world_and_catalogue(settings)
    people = make_people(settings, world, np.random.default_rng(people_seed))
    friends = draw_friends(people, np.random.default_rng(friends_seed))
    tables = {
        "users": _users_table(settings, people),
        "friends": pl.DataFrame({"user_id": _ids(friends[:, 0]), "friend_id": _ids(friends[:, 1])}),
        **_catalogue_tables(catalogue, world.n_scenes, np.random.default_rng(names_seed)),
    }
    rows = {}
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd")
        rows[name] = frame.height
    progress("users and items", 1, 1)
    del tables
    signals = _write_interactions(settings, catalogue, people, block_seeds, folder / "interactions", progress)
    return TableCounts({"interactions": sum(signals.values()), **rows}, signals)


def _spawn_seeds(settings: SimulationSettings) -> list[np.random.SeedSequence]:
    """Return an independent random stream per part, so that changing one part leaves the others unchanged."""
    return np.random.SeedSequence(settings.seed).spawn(6)


def make_world_and_catalogue(settings: SimulationSettings) -> tuple[World, MusicCatalogue]:
    """Generate the scenes and items of `simulate` with the same settings."""
    world_seed, catalogue_seed, *_ = _spawn_seeds(settings)
    world = make_world(settings, np.random.default_rng(world_seed))
    return world, make_catalogue(settings, world, np.random.default_rng(catalogue_seed))


def fill_folder(out: Path, fill: Callable[[Path], Result]) -> Result:
    """Fill a temporary folder and rename it to `out`, so that `out` is complete or absent.

    Raises
    ------
    ConfigError
        `out` is neither new nor empty, or cannot be written.
    """
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out}: is not empty; give a new folder.")
    if not out.is_dir() and (out.exists() or out.is_symlink()):
        raise ConfigError(f"{out}: is a file; give a new folder.")
    try:
        parent = out.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=parent) as staging:
            folder = Path(staging) / "filled"
            folder.mkdir()
            result = fill(folder)
            if out.is_dir():
                out.rmdir()
            folder.rename(out)
    except (OSError, pl.exceptions.ComputeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ConfigError(f"{out}: cannot be written ({reason}); choose another place or make room.") from error
    return result


def _ids(indexes: np.ndarray) -> pl.Series:
    """Return ids: indices plus 1."""
    return pl.Series(indexes.astype(np.int32) + 1)


def _words(values: tuple[str, ...], codes: np.ndarray) -> pl.Series:
    """Return the word of each code."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(codes.astype(np.uint32)))


def _moments(settings: SimulationSettings, seconds: np.ndarray) -> pl.Series:
    """Convert seconds since the start of the log to UTC timestamps."""
    begin_us = int(settings.begin.timestamp()) * 1_000_000
    return pl.Series(begin_us + seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _users_table(settings: SimulationSettings, people: People) -> pl.DataFrame:
    """Build the users table, in order of registration."""
    age = pl.Series(AGES[people.age_ix].astype(np.int16))
    return pl.DataFrame(
        {
            "user_id": _ids(np.arange(len(people))),
            "registered_at": _moments(settings, people.registered_s),
            "age": age.set(pl.Series(~people.has_age), None),
            "country": _words(tuple(country.code for country in COUNTRIES), people.country),
            "time_zone": _words(tuple(name for name, _, _ in ZONES), people.zone),
        }
    )


def _catalogue_tables(catalogue: MusicCatalogue, n_scenes: int, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Build the items, collections and names tables."""
    artist_rng, album_rng, item_rng, playlist_rng = rng.spawn(4)
    names = {
        "artist": invent_artists(len(catalogue.artist_scene), artist_rng),
        "album": invent_names(TITLES, int(catalogue.album.max()) + 1, album_rng),
        "playlist": invent_playlists(catalogue.playlist_scene, n_scenes, playlist_rng),
    }
    items = pl.DataFrame(
        {
            "item_id": _ids(np.arange(len(catalogue.scene))),
            "title": invent_names(TITLES, len(catalogue.scene), item_rng),
            "artist_id": _ids(catalogue.artist),
            "album_id": _ids(catalogue.album),
        }
    )
    collections = pl.DataFrame(
        {"entity_id": _ids(catalogue.members[:, 0]), "item_id": _ids(catalogue.members[:, 1])}
    ).select(pl.lit(ENTITIES[PLAYLIST]).alias("entity"), "entity_id", "item_id")
    name_tables = [
        pl.DataFrame({"entity_id": _ids(np.arange(len(entity_names))), "name": entity_names}).select(
            pl.lit(entity).alias("entity"), "entity_id", "name"
        )
        for entity, entity_names in names.items()
    ]
    return {"items": items, "collections": collections, "names": pl.concat(name_tables)}


def _write_interactions(
    settings: SimulationSettings,
    catalogue: MusicCatalogue,
    people: People,
    seed_sequence: np.random.SeedSequence,
    folder: Path,
    progress: Progress,
) -> dict[str, int]:
    """Write one file per block of users; return the number of interactions per signal."""
    folder.mkdir()
    seeds = seed_sequence.spawn(settings.n_blocks)

    def write_block(block: int) -> Counter[str]:
        first = block * settings.block_users
        part = people.take(slice(first, first + settings.block_users))
        events = simulate_block(settings, catalogue, part, np.random.default_rng(seeds[block]))
        frame = _interactions_table(settings, events, first)
        frame.write_parquet(folder / f"part-{block:05}.parquet", compression="zstd")
        return Counter(dict(zip(SIGNALS, np.bincount(events["signal"], minlength=len(SIGNALS)).tolist(), strict=True)))

    total: Counter[str] = Counter()
    progress("blocks of users", 0, settings.n_blocks)
    with ThreadPoolExecutor(WORKERS) as pool:
        pending = [pool.submit(write_block, block) for block in range(settings.n_blocks)]
        try:
            for n_done, future in enumerate(pending, 1):
                total.update(future.result())
                progress("blocks of users", n_done, settings.n_blocks)
        finally:
            for future in pending:
                future.cancel()
    return {signal: total[signal] for signal in SIGNALS}


def _interactions_table(settings: SimulationSettings, events: np.ndarray, first_user: int) -> pl.DataFrame:
    """Build the interactions table of a block."""
    target = _ids(events["target"])
    is_item = pl.Series(events["entity"] == ITEM)
    return pl.DataFrame(
        {
            "user_id": _ids(events["user"] + first_user),
            "item_id": target.set(~is_item, None),
            "entity": _words(ENTITIES, events["entity"]).set(is_item, None),
            "entity_id": target.set(is_item, None),
            "signal": _words(SIGNALS, events["signal"]),
            "timestamp": _moments(settings, events["time_s"]),
        }
    )
