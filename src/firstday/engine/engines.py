"""Open tables of any kind with an engine of the entry points ``firstday.engines``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.outlook import Outlook, preview
from firstday.data.splits.protocol import describe_protocol
from firstday.data.summary import Summary
from firstday.display import readable
from firstday.engine.protocol import Engine, LargeDataset, Tables, read_facts, read_target_uses
from firstday.errors import ConfigError, DataError, Fault, expect
from firstday.plugins import load_entry
from firstday.recommend.recommender import Recommender
from firstday.recommend.rules.list_rules import Rules
from firstday.tables.faults import Findings

GROUP = "firstday.engines"
LOCAL = "local"
"""Name of the engine of this machine."""


@readable
@dataclass(frozen=True, eq=False)
class Check:
    """Result of `check`.

    Parameters
    ----------
    dataset
        The tables, ready for training; None if there are faults.
    faults
        All faults; `str` of each is a sentence.
    notes
        Sentences on what was ignored or decided while reading.
    left_out
        Bad rows that were dropped, one JSON line each.
    summary
        Counts of the tables; None if there are faults.
    outlook
        Preview of training and evaluation; None if there are faults.
    hint
        Suggestion to drop bad rows if that would be enough; else "".
    """

    dataset: Dataset | LargeDataset | None = None
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    summary: Summary | None = None
    outlook: Outlook | None = None
    hint: str = ""


def load(
    tables: Tables,
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
    engine: str | None = None,
) -> Dataset | LargeDataset:
    """Load and check tables.

    Parameters
    ----------
    tables
        A folder of tables; a dataset name such as ``movielens-100k`` (docs/tables.md lists them); or a mapping of table
        names to pandas, Polars, PyArrow, DuckDB or Spark data frames.
    path
        For a dataset name: a local copy, zip or folder. None: the data is downloaded once and cached, if it can be.
    config
        Defines signals, names of columns, and the time zone; the defaults if None.
    drop_bad_rows
        Maximum share of bad rows per table, from 0 to 1. Bad rows are dropped up to this share, and a fault above it.
    engine
        ``spark`` reads a folder that the cluster can access (hdfs://, s3a://, ...) with the active Spark session. None:
        Spark data frames are read by Spark, all other tables on this machine.

    Returns
    -------
    Dataset or LargeDataset
        Input of `firstday.train` and, for local tables only, of `firstday.evaluate`.

    Raises
    ------
    DataError
        The tables have faults; `faults` has all of them.

    Examples
    --------
    >>> dataset = load("tables/")  # doctest: +SKIP
    >>> dataset = load({"interactions": interactions, "users": users})  # doctest: +SKIP
    >>> dataset = load("hdfs:///service/tables", engine="spark")  # doctest: +SKIP
    """
    dataset, findings = _open(tables, path, Config.of(config), drop_bad_rows, engine)
    if dataset is None:
        raise DataError(findings.faults, findings.hint)
    return dataset


def check(
    tables: Tables,
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
    engine: str | None = None,
) -> Check:
    """Check tables, and preview training and evaluation; faults are returned, not raised.

    Parameters
    ----------
    tables, path, config, drop_bad_rows, engine
        See `load`.

    Raises
    ------
    DataError
        The folder or dataset does not exist.
    """
    config = Config.of(config)
    summary = None
    outlook = None
    dataset, findings = _open(tables, path, config, drop_bad_rows, engine)
    if dataset is not None:
        summary, histories = read_facts(dataset, config)
        outlook = preview(summary, histories, config, partial(read_target_uses, dataset, config))
    return Check(dataset, findings.faults, findings.notes, findings.left_out, summary, outlook, findings.hint)


def explain_protocol(dataset: Dataset | LargeDataset, config: Config) -> str:
    """Say which protocol a dataset gets and why, and how many users each can hold out."""
    return describe_protocol(*read_facts(dataset, config), config)


def _open(
    tables: Tables,
    path: str | Path | None,
    config: Config,
    drop_bad_rows: float,
    engine: str | None,
) -> tuple[Dataset | LargeDataset | None, Findings]:
    """Open tables with the engine they need."""
    chosen = _choose_engine(tables, engine)
    return chosen.check_tables(tables, path=path, config=config, drop_bad_rows=drop_bad_rows)


def recommend_batch(
    recommender: Recommender,
    tables: Tables,
    k: int | None = None,
    strategy: str | None = None,
    *,
    keep_used: bool = False,
    rules: Rules | Mapping[str, Any] | None = None,
    drop_bad_rows: float = 0.0,
    engine: str | None = None,
) -> Any:
    """Recommend to all cold users of some tables.

    Parameters
    ----------
    recommender
        The model.
    tables
        `users`, `interactions` or both, of cold users, and optionally `friends` and new `items`: a folder, or a mapping
        of table names to data frames.
    k, strategy, keep_used, rules
        See `Recommender.recommend`.
    drop_bad_rows, engine
        See `load`.

    Returns
    -------
    data frame
        `user_id`, `rank` (from 1), `item_id`, `title`, `score`, `route`, `scale`: in the library of `tables` if these
        are data frames of pandas, PyArrow or Spark, otherwise in Polars.

    Raises
    ------
    DataError
        The tables cannot be read, with one sentence per fault.
    ConfigError
        The strategy is unknown or not supported by the model.
    """
    expect("recommender", recommender, Recommender, "a model, such as fd.open_model('model/')")
    chosen = _choose_engine(tables, engine)
    lists, _, _ = chosen.recommend_batch(
        recommender, tables, k, strategy, keep_used=keep_used, rules=Rules.of(rules), drop_bad_rows=drop_bad_rows
    )
    return lists


def find_engine(name: str | None = None) -> Engine:
    """Import an engine by name; None: this machine's.

    Raises
    ------
    ConfigError
        There is no engine of this name, or its package is faulty.
    """
    entries = entry_points(group=GROUP)
    name = name or LOCAL
    if name not in entries.names:
        raise ConfigError(f"engine: is {name!r}; give one of {', '.join(sorted(entries.names))}.")
    engine: Engine = load_entry(entries[name], Engine)
    return engine


def _choose_engine(tables: Tables, engine: str | None) -> Engine:
    """Import the requested engine, or the one the tables need."""
    expect(
        "tables",
        tables,
        (str, Path, Mapping),
        "a folder of tables, a dataset name, or data frames by the names of their tables",
    )
    frames = tables.values() if isinstance(tables, Mapping) else ()
    if engine is None and any(type(frame).__module__.startswith("pyspark.sql") for frame in frames):
        engine = "spark"  # recognised without importing PySpark
    return find_engine(engine)
