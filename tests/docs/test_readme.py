"""The figures in the README are those of docs/results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DATASETS = ("movielens-100k", "deezer-europe")


def rows_of(dataset: str) -> dict[str, Any]:
    results = json.loads((ROOT / "docs" / "results" / f"{dataset}.json").read_text(encoding="utf-8"))
    return {row["strategy"]: row for row in results["results"]}


@pytest.mark.parametrize(("column", "dataset"), list(enumerate(DATASETS)))
def test_the_table_is_what_was_measured(column: int, dataset: str) -> None:
    rows = rows_of(dataset)
    shown = {}
    for line in README.splitlines():
        found = re.match(r"\| \**`(\w+)`", line)
        if found:
            shown[found[1]] = [cell.strip(" *") for cell in line.strip("|").split("|")[1:]][column]
    expected = {
        name: f"{row['precision']:.1f} [{row['precision_ci'][0]:.1f}, {row['precision_ci'][1]:.1f}]"
        for name, row in rows.items()
    }
    assert shown == expected


def test_the_gains_in_the_text_are_what_was_measured() -> None:
    gains, without = [], []
    for dataset in DATASETS:
        rows = rows_of(dataset)
        gains.append(round(100 * (rows["segment"]["precision"] / rows["popular"]["precision"] - 1)))
        without.append(tuple(round(rows[name]["by_day_one_size"]["0"], 1) for name in ("segment", "popular")))
    text = " ".join(README.split())
    assert f"`segment` is {gains[0]} % above `popular` on MovieLens and {gains[1]} % on Deezer Europe" in text
    assert f"({without[0][0]} against {without[0][1]}, and {without[1][0]} against {without[1][1]})" in text


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
