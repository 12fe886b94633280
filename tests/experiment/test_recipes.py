"""The recipes of docs/experiments.md, on tables whose answer can be worked out with a pencil."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.docs.examples import ROOT, read_examples
from tests.experiment.made import START, make_slow

PAGE = ROOT / "docs" / "experiments.md"
SHOWN = [  # list, user, position, item, propensity, whether it is used
    ("a", "u1", 1, "x", 0.5, True),
    ("a", "u1", 2, "y", 0.25, True),
    ("b", "u2", 1, "x", 0.25, False),
    ("b", "u2", 2, "z", 0.5, True),  # not the item of the list
    ("c", "u3", 1, "z", 0.5, True),  # nor here, so that the next rank does not count
    ("c", "u3", 2, "y", 0.5, True),
    ("d", "u4", 1, "x", 0.5, False),
    ("d", "u4", 2, "y", 0.5, False),
]


def run(names: dict[str, Any], *needles: str) -> None:
    for example in read_examples(PAGE):
        if example.language == "python" and any(needle in example.text for needle in needles):
            exec(compile(example.text, f"{PAGE.name} line {example.line}", "exec"), names)


def test_users_and_outcomes_go_to_tea_tasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tables").mkdir()
    for name, frame in make_slow(START - START).items():
        frame.with_columns(pl.col("^experiment$").replace("onboarding", "onboarding-2026")).write_parquet(
            f"tables/{name}.parquet"
        )
    names: dict[str, Any] = {}
    run(names, "take_experiment")
    assert names["results"]["sample_ratio"]["users"] == {"control": 300, "treatment": 300}
    assert names["first_week_result"]["items_used"].effect_size == 0


def test_lists_that_were_not_shown_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list x, y: at the first rank, weights 2, 4 and 2, and the first is used; at the second, 8 and 4, likewise."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tables" / "interactions"
    folder.mkdir(parents=True)
    columns = ["list_id", "user_id", "position", "item_id", "propensity", "is_used"]
    shown = pl.DataFrame(SHOWN, columns, orient="row").with_columns(signal=pl.lit("shown"), policy=pl.lit("explore"))
    fixed = shown.with_columns(pl.col("list_id") + "'", policy=pl.lit("popular"), propensity=1.0)
    used = shown.filter("is_used").with_columns(signal=pl.lit("stream"), policy=None, position=None, propensity=None)
    rows = pl.concat([shown, fixed, used], how="vertical_relaxed").drop("is_used")
    rows.write_parquet(folder / "1.parquet")
    users = [f"u{n}" for n in range(1, 5)]
    lists = pl.DataFrame([(user, 1 + n, item) for user in users for n, item in enumerate("xy")], orient="row")
    lists.rename(dict(zip(lists.columns, ["user_id", "rank", "item_id"], strict=True))).write_parquet("lists.parquet")
    names: dict[str, Any] = {"pl": pl}
    run(names, "share_used")
    first, second = names["estimates"].sort("position").iter_rows(named=True)
    assert (first["share_used"], first["effective"]) == pytest.approx((2 / 8, 8**2 / (4 + 16 + 4)))
    assert (second["share_used"], second["effective"]) == pytest.approx((8 / 12, 12**2 / (64 + 16)))
    if find_spec("obp"):
        run(names, "obp.ope")
        assert names["used_per_list"]["mean"] == pytest.approx((2 + 8) / 4, rel=0.05)  # by bootstrap
