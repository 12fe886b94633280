"""From tables to results: five users whose answer is plain, and many."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from scipy import stats

from firstday.config import ExperimentConfig
from firstday.errors import ConfigError, DataError
from firstday.experiment.analyse import analyse
from firstday.experiment.compare import EVERYONE
from firstday.experiment.experiment_report import render_experiment
from firstday.experiment.experiment_results import ExperimentResults
from tests.experiment.made import five_users, make_assigned, many_users
from tests.experiment.test_off_policy import make_lists

SMALL = ExperimentConfig(least_users=2)
EQUAL = {"control": 50, "treatment": 50}


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
    whole = {"control": 3, "treatment": 2}
    none = {"control": 0, "treatment": 0}
    assert results.n_whole == {1.0: whole, 7.0: whole, 30.0: none}
    columns = ("users_control", "users_variant", "control", "value_of_variant", "difference", "ratio")
    for outcome, figures in (
        ("used_of_shown", (2 / 4, 0, -2 / 4, None)),
        ("items_used", (2 / 3, 1 / 2, -1 / 6, 3 / 4)),
    ):
        row = find(results, outcome, 7)
        assert [row[column] for column in columns] == pytest.approx([3, 2, *figures])
    assert {row.outcome.days for row in results.everyone} == {1, 7}
    assert results.to_json()["primary"] == {"outcome": "used_of_shown", "days": 7}
    assert [note.split(":")[0] for note in results.notes] == [
        "5 of 5 users are excluded from outcomes within 30 days",
        "weights",
    ]


def test_without_impressions_the_outcomes_of_them_are_left_out_and_that_is_said() -> None:
    results = analyse(five_users(shown=False), SMALL)
    assert {row.outcome.name for row in results.everyone} == {"items_used", "days_active", "came_back"}
    assert results.title == "items used, 7 days"
    assert any("no impressions (signal shown) with timestamps" in note for note in results.notes)


def test_a_window_that_has_not_ended_is_replaced_by_the_nearest() -> None:
    assert analyse(five_users(until_hours=48), SMALL).title == "shown items used, 1 day"
    assert analyse(five_users(), SMALL.override("outcome", "items_used")).title == "items used, 7 days"
    early = analyse(five_users(until_hours=3), SMALL)
    assert (early.title, early.everyone) == ("", [])
    (sentence,) = early.sentences()
    assert sentence.startswith(
        "No window has ended for enough users yet; the first one, 1 day, ends 2026-01-06 00:00 UTC"
    )
    assert sentence[:-1] in render_experiment(early)


def test_a_large_difference_is_found_and_said(many: ExperimentResults) -> None:
    (sentence,) = many.sentences()
    assert sentence.startswith("Shown items used, 7 days: treatment ")
    assert sentence.endswith("significant at every look.")
    row = find(many, "used_of_shown", 7)
    assert row["difference"] == pytest.approx(0.1, abs=0.01)  # a little is left of what the profile predicts by chance
    assert row["unadjusted_difference"] == pytest.approx(0.1)
    assert row["ratio_always_ci"][0] < row["ratio_ci"][0] < 2 < row["ratio_ci"][1] < row["ratio_always_ci"][1]
    assert row["unadjusted_difference_ci"] is not None
    cohorts = [row for row in many.cohorts if row.outcome == many.primary]
    assert [row.value for row in cohorts] == ["2026-W02", "2026-W03"]
    assert sum(row.users_control for row in cohorts) == 600
    assert {row.value for row in many.groups} == {"DE", "FR", "25-34", "35-44", "45-54", "55+"}  # of 100 users each
    assert {(row.outcome.days, row.power) for row in many.groups} == {(7, None)}
    assert {row.outcome.name for row in many.groups if row.p_value is None} == {"came_back"}  # nobody does
    judged = [row for row in many.groups if row.p_value is not None]
    corrected = stats.false_discovery_control([row.p_value for row in judged])
    assert [row.p_corrected for row in judged] == pytest.approx(corrected)


def test_ages_are_compared_in_bands() -> None:
    ages = pl.DataFrame({"age": [17, 18, 24, 25, 54, 55, None] * 60})
    results = analyse(replace(many_users(420), groups=ages), SMALL)
    users = {row.value: row.users_control for row in results.groups}
    assert users == {"under 18": 30, "18-24": 60, "25-34": 30, "45-54": 30, "55+": 30, "unknown": 30}


def test_json_has_no_number_that_json_lacks(many: ExperimentResults) -> None:
    for results in (many, analyse(five_users(), SMALL)):
        text = json.dumps(results.to_json(), allow_nan=False)
        assert json.loads(text)["sample_ratio"]["broken"] is False


def test_a_broken_assignment_stops_the_reader() -> None:
    tables = many_users(share_of_control=0.4)
    stopped = analyse(tables)
    assert stopped.sample_ratio.broken
    assert (stopped.everyone, stopped.primary) == ((), None)
    page = render_experiment(stopped)
    assert "no outcome can be trusted" in page
    assert "shown items used" not in page
    assert sum(stopped.to_json()["users_by_cohort"]["2026-W02"].values()) == 600
    assert page.count("2026-W02") == 1
    page = render_experiment(analyse(tables, anyway=True))
    assert "no outcome can be trusted" in page
    assert "shown items used" in page
    assert not analyse(tables, weights={"control": 40, "treatment": 60}).sample_ratio.broken


def test_a_variant_that_lost_everyone_stops_the_reader() -> None:
    tables = many_users(share_of_control=0)
    results = analyse(tables, weights=EQUAL)
    assert results.sample_ratio.users == {"control": 0, "treatment": 1200}
    assert (results.sample_ratio.broken, results.everyone) == (True, ())
    assert "control 0 (0.0%, expected 50.0%)" in render_experiment(results)
    assert analyse(tables, weights=EQUAL, anyway=True).everyone == []
    with pytest.raises(DataError, match=r"has a single variant .*, and at least two are needed; if another one lost"):
        analyse(tables)


def test_the_report_shows_all_parts_and_escapes_names(many: ExperimentResults) -> None:
    tables = many_users(400)
    assigned = tables.assigned.with_columns(pl.col("variant").replace("treatment", "<b>"))
    tables = replace(tables, name="<b>", assigned=assigned, groups=tables.groups.rename({"country": "<b>"}))
    assert "<b>" not in render_experiment(analyse(tables, SMALL), "firstday experiment '<b>'")
    page = render_experiment(many)
    for part in ("Outcomes", "By week of registration", "By group of users", "Get these results again", "<svg"):
        assert part in page
    assert page == render_experiment(many)


def test_three_variants_are_each_compared_with_the_control() -> None:
    tables = many_users(900)
    variants = ["old", "new", "newer"] * 300
    tables = replace(tables, assigned=make_assigned(variants).with_columns(tables.assigned["assigned_at"]))
    results = analyse(tables, control="old")
    assert results.treatments == ("new", "newer")
    assert [row.variant for row in results.of_primary()] == ["new", "newer"]
    assert len(results.sentences()) == 2
    (least, least_corrected), (most, most_corrected) = sorted(
        (row.p_value or 0, row.p_corrected) for row in results.of_primary()
    )
    assert least_corrected == pytest.approx(min(1, 2 * least))  # Holm: the least counts twice, the other once
    assert most_corrected == pytest.approx(max(most, least_corrected or 0))
    few = replace(five_users(), assigned=make_assigned(["old", "new", "old", "new", "old"]))
    assert analyse(few, SMALL).control == "new"  # the first by name, where none is called control
    assert "<bdi>newer</bdi>" in render_experiment(results)


def test_lists_are_judged_by_the_last_impression_before_each_use() -> None:
    tables = many_users()
    lists = make_lists([(user, 3, 1) for user in range(1200)])
    (estimate,) = analyse(tables, lists={"third": lists}).lists
    assert estimate.users == 1200
    assert estimate.mean_weight == pytest.approx(1)  # ten items in the first place, each with the propensity 0.1
    assert estimate.used_of_lists == pytest.approx(0.15)
    assert estimate.used_of_lists == pytest.approx(estimate.used_of_shown)
    (refused,) = analyse(five_users(shown=False), SMALL, lists={"third": lists}).lists
    assert refused.sentence().startswith("lists third: no estimate: 0 effective users")


def test_an_unknown_control_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"'old' is not a variant of onboarding; choose one of control, treatment\."):
        analyse(five_users(), control="old")
