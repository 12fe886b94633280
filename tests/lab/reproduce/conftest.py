"""The hand-made folder, read and evaluated once; and a simulated one."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstday.config import Config, parse_config
from firstday.lab.reproduce.deezer_kdd21 import PaperData, read_paper_data
from firstday.lab.reproduce.table import Reproduction, choose_strategies, configure, reproduce_table
from firstday.lab.simulate.released import simulate_released
from firstday.lab.simulate.simulation_settings import SimulationSettings
from tests.lab.reproduce.released import make_released
from tests.synthetic import SEED, THREADS

K = 10
SETTINGS = {
    "seed": SEED,
    "threads": THREADS,
    "recommend": {"k": K},
    "segments": {"restarts": 1},
    "cold_model": {"hidden": [16], "epochs": 2, "batch_size": 64},
    "ranker": {"hidden": [16], "epochs": 2, "batch_size": 64},
}


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released") / "deezer"
    make_released(folder)
    return folder


@pytest.fixture(scope="session")
def data(released: Path) -> PaperData:
    return read_paper_data(released, "svd")


@pytest.fixture(scope="session")
def paper_config(data: PaperData) -> Config:
    return configure(parse_config(SETTINGS), len(data.train), 12, 5)


@pytest.fixture(scope="session")
def found(data: PaperData, paper_config: Config) -> Reproduction:
    return reproduce_table(data, paper_config, choose_strategies(with_baselines=False), n_seeds=2)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small simulated folder."""
    out = tmp_path_factory.mktemp("simulated") / "released"
    simulate_released(SimulationSettings(200, 200, seed=4), out)
    return out
