"""From tables to results: five users whose answer is plain, and many."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from firstday.cli.experiment import print_experiment
from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError, MissingExtraError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.outcomes import measure
from tests.experiment.made import five_users, make_assigned, make_shown, many_users

EQUAL = {"control": 50, "treatment": 50}


def find(results: ExperimentResults, metric: str, days: float, variant: str = "treatment") -> dict[str, Any]:
    rows: list[dict[str, Any]] = results.to_json()["results"]
    (row,) = (row for row in rows if (row["metric"], row["days"], row["variant"]) == (metric, days, variant))
    return row


def test_five_users() -> None:
    results = analyse(five_users())
    assert (results.control, results.n_users) == ("control", 5)
    whole = {"control": 3, "treatment": 2}
    assert results.n_whole == {1.0: whole, 7.0: whole, 30.0: {"control": 0, "treatment": 0}}
    columns = ("control", "treatment", "effect_size", "rel_effect_size")
    for metric, figures in (("used_of_shown", (2 / 4, 0, -2 / 4, -1)), ("items_used", (2 / 3, 1 / 2, -1 / 6, -1 / 4))):
        row = find(results, metric, 7)
        assert [row[column] for column in columns] == pytest.approx(figures)
    assert [days for days, of_window in results.comparisons.items() if of_window] == [1, 7]
    assert [note.split(":")[0] for note in results.notes] == [
        "5 of 5 users are excluded from outcomes within 30 days",
        "weights",
    ]


def test_means_are_compared_by_welch_and_shares_by_the_delta_method() -> None:
    tables = many_users()
    results = analyse(tables, ExperimentConfig(level=0.9))
    users = measure(tables, 7)
    control, treatment = (users.filter(variant=name) for name in ("control", "treatment"))
    row = find(results, "items_used", 7)
    welch = stats.ttest_ind(treatment["items_used"], control["items_used"], equal_var=False)
    interval = row["effect_size_ci_lower"], row["effect_size_ci_upper"]
    assert interval == pytest.approx(tuple(welch.confidence_interval(0.9)))
    assert row["pvalue"] == pytest.approx(welch.pvalue)
    row = find(results, "used_of_shown", 7)
    assert (row["control"], row["treatment"]) == pytest.approx((0.1, 0.2))
    variances = []
    for of_variant in (control, treatment):
        used, shown = of_variant["used_of_shown"].to_numpy(), of_variant["shown"].to_numpy()
        variances.append(np.var((used - used.sum() / shown.sum() * shown) / shown.mean(), ddof=1) / len(used))
    half = (row["effect_size_ci_upper"] - row["effect_size_ci_lower"]) / 2
    assert half == pytest.approx(stats.norm.ppf(0.95) * sum(variances) ** 0.5, rel=0.01)


def test_without_impressions_the_outcomes_of_them_are_left_out_and_that_is_said() -> None:
    results = analyse(five_users(shown=False))
    assert {row["metric"] for row in results.to_json()["results"]} == {"items_used", "days_active", "came_back"}
    assert any("no impressions (signal shown) with timestamps" in note for note in results.notes)


def test_before_a_window_has_ended_its_end_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_experiment(analyse(five_users(until_hours=3)))
    assert "the first one, 1 day, ends 2026-01-06 00:00 UTC" in capsys.readouterr().out


def test_the_table_has_outcome_effect_interval_and_p_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    results = analyse(many_users())
    print_experiment(results)
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("treatment (600 users) against control (600), 7 days"))
    header, row = lines[lines.index(line) + 1 :][:2]
    assert header.split() == ["metric", "control", "treatment", "rel_effect_size", "rel_effect_size_ci", "pvalue"]
    assert row.split()[:4] == ["used_of_shown", "0.100", "0.200", "100%"]
    assert max(len(line) for line in lines if "[" in line) <= 80


def test_json_has_no_number_that_json_lacks() -> None:
    nothing_shown_to_treatment = replace(five_users(), shown=make_shown([(0, 1, 0.5), (2, 3, 1)]))
    for tables in (many_users(), five_users(), nothing_shown_to_treatment):
        text = json.dumps(analyse(tables).to_json(), allow_nan=False)
        assert json.loads(text)["sample_ratio"]["broken"] is False


def test_a_broken_assignment_stops_the_reader(capsys: pytest.CaptureFixture[str]) -> None:
    tables = many_users(share_of_control=0.4)
    stopped = analyse(tables)
    assert (stopped.sample_ratio.broken, stopped.to_json()["results"]) == (True, [])
    print_experiment(stopped)
    assert capsys.readouterr().out == ""
    assert analyse(tables, anyway=True).to_json()["results"]
    assert not analyse(tables, weights={"control": 40, "treatment": 60}).sample_ratio.broken


@pytest.mark.parametrize("lost", ["control", "treatment"])
def test_a_variant_that_lost_everyone_stops_the_reader(lost: str) -> None:
    tables = many_users(share_of_control=float(lost == "treatment"))
    results = analyse(tables, weights=EQUAL)
    assert results.sample_ratio.users == {"control": 1200, "treatment": 1200} | {lost: 0}
    assert (results.sample_ratio.broken, results.comparisons) == (True, {})
    assert not any(analyse(tables, weights=EQUAL, anyway=True).comparisons.values())
    with pytest.raises(DataError, match=r"has a single variant .*, and at least two are needed; if another one lost"):
        analyse(tables)


def test_three_variants_are_each_compared_with_the_control() -> None:
    tables = many_users(900)
    variants = ["old", "new", "newer"] * 300
    tables = replace(tables, assigned=make_assigned(variants).with_columns(tables.assigned["assigned_at"]))
    results = analyse(tables, control="old")
    assert [*results.comparisons[7]] == ["new", "newer"]
    means = dict(measure(tables, 7).group_by("variant").agg(pl.mean("items_used")).rows())
    for variant in ("new", "newer"):
        row = find(results, "items_used", 7, variant)
        assert (row["control"], row["treatment"]) == pytest.approx((means["old"], means[variant]))
    few = replace(five_users(), assigned=make_assigned(["old", "new", "old", "new", "old"]))
    assert analyse(few).control == "new"  # the first by name, where none is called control
    alone = replace(five_users(), assigned=make_assigned(["control", "new", "control", "new", "one"]))
    assert [*analyse(alone).comparisons[7]] == ["new"]  # one user has no variance


def test_an_unknown_control_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"'old' is not a variant of onboarding; choose one of control, treatment\."):
        analyse(five_users(), control="old")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tea_tasting", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'firstday\[experiment\]'"):
        analyse(five_users())
