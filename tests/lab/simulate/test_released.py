"""The layout of the paper's released data: complete, consistent, repeatable, and marked as simulated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from firstday.errors import ConfigError
from firstday.lab.reproduce.deezer_kdd21 import COUNTED_BLOCKS, PARTS, SIMULATED_KEY, PaperData, read_paper_data
from firstday.lab.simulate.released import simulate_released
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.ranking import unit_rows

SETTINGS = SimulationSettings(200, 200, seed=4)
D = 100
"""Dimensions in both spaces: half of the number of items."""
SIZES = {"train": 140, "validation": 40, "test": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("released") / "out"
    rows = simulate_released(SETTINGS, out)
    assert {name: rows[name] for name in SIZES} == SIZES
    assert rows["songs"] == 200
    assert rows["simulated users"] > 200
    return out


@pytest.fixture(scope="module")
def spaces(folder: Path) -> dict[str, PaperData]:
    return {"svd": read_paper_data(folder, "svd"), "mf": read_paper_data(folder, "mf")}


def test_it_reads_back(spaces: dict[str, PaperData]) -> None:
    for data in spaces.values():
        assert data.simulated
        assert data.item_vectors.shape == (200, D)
        for part, n in SIZES.items():
            users = getattr(data, part)
            assert users.features.shape == (n, 20 * D + 19)
            assert (users.songs.lengths() > 0).all()


def test_both_spaces_tell_of_the_same_users(spaces: dict[str, PaperData]) -> None:
    everyone: list[int] = []
    for part in PARTS:
        one, other = (getattr(data, part) for data in spaces.values())
        order = other.ids.lookup(one.ids.values)
        np.testing.assert_array_equal(one.songs.columns, other.songs.take(order).columns)
        np.testing.assert_array_equal(one.counts(), other.counts()[order])
        np.testing.assert_array_equal(one.features[:, -1], other.features[order, -1])
        everyone += one.ids.values.to_list()
    assert len(set(everyone)) == len(everyone) == 200


def test_blocks_hold_something_where_their_count_does(spaces: dict[str, PaperData]) -> None:
    for data in spaces.values():
        counts = np.concatenate([getattr(data, part).counts() for part in PARTS])
        for number, block in enumerate(COUNTED_BLOCKS):
            filled = np.concatenate([getattr(data, part).block(block).any(axis=1) for part in PARTS])
            assert not filled[counts[:, number] == 0].any(), block
            assert filled[counts[:, number] > 0].mean() > 0.9 or not counts[:, number].any(), block
        assert (counts.sum(axis=0) > 0).sum() >= 14
        np.testing.assert_array_equal(counts[:, 8] > 0, counts[:, 9] > 0)  # who streams songs streams artists


def test_a_country_is_one_vector_and_it_is_the_mean_of_its_warm_users(spaces: dict[str, PaperData]) -> None:
    data = spaces["svd"]
    distinct, code = np.unique(data.train.block("country"), axis=0, return_inverse=True)
    code = code.ravel()  # a column in NumPy 2.0
    assert 3 < len(distinct) <= 14
    largest = np.bincount(code).argmax()
    expected = unit_rows(data.user_vectors)[code == largest].mean(axis=0)
    np.testing.assert_allclose(distinct[largest], expected, atol=1e-5)


def test_rows_are_shuffled_and_missing_values_are_null(folder: Path) -> None:
    table = pl.read_parquet(folder / "user_features_train_svd.parquet")
    assert not table["user_index"].is_sorted()
    assert table["nb_streamed_songs"].null_count() > 0
    assert (table["nb_streamed_songs"].is_null() == table["streamed_songs_0"].is_null()).all()
    assert (table["age_value"].is_null() == table["age_embedding0"].is_null()).all()
    assert table["age_value"].is_null().any()
    songs = pl.read_parquet(folder / "song_embeddings.parquet")["song_index"]
    assert not songs.is_sorted()
    assert songs.max() > 200  # type: ignore[operator]
    assert all(SIMULATED_KEY in pl.read_parquet_metadata(file) for file in folder.iterdir())


def test_one_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    simulate_released(SETTINGS, tmp_path / "again")
    for file in folder.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_short_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="days: 30 are too few for this layout; give at least 60"):
        simulate_released(replace(SETTINGS, days=30), tmp_path / "short")
    with pytest.raises(
        ConfigError, match=r"users: \d+ of 588 simulated users qualify for the train part, which needs 140"
    ):
        simulate_released(replace(SETTINGS, days=60), tmp_path / "short")
    assert not (tmp_path / "short").exists()
