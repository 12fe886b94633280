"""The same tables as frames of any library and as files of any form give the same dataset, and thus the same model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from firstday.data.dataset import Dataset
from firstday.engine.engines import load
from firstday.model.folder import read_manifest
from firstday.training.fit import train
from tests.data.same import assert_equal
from tests.data.test_frames import LIBRARIES
from tests.synthetic import THREADS, brief_config

Tables = dict[str, pl.DataFrame]
GENRES = ("folk", "jazz", "pop", "rock")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A simulated service with lists, missing numbers, and times of microseconds."""
    folder = tmp_path_factory.mktemp("service") / "tables"
    lab = pytest.importorskip("firstday.lab.simulate.tables")
    lab.simulate(lab.SimulationSettings(n_users=600, n_items=300, seed=5), folder)
    frames = {
        name: pl.read_parquet(folder / f"{name}.parquet") for name in ("users", "items", "collections", "friends")
    }
    frames["interactions"] = pl.read_parquet(folder / "interactions")
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


def read(tables: Path | dict[str, Any]) -> Dataset:
    dataset = load(tables, config=brief_config())
    assert isinstance(dataset, Dataset)
    assert {"genre", "artist", "album", "playlist"} <= set(dataset.entities)
    return dataset


@pytest.fixture(scope="module")
def expected(tables: Tables) -> Dataset:
    return read(dict(tables))


@pytest.mark.parametrize("library", [library for library in LIBRARIES if library != "polars"])
def test_frames_of_any_library(library: str, tables: Tables, expected: Dataset) -> None:
    assert_equal(read({name: LIBRARIES[library](frame) for name, frame in tables.items()}), expected)


@pytest.mark.parametrize("form", FILES)
def test_files_of_any_form(form: str, tables: Tables, expected: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "tables"  # as frames are named
    folder.mkdir()
    for name, frame in tables.items():
        FILES[form](frame, folder / name)
    dataset = read(folder)
    assert_equal(dataset, expected)
    if dataset.notes and THREADS == 1:  # notes reach no byte of the model; bytes are promised for one thread
        some = (each.keep_users(np.arange(450, 600)) for each in (dataset, expected))
        paths = [train(each, brief_config()).save(tmp_path / f"{n}") for n, each in enumerate(some)]
        assert len({read_manifest(path)["version"] for path in paths}) == 1
