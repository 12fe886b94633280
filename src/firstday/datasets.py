"""Datasets known by name: those of firstday and of other installed packages.

Packages declare them as entry points in the group ``firstday.datasets``, in pyproject.toml::

    [project.entry-points."firstday.datasets"]
    my-dataset = "my_package.my_module:SOURCE"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstday.plugins import load_entry

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Source:
    """Where the tables of a dataset come from.

    Parameters
    ----------
    read
        Function of the path of a local copy, or None without one; returns tables by name.
    file
        Name of the published file that users have to get themselves; "" if `read` downloads the data without a path.
    preset
        TOML file of settings for the dataset; None for the defaults.
    """

    read: Callable[[Any], Mapping[str, pl.DataFrame]]
    file: str = ""
    preset: Path | None = None


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="firstday.datasets")}


def dataset_names() -> tuple[str, ...]:
    """Return the names of all datasets, sorted."""
    return tuple(sorted(_entries()))


def load_source(name: str) -> Source:
    """Import the source of a dataset, given one of `dataset_names`; raise ConfigError if its package is faulty."""
    source: Source = load_entry(_entries()[name], Source)
    return source
