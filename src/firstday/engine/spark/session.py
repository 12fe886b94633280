"""The Spark session for distributed work, and its requirements."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from pyspark.sql import SparkSession

import firstday
from firstday.errors import ConfigError, DataError, FirstdayError


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
    ConfigError
        Spark cannot be started, or its executors lack this version of firstday.
    """
    session = SparkSession.getActiveSession()
    if session is None or master is not None or conf:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings: dict[str, Any] = {
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.session.timeZone": "UTC",
            **(conf or {}),
        }
        if master is not None:
            settings["spark.master"] = master
        try:
            session = SparkSession.builder.appName("firstday").config(map=settings).getOrCreate()
        except Exception as error:  # Py4J and Java errors of any kind
            raise ConfigError(
                f"spark: cannot be started ({name_cause(error)}); correct --spark-master, or install Java 17 or newer "
                "and set JAVA_HOME."
            ) from None
        session.sparkContext.setLogLevel("FATAL")
    _check_executors(session)
    return session


@cache
def _check_executors(session: SparkSession) -> None:
    """Check, once, that an executor has the same firstday.

    Raises
    ------
    ConfigError
        It has no firstday or another version, or is not available.
    """
    try:
        version = session.sparkContext.parallelize([0], 1).map(lambda _: firstday.__version__).first()
    except Exception as error:
        raise ConfigError(
            f"spark: executors cannot import firstday ({name_cause(error)}); give them the environment of the driver, "
            "with firstday[spark] in it (docs/spark.md), and check the logs of the cluster."
        ) from None
    if version != firstday.__version__:
        raise ConfigError(
            f"spark: executors have firstday {version}, the driver has {firstday.__version__}; give both the same "
            "environment."
        )


def name_cause(error: BaseException) -> str:
    """Return the line of a Spark error that names the root cause, from the last Python or Java exception."""
    text = str(error).strip() or type(error).__name__
    causes = re.findall(r"^  .*\n(\w.*)", text, re.MULTILINE)  # the line after a Python traceback
    causes = causes or re.findall(r"^Caused by: (.*)", text, re.MULTILINE) or text.splitlines()[:1]
    return str(causes[-1]).strip().rstrip(".")[:300]


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
    except FirstdayError:
        raise
    except Exception as error:
        cause, text = name_cause(error), str(error)
        if "FAILED_READ_FILE" in text:
            place = re.search(r"[a-z0-9]+:/[^\s,;)'\"]+", text)
            where = f"{name}: {place[0]}" if place else name
            raise DataError(f"{where}: cannot be read as Parquet ({cause}); correct it, or write it again.") from error
        raise FirstdayError(f"spark: the job failed ({cause}); see the logs of the cluster.") from error
