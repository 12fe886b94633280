"""The Spark session, its requirements, and the errors of its jobs."""

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
from firstday.tables.raw_table import describe_damage


def open_session(master: str | None = None, conf: Mapping[str, str] | None = None) -> SparkSession:
    """Return the active session, or start one with additional settings.

    `master` is the URL of the cluster, such as ``spark://host:7077``, ``yarn`` or ``local[4]``; None: from spark-submit
    or the Spark configuration.
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
        except Exception as error:  # any Py4J or Java error
            raise ConfigError(
                f"spark: cannot be started ({name_cause(error)}); correct --spark-master, or install Java 17 or newer "
                "and set JAVA_HOME."
            ) from None
        session.sparkContext.setLogLevel("FATAL")
    _check_executors(session)
    return session


@cache
def _check_executors(session: SparkSession) -> None:
    """Check once that executors have the same version of firstday."""
    try:
        version = session.sparkContext.parallelize([0], 1).map(lambda _: firstday.__version__).first()
    except Exception as error:
        raise ConfigError(
            f"spark: executors cannot import firstday ({name_cause(error)}); use the driver's environment, with "
            "firstday[spark], on all executors (docs/spark.md), and check the cluster's logs."
        ) from None
    if version != firstday.__version__:
        raise ConfigError(
            f"spark: executors have firstday {version}, the driver has {firstday.__version__}; use the same "
            "environment for both."
        )


def name_cause(error: BaseException) -> str:
    """Return the line of a Spark error with the root cause: that of the last Python or Java exception."""
    text = str(error).strip() or type(error).__name__
    causes = re.findall(r"^  .*\n(\w.*)", text, re.MULTILINE)  # the line after a Python traceback
    causes = causes or re.findall(r"^Caused by: (.*)", text, re.MULTILINE) or text.splitlines()[:1]
    return str(causes[-1]).strip().rstrip(".")[:300]


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Convert the error of a Spark job to one sentence: DataError if a file cannot be read, otherwise FirstdayError."""
    try:
        yield
    except FirstdayError:
        raise
    except Exception as error:
        cause = name_cause(error)
        text = str(error)
        if "FAILED_READ_FILE" in text:
            uri = re.search(r"[a-z0-9]+:/[^\s,;)'\"]+", text)
            raise DataError([describe_damage(uri[0] if uri else name, "Parquet", cause)]) from error
        raise FirstdayError(f"spark: the job failed ({cause}); see the cluster's logs.") from error
