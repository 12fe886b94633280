"""The results of an evaluation made by hand, figure by figure."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from firstday.errors import ArgumentError
from tests.evaluation.reports import results_at_cut_offs
from tests.evaluation.tiny import USERS, evaluate_tiny

PINNED = Path(__file__).with_name("tiny_results.json")


def test_the_json_of_a_tiny_evaluation_is_pinned() -> None:
    assert json.loads(json.dumps(evaluate_tiny().to_json())) == json.loads(PINNED.read_text(encoding="utf-8"))


def test_the_json_of_the_largest_gap_is_pinned() -> None:
    values = evaluate_tiny(copies=20).to_json()
    assert values["largest_gap"] == {
        "strategy": "segment", "column": "age", "group": "not known", "precision": 45.8333, "others": 91.6667,
        "difference": -45.8333, "difference_ci": [-55.5208, -36.1459], "n_compared": 6,
    }  # fmt: skip
    assert values["results"][1]["by_group"]["plan"] == {
        "free": {"precision": 80.5556, "precision_ci": [77.0799, 84.1667], "n_users": 60},
        "paid": {"precision": 62.5, "precision_ci": [51.25, 73.75], "n_users": 40},
    }


def test_the_json_has_precision_by_cut_off() -> None:
    means = {"2024-05-01T00:00:00Z": {"popular": 30.0}, "2024-06-01T00:00:00Z": {"popular": 36.0}}
    values = results_at_cut_offs(means).to_json()
    assert [cut_off["at"] for cut_off in values["cut_offs"]] == [*means]
    (row,) = values["results"]
    assert row["precision_by_cut_off"] == row["precision_at_10_by_cut_off"] == [30.0, 36.0]


def test_the_table_is_one_long_frame() -> None:
    results = evaluate_tiny()
    frame = results.to_frame()
    assert frame.columns == ["strategy", "metric", "slice", "mean", "low", "high", "p", "n"]
    assert len(frame) == len(results.figures) == len(frame.unique(["strategy", "metric", "slice"]))
    (row,) = frame.filter(strategy="popular", metric="precision", slice="nothing_done").rows()
    *facts, p, n = row
    assert facts == ["popular", "precision", "nothing_done", *(pytest.approx(x) for x in (200 / 3, 175 / 3, 75))]
    assert (0 < p < 0.1, n) == (True, 4)  # two users
    assert frame.filter(strategy="popular", metric="precision")["slice"].to_list() == [
        "all", *(f"day_one_size={size}" for size in ("0", "1-3", "4+", "4-9")), "nothing_done", "friends_only",
        "seed=0", "seed=1", "age=any age", "age=not known", "country=FR", "country=not known",
    ]  # fmt: skip


def test_the_metrics_of_a_strategy() -> None:
    results = evaluate_tiny()
    assert results.strategies == ("popular", "segment")
    assert results.best_first == ("segment", "popular")
    assert results.leader == "segment"
    assert results.get("popular", "precision", "day_one_size=4-9").n == 2
    difference = results.get("popular", "precision_minus:segment")
    assert (round(difference.mean, 4), difference.is_clear) == (-26.6667, True)
    assert results.find("segment", "precision_minus:segment") is None
    with pytest.raises(ArgumentError, match="precision_minus:segment"):
        results.get("segment", "precision_minus:segment")


def test_rows_per_user_and_comparisons_agree_with_the_figures() -> None:
    results = evaluate_tiny()
    rows = results.users()
    assert rows.height == 2 * 2 * len(USERS)
    last = rows.filter(pl.col("strategy") == "segment", pl.col("seed") == 1).sort("user_id").row(-1, named=True)
    facts = {"user_id": "u14", "day_one_size": 5, "knowledge": "4+", "route": "popular", "is_own": False}
    assert facts.items() <= last.items()
    difference = results.compare("segment", "popular")
    figure = results.get("segment", "precision_minus:popular")
    assert (difference.mean, difference.low, difference.high) == (figure.mean, figure.low, figure.high)
    ndcg = rows.group_by("strategy").agg(pl.col("ndcg").mean()).to_dict(as_series=False)
    means = dict(zip(ndcg["strategy"], ndcg["ndcg"], strict=True))
    assert results.compare("segment", "popular", "ndcg").mean == pytest.approx(means["segment"] - means["popular"])
    for names in (("segment", "nobody", "ndcg"), ("segment", "popular", "beauty")):
        with pytest.raises(ArgumentError):
            results.compare(*names)
