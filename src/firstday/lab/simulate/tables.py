"""Simulate tables into a folder, in blocks of users, so that memory does not grow with the number of interactions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
from polars import selectors

from firstday.errors import ConfigError
from firstday.lab.simulate.behavior import ENTITIES, ITEM_CODE, SIGNALS, Block, simulate_block
from firstday.lab.simulate.music import (
    ARTISTS,
    TITLE_PATTERNS,
    MusicCatalogue,
    invent_distinct_names,
    invent_names,
    invent_playlists,
    make_catalogue,
)
from firstday.lab.simulate.people import People, draw_friends, make_people
from firstday.lab.simulate.series import follow_shows, make_series
from firstday.lab.simulate.simulation_settings import BEGIN, SimulationSettings
from firstday.lab.simulate.world import AGES, COUNTRIES, ZONES, make_world
from firstday.progress import Progress, no_progress
from firstday.tables.raw_table import first_line


def simulate(settings: SimulationSettings, out: Path, *, progress: Progress = no_progress) -> dict[str, int]:
    """Simulate a service and write its tables; return the number of rows by table.

    Equal settings give equal files. `out` must be new or empty, and appears only once all tables are written.
    """
    # An independent random stream per part, so that changing one part leaves the others unchanged.
    rngs = np.random.default_rng(settings.seed).spawn(6)
    world_rng, catalogue_rng, people_rng, friends_rng, names_rng, blocks_rng = rngs
    with new_folder(out) as folder:
        starts = range(0, settings.n_users, settings.block_users)
        progress("blocks of users", 0, len(starts))
        world = make_world(settings.n_items, world_rng)
        catalogue = make_catalogue(settings, world, catalogue_rng)
        people = make_people(settings, world, people_rng)
        tables = {
            "users": _tabulate_users(people),
            "friends": draw_friends(people, friends_rng),
            **_tabulate_catalogue(catalogue, names_rng),
        }
        if settings.series:
            tables = make_series(tables, catalogue, world, settings.days, catalogue_rng)
        rows = {"interactions": 0}
        for name, table in tables.items():
            rows[name] = _write(table, folder / f"{name}.parquet")
        (folder / "interactions").mkdir()
        for number, (start, rng) in enumerate(zip(starts, blocks_rng.spawn(len(starts)), strict=True)):
            part = people.take(slice(start, start + settings.block_users))
            block = Block(settings.end_s, catalogue, part, rng)
            events = simulate_block(block)
            if settings.series:
                events = follow_shows(events, tables["users"][start:], tables["items"], rng)
            interactions = _tabulate_events(events, start)
            rows["interactions"] += _write(interactions, folder / f"interactions/part-{number:05}.parquet")
            progress("blocks of users", number + 1, len(starts))
    return rows


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `out`, a new or empty folder, which thus is complete or absent."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ConfigError(f"{out}: exists and is not an empty folder; give a new folder.")
    try:
        parent = out.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=parent) as staging:
            folder = Path(staging) / "complete"
            folder.mkdir()
            yield folder
            folder.rename(out)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise ConfigError(
            f"{out}: cannot be written ({first_line(error)}); choose another folder or free disk space."
        ) from error


def _write(table: pl.DataFrame, path: Path) -> int:
    """Write a table, with indices converted to ids, which start from 1; return the number of rows."""
    table.with_columns((selectors.ends_with("_id") + 1).cast(pl.Int32)).write_parquet(path)
    return table.height


def _tabulate_users(people: People) -> pl.DataFrame:
    """Build the users table, in order of registration."""
    ages = pl.Series(AGES[people.age_ix], dtype=pl.Int16)
    users = {
        "user_id": np.arange(len(people)),
        "registered_at": people.registered_s,
        "age": ages.set(pl.Series(~people.has_age), None),
        "country": COUNTRIES["country"][people.country],
        "time_zone": ZONES["zone"][people.zone],
    }
    return pl.DataFrame(users).with_columns(registered_at=BEGIN + pl.duration(seconds="registered_at"))


def _tabulate_catalogue(catalogue: MusicCatalogue, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Build the items, collections and names tables."""
    artist_rng, album_rng, item_rng, playlist_rng = rng.spawn(4)
    n_items = len(catalogue.scene)
    n_albums = int(catalogue.album.max()) + 1
    names = {
        "artist": invent_distinct_names(ARTISTS, len(catalogue.artist_scene), artist_rng),
        "album": invent_names(TITLE_PATTERNS, n_albums, album_rng),
        "playlist": invent_playlists(catalogue.playlist_scene, playlist_rng),
    }
    items = {
        "item_id": np.arange(n_items),
        "title": invent_names(TITLE_PATTERNS, n_items, item_rng),
        "artist_id": catalogue.artist,
        "album_id": catalogue.album,
    }
    collections = catalogue.members.select(pl.lit("playlist").alias("entity"), pl.all())
    entities = []
    for entity, of_entity in names.items():
        rows = {"entity": entity, "entity_id": np.arange(len(of_entity)), "name": of_entity}
        entities.append(pl.DataFrame(rows))
    return {"items": pl.DataFrame(items), "collections": collections, "names": pl.concat(entities)}


def _tabulate_events(events: pl.DataFrame, first_user: int) -> pl.DataFrame:
    """Build the interactions table of a block."""
    is_item = pl.col("entity") == ITEM_CODE
    entity = pl.lit(ENTITIES).gather("entity")
    signal = pl.lit(SIGNALS).gather("signal")
    return events.select(
        user_id=pl.col("user") + first_user,
        item_id=pl.when(is_item).then("target"),
        entity=pl.when(~is_item).then(entity),
        entity_id=pl.when(~is_item).then("target"),
        signal=signal,
        timestamp=BEGIN + pl.duration(seconds="time_s"),
    )
