"""Results of benchmarks in `docs/results`, and how tables write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
SETS = {
    "online-retail": "Online Retail",
    "movietweetings": "MovieTweetings",
    "complete-journey": "The Complete Journey",
    "x-wines": "X-Wines",
    "ciao-dvd": "CiaoDVD",
    "simulated-clock": "simulated music service",
    "movielens-100k": "MovieLens 100K",
    "deezer-europe": "Deezer Europe",
}
"""Titles of the evaluated datasets."""


def read_results(name: str) -> Any:
    """Return a file of docs/results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    head, *body = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return [head, "|---" * len(columns) + "|", *body]


def interval(ends: Sequence[float], form: str = ".1f") -> str:
    """Write the two ends of an interval."""
    low, high = ends
    return f"[{low:{form}}, {high:{form}}]"


def estimate(mean: float, ends: Sequence[float], form: str = ".1f") -> str:
    """Write a mean and its interval."""
    return f"{mean:{form}} {interval(ends, form)}"
