"""Run folder: what an evaluation found, and all that is needed to make it again."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import distributions
from pathlib import Path

from firstday.config import Config
from firstday.evaluation.results import Results
from firstday.model.folder import FolderKind, write_folder

RUN = FolderKind("run", "run 1", *("make one with: firstday evaluate TABLES --run FOLDER",) * 3)


def write_run(folder: Path, results: Results, config: Config, command: str) -> Path:
    """Write a run to a new or empty folder: results, options tried, users, lists, configuration and versions."""
    facts = {
        "command": command,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": config.threads or os.cpu_count(),
        "packages": dict(sorted((package.name, package.version) for package in distributions())),
        "config": config.model_dump(mode="json"),
    }
    tried = {
        name: [{**tuning.to_json(), "trials": [*tuning.trials]} for tuning in tunings]
        for name, tunings in results.tunings.items()
    }
    values = {"results": results.to_json(), "options": tried}
    files = {f"{name}.json": json.dumps(value, indent=1, ensure_ascii=False).encode() for name, value in values.items()}
    tables = {"users.parquet": results.users(), "lists.parquet": results.lists()}
    return write_folder(folder, {**files, **tables}, RUN, facts)
