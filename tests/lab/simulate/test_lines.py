"""A simulated service, which has every signal and entity, needs few lines."""

from __future__ import annotations

from pathlib import Path

from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate
from tests.cli.conftest import Run, run, settings  # noqa: F401  fixtures
from tests.cli.test_lines import assert_few_lines


def test_a_simulated_service_needs_few_lines(run: Run, settings: Path, tmp_path: Path) -> None:  # noqa: F811
    simulate(SimulationSettings(400, 200, days=60), tmp_path / "tables")
    assert_few_lines(run, tmp_path / "tables", settings, tmp_path / "model")
