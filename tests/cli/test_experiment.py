"""firstday experiment: from a folder of tables to the table, the JSON and the report."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from firstday.cli.experiment import parse_weights, print_experiment
from firstday.config import Config
from firstday.data.load import load
from firstday.errors import ConfigError
from firstday.experiment.analyse import analyse
from firstday.experiment.experiment_report import render_experiment
from firstday.experiment.experiment_results import ExperimentResults
from firstday.experiment.experiment_tables import take_experiment
from firstday.recommend.variants import Experiment
from tests.cli.conftest import Run

START = datetime(2026, 1, 5, tzinfo=UTC)
EXPERIMENT = Experiment.parse("onboarding: control=segment*50, treatment=auto*50")
N_USERS = 400


def variant_of(user: str) -> str:
    variant = EXPERIMENT.assign(user)
    assert variant is not None
    return variant.name


def write_tables(folder: Path, form: str, *, lost: int = 0, shown: bool = True) -> Path:
    """Write a service of one week: each user is shown five items, and the treatment uses two of them, the control one.

    Of the treatment's users, so many are lost.
    """
    folder.mkdir()
    users = [f"u{n}" for n in range(N_USERS)]
    treated = [user for user in users if variant_of(user) == "treatment"]
    users = [user for user in users if user not in treated[:lost]]
    start = {user: START + timedelta(hours=place % 48) for place, user in enumerate(users)}
    rows: list[tuple[object, ...]] = []
    for user in users:
        for place in range(5) if shown else ():
            rows.append((user, f"i{place}", "shown", start[user] + timedelta(hours=1), f"l{user}", place + 1, 0.5))
        for place in range(2 if variant_of(user) == "treatment" else 1):
            rows.append((user, f"i{place}", "stream", start[user] + timedelta(hours=2), None, None, None))
    rows.append((users[0], "i9", "stream", START + timedelta(days=12), None, None, None))
    columns = ["user_id", "item_id", "signal", "timestamp", "list_id", "position", "propensity"]
    frames = {
        "interactions": pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None),
        "users": pl.DataFrame({"user_id": users, "registered_at": [start[user] for user in users]}),
        "assignments": pl.DataFrame(
            {
                "user_id": users,
                "experiment": ["onboarding"] * len(users),
                "variant": [variant_of(user) for user in users],
                "assigned_at": [start[user] for user in users],
            }
        ),
    }
    for name, frame in frames.items():
        if form == "parquet":
            frame.write_parquet(folder / f"{name}.parquet")
        else:
            texts = frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
            if form == "csv":
                texts.write_csv(folder / f"{name}.csv")
            else:
                texts.write_ndjson(folder / f"{name}.ndjson")
    return folder


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
def test_tables_of_any_form_are_compared(run: Run, tmp_path: Path, form: str) -> None:
    tables = write_tables(tmp_path / "tables", form)
    out, report = tmp_path / "results.json", tmp_path / "report.html"
    done = run("experiment", tables, "--name", "onboarding", "--json", out, "--report", report)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    (row,) = (
        row
        for row in results["results"]
        if (row["outcome"], row["days"], row["column"]) == ("used_of_shown", 7, "everyone")
    )
    assert (row["control"], row["value_of_variant"]) == pytest.approx((1 / 5, 2 / 5))
    assert row["ratio"] == pytest.approx(2)
    assert results["users_with_ended_window"]["30"] == {"control": 0, "treatment": 0}
    assert "Shown items used, 7 days: treatment 40.00%, control 20.00%" in done.stdout
    assert f"{N_USERS} of {N_USERS} users take no part in the outcomes of 30 days" in done.stderr
    page = report.read_text()
    assert f"firstday experiment {tables} --name onboarding" in page


def analyse_again(tables: Path) -> ExperimentResults:
    config = Config()
    data = take_experiment(load(tables), "onboarding", use=config.signals.use, like=config.experiment.like)
    return analyse(data, config.experiment)


def test_before_a_window_has_ended_it_is_said_when_the_first_one_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = analyse_again(write_tables(tmp_path / "tables", "parquet"))
    early = replace(results, rows=(), decides=None, until=results.first + timedelta(hours=3))
    end = results.first + timedelta(days=1)
    expected = f"No window has ended for enough users yet; the first one, 1 day, ends {end:%Y-%m-%d %H:%M} UTC."
    assert early.say_waiting() == expected
    print_experiment(early)
    assert expected in capsys.readouterr().out
    assert expected[:-1] in render_experiment(early, Config().experiment)
    assert results.say_waiting() == "No window has ended for enough users yet."


def test_lost_users_stop_the_reader_with_status_3(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", "parquet", lost=90)
    report = tmp_path / "report.html"
    done = run("experiment", tables, "--name", "onboarding", "--json", "--report", report)
    assert done.returncode == 3
    assert json.loads(done.stdout)["results"] == []
    assert done.stderr.count("error:") == 1
    assert "onboarding: users are not divided as they should be: control " in done.stderr
    assert "shown items used" not in report.read_text()
    done = run("experiment", tables, "--name", "onboarding", "--anyway")
    assert done.returncode == 3
    assert "shown items used, 7 days" in done.stdout


def test_lists_that_were_not_shown(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", "parquet")
    lists = tmp_path / "lists.parquet"
    users = [f"u{n}" for n in range(N_USERS)]
    pl.DataFrame({"user_id": users, "rank": [1] * N_USERS, "item_id": ["i0"] * N_USERS}).write_parquet(lists)
    done = run("experiment", tables, "--name", "onboarding", "--lists", f"first={lists}")
    assert done.returncode == 0, done.stderr
    assert "lists first: 100.00 % of what they show would have been used" in done.stdout


def test_without_impressions(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", "parquet", shown=False)
    done = run("experiment", tables, "--name", "onboarding")
    assert done.returncode == 0, done.stderr
    assert "nothing was shown to these users" in done.stderr
    assert "shown items used" not in done.stdout.lower()


def test_mistakes_are_one_sentence(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", "csv")
    lists = tmp_path / "lists.csv"
    lists.write_text("user_id,item_id\nu1,i1\n")
    for arguments, message in [
        (("--name", "other"), "assignments: have no experiment 'other'; choose of onboarding."),
        (
            ("--name", "onboarding", "--control", "old"),
            "control: 'old' is no variant of onboarding; choose of control, treatment.",
        ),
        (("--name", "onboarding", "--weights", "control"), "--weights: is 'control'; write each once"),
        (("--name", "onboarding", "--lists", "x"), "--lists: is 'x'; write each once, such as blend=lists.parquet."),
        (("--name", "onboarding", "--lists", f"x={lists}"), f"{lists}: has no column rank; give lists as"),
        (("--name", "onboarding", "--lists", f"x={tmp_path}/no.csv"), f"{tmp_path}/no.csv: cannot be read as lists"),
        (("--name", "onboarding", "--report", tmp_path / "x.pdf"), "x.pdf: a report is HTML"),
    ]:
        done = run("experiment", tables, *arguments)
        assert done.returncode == 2, arguments
        assert message in done.stderr
        assert done.stderr.count("error:") == 1
    (tables / "assignments.csv").write_text(
        "user_id,experiment,variant,assigned_at\n"
        "u1,onboarding,control,2026-01-05T00:00:00Z\nu1,onboarding,treatment,2026-01-06T00:00:00Z\n"
    )
    done = run("experiment", tables, "--name", "onboarding")
    assert done.returncode == 2
    assert "several variants" in done.stderr
    (tables / "assignments.csv").unlink()
    done = run("experiment", tables, "--name", "onboarding")
    assert done.returncode == 2
    assert "assignments: the table is missing; add user_id, experiment, variant and assigned_at" in done.stderr


def test_users_who_are_not_new_are_told(run: Run, tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", "parquet")
    users = pl.read_parquet(tables / "users.parquet")
    users.with_columns(pl.col("registered_at") - timedelta(days=3)).write_parquet(tables / "users.parquet")
    done = run("experiment", tables, "--name", "onboarding")
    assert done.returncode == 0, done.stderr
    assert f"{N_USERS} users were assigned more than a day after they registered" in done.stderr


def test_weights_are_numbers_by_variant() -> None:
    assert parse_weights("control=50, treatment = 25.5") == {"control": 50, "treatment": 25.5}
    for text in ("", "control", "control=x", "control=1,control=2", "=3"):
        with pytest.raises(ConfigError, match="--weights: is"):
            parse_weights(text)
