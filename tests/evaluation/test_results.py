"""The results of an evaluation made by hand, figure by figure."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from firstday.errors import ArgumentError
from tests.evaluation import tiny
from tests.evaluation.reports import Page, render, results_at_cut_offs
from tests.evaluation.tiny import USERS, evaluate_tiny

PINNED = Path(__file__).with_name("tiny_results.json")


def test_the_json_of_a_tiny_evaluation_is_pinned() -> None:
    assert json.loads(json.dumps(evaluate_tiny().to_json())) == json.loads(PINNED.read_text(encoding="utf-8"))


def test_the_json_of_gaps_between_groups() -> None:
    """Large enough groups have one; of two groups, each has the other's."""
    results = evaluate_tiny(copies=20)
    plan = results.to_json()["results"][1]["by_group"]["plan"]
    free, paid = plan["free"], plan["paid"]
    assert (free["precision"], free["n_users"], paid["precision"], paid["n_users"]) == (80.5556, 60, 62.5, 40)
    assert free["minus_others"] == pytest.approx(80.5556 - 62.5, abs=1e-4)
    assert [-end for end in paid["minus_others_ci"][::-1]] == free["minus_others_ci"]
    assert free["minus_others_ci"][0] < free["minus_others"] < free["minus_others_ci"][1]
    few = evaluate_tiny().to_json()["results"][1]["by_group"]["country"]["FR"]
    assert (few["minus_others"], few["minus_others_ci"]) == (None, None)


def test_a_strategy_with_few_lists_of_its_own_carries_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of ten lists of `segment` are its own; half of them are enough."""
    assert evaluate_tiny().to_json()["warnings"] == []
    for n_own, warned in ((2, True), (3, False)):
        routes = ["segment"] * n_own + ["popular"] * (5 - n_own)
        monkeypatch.setitem(tiny.ROUTES, "segment", {0: routes, 1: ["segment"] * 2 + ["popular"] * 3})
        results = evaluate_tiny()
        share = 10.0 * (n_own + 2)
        expected = [{"code": "few_own_lists", "strategy": "segment", "user_coverage": share}] * warned
        assert results.to_json()["warnings"] == expected
        for text in (results._repr_html_(), Page(render(results)).text):
            assert (f"{share:.0f} % of the lists of segment" in text) == warned


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
    # One's own metric, which the user whose first item is 5 does not have in either seed: 2.375 and 0 on average.
    has_it = rows.filter(pl.col("strategy") == "segment")["first_item"].is_not_nan()
    first_items = rows.filter(pl.col("strategy") == "segment").filter(has_it)["first_item"]
    assert results.get("segment", "first_item").n == len(first_items) == 8
    assert results.compare("segment", "popular", "first_item").mean == pytest.approx(first_items.mean())
    without = [("nobody", "ndcg"), ("popular", "beauty"), ("popular", "route"), ("popular", "model_age")]
    for names in (("segment", *others) for others in without):
        with pytest.raises(ArgumentError):
            results.compare(*names)
