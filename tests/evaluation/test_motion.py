"""Figures over all later uses: one newcomer of each cut-off has a precision, and both have those of all uses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from firstday.data.ids import Ids
from firstday.data.splits.target_uses import TargetUses
from firstday.evaluation.figures import Scores
from firstday.evaluation.results import Results
from firstday.evaluation.run import Run, join_runs
from tests.evaluation.reports import render

CUT_OFFS = ("2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z")
USES = TargetUses({"item": np.array([30, 10, 60])}, np.ones(3, dtype=np.int64))
OLD_CATALOGUE = TargetUses({"item": np.array([90, 5, 5])}, np.ones(3, dtype=np.int64))
MEANS = {"auto": 40.0, "popular": 10.0}


def make_run(cut_off: str, gain: float) -> Run:
    nobody = np.zeros(2, dtype=bool)
    users = {
        "user": [1, 2],
        "user_id": [1, 2],
        "knowledge": ["nothing", "1-3"],
        "day_one_size": [0, 2],
        "did_nothing": nobody,
        "has_friends": nobody,
    }
    scores = {}
    for name, mean in MEANS.items():
        of_existing = np.array([np.nan, mean])
        metrics = dict.fromkeys(("precision", "recall", "ndcg", "precision_at_10", "ndcg_at_10"), of_existing)
        metrics |= dict.fromkeys(("precision_all", "recall_all", "precision_all_at_10"), np.array([0, mean]))
        if name == "auto":
            metrics |= {"precision_all_at_10_minus_older_model": np.full(2, gain), "older_by_days": np.full(2, gain)}
        scores[name] = Scores(metrics, np.array([name] * 2), 0.01, np.zeros((2, 1), dtype=np.int64))
    return Run(
        scores=scores,
        users=pl.DataFrame({**users, "model_age": [0.5, 8.0]}),
        n_warm=10,
        k=50,
        profiles={"plan": np.array(["free", "paid"], dtype=object)},
        items=Ids.of(["i0"]),
        segments=(),
        seed=0,
        fit_seconds=1.0,
        cut_off=cut_off,
    )


@pytest.fixture(scope="module")
def results() -> Results:
    runs = [make_run(cut_off, gain) for cut_off, gain in zip(CUT_OFFS, (np.nan, 30.0), strict=True)]
    return join_runs(runs, ["popular"], dataset="tiny", protocol="registration", target_days=30, later_uses=USES)


def test_figures_are_over_those_who_have_the_metric(results: Results) -> None:
    assert results.n_cold == 2
    assert results.cut_offs == tuple({"at": moment, "users": 1, "newcomers": 2} for moment in CUT_OFFS)
    figures = {
        ("precision", "all"): (40, 2),
        ("precision_all", "all"): (20, 4),
        ("precision_all", "day_one_size=0"): (0, 2),
        ("precision_all", "model_age=0-1"): (0, 2),
        ("precision_all_at_10", "model_age=7-30"): (40, 2),
        ("precision_all_minus:popular", "model_age=7-30"): (30, 2),
        ("precision_minus:popular", "all"): (30, 2),
        ("precision_all_at_10_minus_older_model", "all"): (30, 2),
        ("user_coverage", "all"): (100, 2),
    }
    for key, expected in figures.items():
        figure = results.get("auto", *key)
        assert (figure.mean, figure.n) == expected
    assert results.find("auto", "precision", "model_age=0-1") is None
    assert results.find("auto", "precision_minus:popular", "model_age=7-30") is None


def test_the_json_has_what_existed_and_all_later_uses(results: Results) -> None:
    values = results.to_json()
    assert values["later_uses"] == {"at_training": 30, "by_day_one": 10, "later": 60}
    assert values["refresh"]["precision_all_at_10_minus_older_model"]["gain"] == 30
    auto = values["results"][0]
    assert (auto["precision"], auto["precision_all"], auto["recall_all"], auto["precision_all_at_10"]) == (
        40,
        20,
        20,
        20,
    )
    assert auto["precision_all_by_model_age"] == {"0-1": 0, "1-7": None, "7-30": 40, "30+": None}
    assert auto["n_by_model_age"] == {"0-1": 2, "1-7": 0, "7-30": 2, "30+": 0}


def test_the_headline_says_so_where_little_existed(results: Results) -> None:
    headline = render(results).partition("</h1>")[0]
    assert "30&nbsp;% of later uses" in headline
    assert "30&nbsp;% of later uses" not in render(replace(results, later_uses=OLD_CATALOGUE))
    assert len(results.describe_motion()) == 2


@pytest.mark.parametrize(("low", "high", "word"), [(1, 2, "helps"), (-2, -1, "does not"), (-1, 1, "cannot")])
def test_refreshing_is_judged_by_the_interval(results: Results, low: float, high: float, word: str) -> None:
    metric = "precision_all_at_10_minus_older_model"
    figures = [
        replace(figure, low=low, high=high, mean=(low + high) / 2) if figure.metric == metric else figure
        for figure in results.figures
    ]
    assert word in replace(results, figures=tuple(figures)).describe_motion()[1]
