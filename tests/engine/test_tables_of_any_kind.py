"""The same tables as frames of any library and as files of any form give the same model, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from firstday.artifact.folder import MANIFEST
from firstday.data.dataset import Dataset
from firstday.engine.engines import load
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate
from firstday.training.fit import train
from tests.data.test_frames import LIBRARIES
from tests.synthetic import THREADS, brief_config

Tables = dict[str, pl.DataFrame]
GENRES = ("folk", "jazz", "pop", "rock")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A simulated service with lists, missing numbers, and times of microseconds."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    simulate(SimulationSettings(n_users=600, n_items=300, seed=5), folder)
    names = ("users", "items", "interactions", "collections", "friends")
    frames = {
        name: pl.read_parquet(folder / name if (folder / name).is_dir() else folder / f"{name}.parquet")
        for name in names
    }
    genres = [[genre for bit, genre in enumerate(GENRES) if ix >> bit & 1] for ix in frames["items"]["item_id"]]
    frames["items"] = frames["items"].with_columns(genre=pl.Series(genres))
    odd_moments = pl.col("timestamp") + pl.duration(microseconds=pl.int_range(pl.len()) % 1_000_000)
    frames["interactions"] = frames["interactions"].with_columns(odd_moments)
    return frames


def with_times(frame: pl.DataFrame) -> pl.DataFrame:
    """What text holds: times in UTC with Z."""
    return frame.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """What CSV holds: lists with bars between, too."""
    return with_times(frame).with_columns(pl.selectors.list().cast(pl.List(pl.String)).list.join("|"))


FILES: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "Parquet": lambda frame, place: frame.write_parquet(place.with_suffix(".parquet")),
    "CSV": lambda frame, place: as_text(frame).write_csv(place.with_suffix(".csv")),
    "CSV with semicolons": lambda frame, place: as_text(frame).write_csv(place.with_suffix(".csv"), separator=";"),
    "CSV of pandas with its index": lambda frame, place: (
        as_text(frame).to_pandas().convert_dtypes().to_csv(place.with_suffix(".csv"))
    ),
    "JSON lines": lambda frame, place: with_times(frame).write_ndjson(place.with_suffix(".jsonl")),
}


def checksums(tables: Path | dict[str, Any], model: Path) -> dict[str, str]:
    """Train on tables, and return the checksum of each of the model's files."""
    config = brief_config()
    dataset = load(tables, config=config)
    assert isinstance(dataset, Dataset)
    assert {"genre", "artist", "album", "playlist"} <= set(dataset.entities)
    train(dataset, config).save(model)
    files: dict[str, str] = json.loads((model / MANIFEST).read_text())["files"]
    return files


@pytest.fixture(scope="module")
def expected(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if THREADS > 1:
        pytest.skip("bytes are promised for one thread")
    return checksums(dict(tables), tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("library", [library for library in LIBRARIES if library != "polars"])
def test_frames_of_any_library(library: str, tables: Tables, expected: dict[str, str], tmp_path: Path) -> None:
    frames = {name: LIBRARIES[library](frame) for name, frame in tables.items()}
    assert checksums(frames, tmp_path) == expected


@pytest.mark.parametrize("form", FILES)
def test_files_of_any_form(form: str, tables: Tables, expected: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "tables"  # as frames are named
    folder.mkdir()
    for name, frame in tables.items():
        FILES[form](frame, folder / name)
    assert checksums(folder, tmp_path / "model") == expected
