"""Run folder: what an evaluation found, and what is needed to make it again.

::

    RUN/run.json                  command, versions, configuration, options tried, and the results
    RUN/users.parquet             one row per user and strategy, see `Results.users`
    RUN/lists.parquet             all lists, see `Results.lists`
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import distributions
from pathlib import Path

from firstday.config import Config
from firstday.evaluation.results import Results
from firstday.files import write_file


def write_run(folder: Path, results: Results, config: Config, command: str) -> None:
    """Write a run to a folder."""
    values = {
        "command": command,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": config.threads or os.cpu_count(),
        "packages": dict(sorted((package.name, package.version) for package in distributions())),
        "config": config.model_dump(mode="json"),
        "tried": {name: [tuning.trials for tuning in tunings] for name, tunings in results.tunings.items()},
        "results": results.to_json(),
    }
    write_file(folder / "run.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    results.users().write_parquet(folder / "users.parquet")
    results.lists().write_parquet(folder / "lists.parquet")
