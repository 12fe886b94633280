"""The sets of the leaderboard: built-in datasets, a simulated service that needs no data, and folders of tables."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import BUILT_IN, COPIES, FETCHED, load
from firstday.data.sources import deezer_europe, movietweetings, online_retail
from firstday.errors import ConfigError
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import simulate

SIMULATED = "simulated"
SERVICE = SimulationSettings(n_users=10_000, n_items=4_000, days=60)
"""The simulated service: the same for everybody."""
MARKS = {
    deezer_europe.NAME: (f"{deezer_europe.FOLDER}.zip", deezer_europe.FEATURES, deezer_europe.FOLDER),
    online_retail.NAME: (online_retail.FILE,),
    movietweetings.NAME: (f"{movietweetings.FOLDER}.zip", movietweetings.RATINGS, movietweetings.FOLDER),
}
"""Files and folders by which the local copy of a built-in dataset is known."""


def find_sets(names: Sequence[str], data: Sequence[Path]) -> dict[str, Path | None]:
    """Return the sets to run, and where the local copy of each is, None for those that need none.

    Parameters
    ----------
    names
        Built-in names, `SIMULATED`, or folders of tables. Empty: MovieLens 100K, the simulated service, and every
        built-in dataset that is in `data`.
    data
        Folders with local copies.

    Raises
    ------
    ConfigError
        A named set is not there.
    """
    for folder in data:
        if not folder.exists():
            raise ConfigError(f"--data: {folder} does not exist; give a folder with local copies.")
    copies = {name: place for name in MARKS if (place := _find_copy(name, data)) is not None}
    if not names:
        return {name: copies.get(name) for name in (*FETCHED[:1], SIMULATED, *copies)}
    for name in names:
        if name in MARKS and name not in copies:
            raise ConfigError(
                f"{name}: is not fetched by firstday; give the folder that holds {COPIES[name]} as --data."
            )
        if name not in (*BUILT_IN, SIMULATED) and not Path(name).is_dir():
            raise ConfigError(
                f"{name}: is no set; choose of {', '.join(BUILT_IN)} and {SIMULATED}, or give a folder of tables."
            )
    return {name: copies.get(name) for name in names}


def _find_copy(name: str, data: Sequence[Path]) -> Path | None:
    """Return the first folder that holds a copy of a built-in dataset."""
    return next((folder for folder in data if any((folder / mark).exists() for mark in MARKS[name])), None)


def open_set(name: str, copy: Path | None, *, drop_bad_rows: float = 0.0) -> tuple[Dataset, Config]:
    """Load a set, and the settings for it: the preset of a built-in name, else the defaults."""
    if name == SIMULATED:
        with tempfile.TemporaryDirectory() as folder:
            simulate(SERVICE, Path(folder) / SIMULATED)
            return load(Path(folder) / SIMULATED), Config()
    config = suit_config(name)
    return load(name, path=copy, config=config, drop_bad_rows=drop_bad_rows), config
