"""The Spark session for distributed work, and its requirements."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import firstday
from firstday.errors import ConfigError, DataError, FirstdayError, needs_extra

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SIGNS_OF_FILES = ("FAILED_READ_FILE", "ParquetDecodingException", "is not a Parquet file", "CANNOT_READ_FILE_FOOTER")
"""Substrings of Spark errors that indicate a damaged file."""
ROWS_OF_ARROW = "spark.sql.execution.arrow.maxRecordsPerBatch"


def open_session(master: str | None = None, conf: Mapping[str, str] | None = None) -> SparkSession:
    """Return the active session, or start one.

    Parameters
    ----------
    master
        URL of the cluster, such as ``spark://host:7077``, ``yarn`` or ``local[4]``; None: from spark-submit or the
        Spark configuration.
    conf
        Additional Spark settings.

    Raises
    ------
    MissingExtraError
        PySpark is not installed.
    ConfigError
        There is no cluster, or no Java to start Spark with.
    """
    with needs_extra("the engine Spark", "spark"):
        from pyspark.sql import SparkSession
    active = SparkSession.getActiveSession()
    if active is not None and master is None and not conf:
        return check_session(active)
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ConfigError("spark: there is no Java; install Java 17 or newer, and set JAVA_HOME if it is in no path.")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings: dict[str, Any] = {
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # Rows hold large pieces: up to this many parts, write them directly to files instead of sorting them in memory.
        "spark.shuffle.sort.bypassMergeThreshold": "1000",
        **(conf or {}),
    }
    builder = SparkSession.builder.appName("firstday").config(map=settings)
    if master is not None:
        builder = builder.master(master)
    elif "PYSPARK_GATEWAY_PORT" not in os.environ and "spark.master" not in settings and not os.environ.get("MASTER"):
        raise ConfigError(
            "spark: no cluster is named; give --spark-master, such as spark://host:7077 or local[4], or start the "
            "command with spark-submit."
        )
    try:
        session = builder.getOrCreate()
    except Exception as error:  # Py4J and Java errors of any kind
        raise ConfigError(f"spark: cannot be started ({name_cause(error)}); correct --spark-master or Java.") from None
    session.sparkContext.setLogLevel("FATAL")
    return check_session(session)


def check_session(session: SparkSession) -> SparkSession:
    """Return the session after checking, once, that its executors have the same firstday.

    Raises
    ------
    ConfigError
        An executor has no firstday or another version, or is not available.
    """
    _check_executors(session)
    return session


@cache
def _check_executors(session: SparkSession) -> None:
    """Check an executor's version of firstday."""
    try:
        answer = session.range(1).mapInArrow(_tell_version, "version string").collect()
    except Exception as error:
        cause = name_cause(error)
        if "No module named" in cause:
            raise ConfigError(
                f"spark: executors lack a package ({cause}); give them the environment of the driver, with "
                "firstday[spark] in it (docs/spark.md says how)."
            ) from None
        raise ConfigError(f"spark: the cluster runs no job ({cause}); look at its logs.") from None
    if answer[0]["version"] != firstday.__version__:
        raise ConfigError(
            f"spark: executors have firstday {answer[0]['version']}, the driver has {firstday.__version__}; give both "
            "the same environment."
        )


def _tell_version(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the version of firstday, on an executor."""
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"version": [firstday.__version__] * batch.num_rows})


def name_cause(error: BaseException) -> str:
    """Return the line of a Spark error that names the root cause, from the last Python or Java exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ends = [
        line
        for before, line in pairwise(["", *str(error).splitlines()])
        if before.startswith("  ") and line[:1].isalpha()  # the line after a Python traceback
    ]
    java = [line for line in lines if line.startswith("Caused by:")]
    chosen = ends[-1] if ends else java[-1] if java else (lines or [type(error).__name__])[0]
    return chosen.removeprefix("Caused by:").strip().rstrip(".")[:300]


_SCRATCH: list[TemporaryDirectory[str]] = []
"""Folders of copies, kept until the session ends because recomputation after a lost executor may read them."""


def scratch_folder() -> Path:
    """Return a new folder that is deleted when this process ends."""
    folder = TemporaryDirectory(prefix="firstday-")
    _SCRATCH.append(folder)
    return Path(folder.name)


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Convert an error of a job to one sentence.

    Raises
    ------
    DataError
        A file cannot be read.
    FirstdayError
        The job failed for another reason.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, FirstdayError):
            raise
        cause, text = name_cause(error), str(error)
        raised = re.match(r"firstday\.errors\.(\w+Error): (.*)", cause)  # raised on purpose by an executor
        if raised:
            kind = {"DataError": DataError, "ConfigError": ConfigError}.get(raised[1], FirstdayError)
            raise kind(raised[2]) from None
        if any(sign in text for sign in SIGNS_OF_FILES):
            place = re.search(r"(?:file|hdfs|s3a|[a-z]+):/[^\s,;)'\"]+", text)
            where = f"{name}: {place.group(0)}" if place else name
            raise DataError(f"{where}: cannot be read as Parquet ({cause}); write the file again.") from error
        raise FirstdayError(f"spark: the job failed ({cause}); look at the logs of the cluster.") from error


def collect_reports(parts: DataFrame, name: str) -> list[Any]:
    """Return the reports of all parts, in the order of the parts.

    Parameters
    ----------
    parts
        See `firstday.engine.spark.work.PARTS`.
    name
        Name of the data being read, for messages.
    """
    with named_errors(name):
        reports = take_in_order(parts, "report")
    return [pickle.loads(report) for report in reports]  # noqa: S301  written by this run


def take_in_order(parts: DataFrame, column: str) -> list[bytes]:
    """Bring a column of bytes to the driver, in the order of the parts.

    Uses Arrow: `collect` holds several copies of the rows in the driver's Java heap, and silently loses rows if the
    heap is too small.
    """
    rows = parts.select("part", column).toArrow()
    numbered = zip(rows["part"].to_pylist(), rows[column].to_pylist(), strict=True)
    return [content for _, content in sorted(numbered, key=lambda row: int(row[0]))]


@contextmanager
def rows_of_arrow(session: SparkSession, n_rows: int) -> Iterator[None]:
    """Limit Arrow batches to `n_rows` while a job is planned and run; rows that hold whole parts are large."""
    before = session.conf.get(ROWS_OF_ARROW)
    session.conf.set(ROWS_OF_ARROW, n_rows)
    try:
        yield
    finally:
        session.conf.set(ROWS_OF_ARROW, before or 10_000)
