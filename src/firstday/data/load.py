"""load: a folder of tables, or a built-in dataset, becomes a Dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from firstday.config import Config, SignalConfig
from firstday.data.assemble import assemble, entity_ids
from firstday.data.checks import check_frames, faulty_entities
from firstday.data.dataset import Dataset
from firstday.data.findings import Findings
from firstday.data.interaction_rows import find_ids
from firstday.data.interactions import InteractionChecker
from firstday.data.raw import RawTable
from firstday.data.reading import read_folder
from firstday.data.sources import deezer_europe, movielens
from firstday.data.tables import TABLES, all_ids, entity_members
from firstday.errors import DataError

BUILT_IN = (movielens.NAME, deezer_europe.NAME)
"""Names of datasets that can stand where a folder of tables stands."""


@dataclass(frozen=True)
class CheckedTables:
    """What checking found.

    Parameters
    ----------
    dataset
        The Dataset, or None if there are faults.
    faults
        A sentence for each fault.
    notes
        A sentence for each thing that was ignored or decided.
    """

    dataset: Dataset | None
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def load(tables: str | Path, *, path: str | Path | None = None, config: Config | None = None) -> Dataset:
    """Load and check a dataset.

    Parameters
    ----------
    tables
        A folder of tables (see the documentation of tables), or a built-in name: ``movielens-100k`` (fetched once and
        cached, unless `path` is given) or ``deezer-europe``.
    path
        For a built-in name: the local copy, as a zip or a folder.
    config
        Names the signals that interactions may carry; the defaults if None.

    Returns
    -------
    Dataset
        The tables with dense indexes; the same whatever the order of the rows.

    Raises
    ------
    DataError
        The tables have faults; each is a sentence in `faults`.

    Examples
    --------
    >>> dataset = load("tables/")  # doctest: +SKIP
    >>> dataset = load("deezer-europe", path="deezer_europe.zip")  # doctest: +SKIP
    """
    checked = check_tables(tables, path=path, config=config)
    if checked.dataset is None:
        raise DataError(checked.faults)
    return checked.dataset


def check_tables(tables: str | Path, *, path: str | Path | None = None, config: Config | None = None) -> CheckedTables:
    """Check a dataset and say everything that was found, without raising for faults in it.

    Parameters
    ----------
    tables, path, config
        As for `load`.

    Raises
    ------
    DataError
        There is no such folder or built-in dataset, or the local copy of a built-in dataset cannot be used.
    """
    findings = Findings()
    if str(tables) in BUILT_IN and not (isinstance(tables, Path) and tables.is_dir()):
        name, raw = str(tables), _built_in(str(tables), path)
    else:
        folder = _folder(tables, path)
        name, raw = folder.resolve().name, read_folder(folder, findings)
    try:
        dataset = _check(name, raw, (config or Config()).signals, findings)
    except DataError as error:  # a damaged file, found while reading it
        for sentence in error.faults:
            findings.fault(sentence)
        dataset = None
    return CheckedTables(dataset, findings.faults, findings.notes if dataset is None else dataset.notes)


def _check(name: str, raw: Mapping[str, RawTable | None], signals: SignalConfig, findings: Findings) -> Dataset | None:
    """Check all tables; None where there are faults."""
    interactions = raw.get("interactions")
    named: dict[str, pl.Series] = {}
    if interactions is not None and not {"users", "items"} <= set(raw):
        named = {home: ids for home, ids in find_ids(interactions).items() if home not in raw}
    frames = check_frames(raw, named, findings)
    if interactions is None:
        return None
    homes = [(table, frames.get(table, pl.DataFrame()).columns) for table in ("items", "collections") if table in raw]
    entities = None
    if all(column in columns for table, columns in homes for column in TABLES[table].required):
        entities = {entity: entity_ids(members) for entity, members in entity_members(frames).items()}
    users, items = (
        all_ids(frames, home) if home in frames and TABLES[home].required[0] in frames[home].columns else None
        for home in ("users", "items")
    )
    checker = InteractionChecker(users, items, entities, faulty_entities(raw, findings), signals, findings)
    events = checker.run(interactions)
    return None if events is None else assemble(name, frames, events, findings.notes)


def _built_in(name: str, path: str | Path | None) -> dict[str, RawTable | None]:
    """Read a built-in dataset."""
    frames: dict[str, pl.DataFrame]
    if name == movielens.NAME:
        frames = movielens.read_movielens(path)
    elif path is None:
        raise DataError(f"{name}: is not fetched by firstday; give the path of {deezer_europe.FOLDER}.zip (--path).")
    else:
        frames = deezer_europe.read_deezer_europe(path)
    return {table: RawTable.of(frame) for table, frame in frames.items()}


def _folder(tables: str | Path, path: str | Path | None) -> Path:
    """Return the folder of tables if it is one."""
    folder, names = Path(tables), " or ".join(BUILT_IN)
    if path is not None:
        raise DataError(f"{tables}: a path is given beside a folder of tables; it is only for {names}.")
    if not folder.exists():
        raise DataError(f"{tables}: does not exist; give a folder of tables, or a built-in name: {names}.")
    if not folder.is_dir():
        raise DataError(f"{tables}: is a file; give the folder that holds it, or a built-in name: {names}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataError(f"{tables}: may not be read; allow reading it.")
    return folder
