"""From tables to results: five users whose answer is plain, and many."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from firstday.cli.experiment import print_experiment
from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_report import render_experiment
from firstday.experiment.experiment_results import COHORT, EVERYONE, ExperimentResults
from tests.experiment.made import five_users, make_assigned, many_users
from tests.experiment.test_off_policy import make_lists

SMALL = ExperimentConfig(least_users=2)


@pytest.fixture(scope="module")
def many() -> ExperimentResults:
    return analyse(many_users())


def find(results: ExperimentResults, outcome: str, days: float) -> dict[str, Any]:
    rows = results.to_json()["results"]
    (row,) = (row for row in rows if (row["outcome"], row["days"], row["column"]) == (outcome, days, EVERYONE))
    assert isinstance(row, dict)
    return row


def test_five_users() -> None:
    results = analyse(five_users(), SMALL)
    assert (results.control, results.treatments, results.n_users) == ("control", ("treatment",), 5)
    whole, none = {"control": 3, "treatment": 2}, {"control": 0, "treatment": 0}
    assert results.n_whole == {1.0: whole, 7.0: whole, 30.0: none}
    row = find(results, "used_of_shown", 7)
    assert (row["users_control"], row["users_variant"]) == (3, 2)
    assert row["control"] == pytest.approx(2 / 4)
    assert row["value_of_variant"] == 0
    assert row["difference"] == pytest.approx(-2 / 4)
    row = find(results, "items_used", 7)
    assert (row["control"], row["value_of_variant"]) == pytest.approx((2 / 3, 1 / 2))
    assert row["ratio"] == pytest.approx(3 / 4)
    assert find(results, "came_back", 7)["control"] == pytest.approx(1 / 3)
    assert not [row for row in results.rows if row.outcome.name == "came_back" and row.days == 1]
    assert not [row for row in results.rows if row.days == 30]
    assert results.decides is not None
    assert (results.decides[0].name, results.decides[1]) == ("used_of_shown", 7)
    assert results.notes == (
        "5 of 5 users take no part in the outcomes of 30 days: their window has not ended.",
        "weights: none are given, so that equal shares are expected of the variants found (control, treatment); "
        "give weights to notice one that lost all of its users.",
    )


def test_without_impressions_the_outcomes_of_them_are_left_out_and_that_is_said() -> None:
    results = analyse(five_users(shown=False), SMALL)
    assert {row.outcome.name for row in results.rows} == {"items_used", "days_active", "came_back"}
    assert results.decides is not None
    assert results.decides[0].name == "items_used"
    assert any(
        "nothing was shown to these users (no rows with the signal shown and a time)" in note for note in results.notes
    )


def test_a_window_that_has_not_ended_is_replaced_by_the_nearest() -> None:
    results = analyse(five_users(until_hours=48), SMALL)
    assert results.decides is not None
    assert results.decides[1] == 1


def test_no_number_is_cut_in_a_terminal_of_80_columns(
    many: ExperimentResults, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_experiment(many)
    printed = capsys.readouterr().out
    words = set(printed.replace("[", " ").replace("]", " ").split())
    assert "…" not in printed
    for row in many.of_everyone():
        assert {*row.write_values(), *row.write_change()[1].split()} <= words


def test_a_large_difference_is_found_and_said(many: ExperimentResults) -> None:
    (sentence,) = many.sentences()
    assert sentence.startswith("Shown items used, 7 days: treatment ")
    assert sentence.endswith("a difference, whenever you look.")
    row = find(many, "used_of_shown", 7)
    assert row["difference"] == pytest.approx(0.1, abs=0.01)  # a little is left of what the profile predicts by chance
    assert row["unadjusted_difference"] == pytest.approx(0.1)
    assert row["ratio_always_ci"][0] < row["ratio_ci"][0] < 2 < row["ratio_ci"][1] < row["ratio_always_ci"][1]
    assert row["unadjusted_difference_ci"] is not None
    cohorts = [row for row in many.cohorts() if row.outcome.name == "used_of_shown" and row.days == 7]
    assert [row.value for row in cohorts] == ["2026-W02", "2026-W03"]
    assert all(row.column == COHORT for row in cohorts)
    assert sum(row.comparison.n_control for row in cohorts) == 600
    assert {row.column for row in many.groups()} == {"country", "age"}
    judged = [row for row in many.groups() if not math.isnan(row.comparison.p_value)]  # nobody comes back
    assert {row.outcome.name for row in many.groups()} - {row.outcome.name for row in judged} == {"came_back"}
    corrected = stats.false_discovery_control([row.comparison.p_value for row in judged])
    assert [row.p_corrected for row in judged] == pytest.approx(corrected)


def test_json_has_no_number_that_json_lacks(many: ExperimentResults) -> None:
    for results in (many, analyse(five_users(), SMALL)):
        text = json.dumps(results.to_json(), allow_nan=False)
        assert json.loads(text)["sample_ratio"]["broken"] is False


def test_a_broken_assignment_stops_the_reader() -> None:
    tables = many_users(share_of_control=0.4)
    stopped = analyse(tables)
    assert stopped.sample_ratio.is_broken
    assert stopped.rows == ()
    assert stopped.decides is None
    page = render_experiment(stopped, SMALL)
    assert "no outcome can be trusted" in page
    assert "shown items used" not in page
    assert "By week" not in page
    assert sum(stopped.to_json()["users_by_cohort"]["2026-W02"].values()) == 600
    assert page.count("2026-W02") == 1
    anyway = analyse(tables, anyway=True)
    assert anyway.rows
    page = render_experiment(anyway, SMALL)
    assert "no outcome can be trusted" in page
    assert "shown items used" in page
    assert not analyse(tables, weights={"control": 40, "treatment": 60}).sample_ratio.is_broken


@pytest.mark.parametrize("lost", ["control", "treatment"])
def test_a_variant_that_lost_everyone_stops_the_reader(lost: str) -> None:
    tables = many_users(share_of_control=float(lost == "treatment"))
    results = analyse(tables, weights={"control": 50, "treatment": 50})
    assert results.sample_ratio.is_broken
    assert results.sample_ratio.counts == {"control": 1200, "treatment": 1200} | {lost: 0}
    assert f"{lost} 0 (0.0 %, asked for 50.0 %)" in results.sample_ratio.sentence()
    assert results.rows == ()
    assert lost in render_experiment(results, SMALL)
    assert analyse(tables, weights={"control": 50, "treatment": 50}, anyway=True).rows == ()
    with pytest.raises(DataError, match=r"has one variant .*; two are compared\. If another one lost all"):
        analyse(tables)


def test_a_third_variant_that_lost_everyone_is_seen_by_its_weight() -> None:
    tables = many_users()
    weights = {"control": 40, "newer": 20, "treatment": 40}
    results = analyse(tables, weights=weights)
    assert results.sample_ratio.is_broken
    assert not analyse(tables).sample_ratio.is_broken
    anyway = analyse(tables, weights=weights, anyway=True)
    assert {row.variant for row in anyway.rows} == {"treatment"}
    assert "newer" in render_experiment(anyway, SMALL)


def test_the_report_shows_all_parts_and_escapes_names(many: ExperimentResults) -> None:
    tables = many_users(400)
    tables = replace(tables, name="<b>", groups=tables.groups.rename({"country": "<i>"}))
    page = render_experiment(analyse(tables, SMALL), SMALL, "firstday experiment '<b>'")
    assert "<b>" not in page
    assert "<i>" not in page
    page = render_experiment(many, SMALL)
    for part in ("Outcomes", "By week of registration", "By group of users", "Get these results again", "<svg"):
        assert part in page
    assert page == render_experiment(many, SMALL)


def test_three_variants_are_each_compared_with_the_control() -> None:
    tables = many_users(900)
    variants = ["old", "new", "newer"] * 300
    tables = replace(tables, assigned=make_assigned(variants).with_columns(tables.assigned["assigned_at"]))
    results = analyse(tables, control="old")
    assert results.treatments == ("new", "newer")
    deciding = results.deciding()
    assert [row.variant for row in deciding] == ["new", "newer"]
    assert len(results.sentences()) == 2
    worst, best = sorted((row.comparison.p_value, row.p_corrected) for row in deciding)[::-1]
    assert best[1] == pytest.approx(min(1, 2 * best[0]))  # Holm: the least counts twice, the other once
    assert worst[1] == pytest.approx(max(worst[0], best[1]))
    assert analyse(tables).control == "new"  # the first by name, where none is called control
    assert "<bdi>newer</bdi>" in render_experiment(results, SMALL)


def test_lists_are_judged_by_the_last_impression_before_each_use() -> None:
    tables = many_users()
    lists = make_lists([(user, 3, 1) for user in range(1200)])
    (estimate,) = analyse(tables, lists={"third": lists}).lists
    assert estimate.users == 1200
    assert estimate.used_of_lists is not None
    assert estimate.mean_weight == pytest.approx(1)  # ten items in the first place, each with the propensity 0.1
    assert estimate.used_of_lists.mean == pytest.approx(0.15)
    assert estimate.used_of_lists.mean == pytest.approx(estimate.used_of_shown)
    with pytest.raises(DataError, match="nothing was shown to these users, so that no lists can be judged"):
        analyse(five_users(shown=False), SMALL, lists={"third": lists})


def test_mistakes_are_one_sentence() -> None:
    tables = five_users()
    with pytest.raises(
        ConfigError, match=r"control: 'old' is no variant of onboarding; choose of control, treatment\."
    ):
        analyse(tables, control="old")
    with pytest.raises(DataError, match=r"assignments: onboarding has one variant \(control\); two are compared\. If"):
        analyse(replace(tables, assigned=make_assigned(["control"] * 5)))
