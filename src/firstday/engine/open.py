"""Opening tables of any kind, on this machine or on a Spark cluster: the door to both engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.load import check_tables
from firstday.data.splits.outlook import Outlook, foresee
from firstday.data.splits.roles import choose_protocol
from firstday.data.summary import Summary, summarise
from firstday.engine.large import LargeDataset
from firstday.errors import ConfigError, DataError, MissingExtraError

Engine = Literal["local", "spark"]


@dataclass(frozen=True, eq=False)
class Check:
    """What `check` says of tables.

    Parameters
    ----------
    dataset
        The tables, ready for training; None where there are faults.
    faults
        A sentence for each fault.
    notes
        A sentence for each thing that was ignored or decided.
    left_out
        A line of JSON for each bad row that was left out.
    summary
        What is in them; None where there are faults.
    outlook
        What training would make of them; None where there are faults.
    """

    dataset: Dataset | LargeDataset | None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    summary: Summary | None = None
    outlook: Outlook | None = None


def load(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
    engine: Engine | None = None,
) -> Dataset | LargeDataset:
    """Load and check tables.

    Parameters
    ----------
    tables
        A folder of tables; a built-in name: ``movielens-100k`` (fetched once and cached, unless `path` is given) or
        ``deezer-europe``; or data frames of pandas, Polars, PyArrow, DuckDB or Spark by the names of their tables.
    path
        For a built-in name: the local copy, as a zip or a folder.
    config
        Names the signals of interactions; the defaults if None.
    drop_bad_rows
        Share of a table's rows, from 0 to 1, that may be bad and are then left out; more is a fault.
    engine
        ``spark`` reads a folder that the cluster knows (hdfs://, s3a://, ...) on the active Spark session; None: where
        frames are Spark's, on their session, else on this machine.

    Returns
    -------
    Dataset or LargeDataset
        For `firstday.train` and `firstday.evaluate_strategies` (the second on this machine only).

    Raises
    ------
    DataError
        The tables have faults; each is a sentence in `faults`.

    Examples
    --------
    >>> dataset = load("tables/")  # doctest: +SKIP
    >>> dataset = load({"interactions": interactions, "users": users})  # doctest: +SKIP
    >>> dataset = load("hdfs:///service/tables", engine="spark")  # doctest: +SKIP
    """
    opened = _open(tables, path, config or Config(), drop_bad_rows, engine)
    if opened.dataset is None:
        raise DataError(opened.faults)
    return opened.dataset


def check(
    tables: str | Path | Mapping[str, Any],
    *,
    path: str | Path | None = None,
    config: Config | None = None,
    drop_bad_rows: float = 0.0,
    engine: Engine | None = None,
) -> Check:
    """Check tables and say what training would make of them, without raising for faults in them.

    Parameters
    ----------
    tables, path, config, drop_bad_rows, engine
        See `load`.

    Raises
    ------
    DataError
        There is no such folder or built-in dataset.
    """
    config = config or Config()
    opened = _open(tables, path, config, drop_bad_rows, engine)
    dataset = opened.dataset
    if dataset is None:
        return opened
    if isinstance(dataset, Dataset):
        summary = summarise(dataset)
        outlook = foresee(dataset, config, _protocol(config, summary))
    else:
        summary = dataset.summarise()
        outlook = dataset.foresee(config, _protocol(config, summary))
    return Check(dataset, (), opened.notes, opened.left_out, summary, outlook)


def _protocol(config: Config, summary: Summary) -> Literal["sampled", "registration"]:
    """Return the protocol that suits tables."""
    return choose_protocol(config, is_dated=bool(summary.dated), has_times=summary.first is not None)


def _open(
    tables: str | Path | Mapping[str, Any],
    path: str | Path | None,
    config: Config,
    drop_bad_rows: float,
    engine: Engine | None,
) -> Check:
    """Open tables by the engine that they need."""
    if engine not in (None, "local", "spark"):
        raise ConfigError(f"engine: is {engine!r}; give 'local' or 'spark'.")
    if engine is None and isinstance(tables, Mapping):
        engine = "spark" if any(is_of_spark(frame) for frame in tables.values()) else "local"
    if engine == "spark":
        if path is not None:
            raise DataError(f"{tables}: a built-in dataset is read on one machine; leave out --engine spark.")
        try:
            from firstday.engine.spark.tables import open_tables
        except ModuleNotFoundError:
            raise MissingExtraError("the engine Spark", "spark") from None
        dataset, findings = open_tables(tables, config, drop_bad_rows)
        return Check(dataset, findings.faults, findings.notes, findings.left_out)
    checked = check_tables(tables, path=path, config=config, drop_bad_rows=drop_bad_rows)
    return Check(checked.dataset, checked.faults, checked.notes, checked.left_out)


def is_of_spark(frame: object) -> bool:
    """Tell whether a frame is a Spark DataFrame, without loading PySpark."""
    return type(frame).__module__.startswith("pyspark.sql")
