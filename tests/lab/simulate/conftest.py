"""One simulated service of 3,000 users, written once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate

SETTINGS = SimulationSettings(3_000, 2_000, days=80, seed=1, block_users=1_000)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "tables"
    simulate(SETTINGS, out)
    return out


@pytest.fixture(scope="session")
def users(service: Path) -> pl.DataFrame:
    return pl.read_parquet(service / "users.parquet")


@pytest.fixture(scope="session")
def events(service: Path, users: pl.DataFrame) -> pl.DataFrame:
    """Interactions with the time since registration."""
    rows = pl.read_parquet(service / "interactions" / "*.parquet")
    return rows.join(users.select("user_id", "registered_at"), on="user_id", maintain_order="left").with_columns(
        after=pl.col("timestamp") - pl.col("registered_at")
    )
