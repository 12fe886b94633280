from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from firstday.cli.check import check
from firstday.errors import DataError
from tests.data.conftest import Tables, Write
from tests.data.test_impressions import make_assignments, with_shown

app = typer.Typer()
app.command()(check)
runner = CliRunner()


def test_good_tables_are_summed_up(five_users: Tables, write: Write, tmp_path: Path) -> None:
    five_users["interactions"] = five_users["interactions"].with_columns(device=pl.lit("[red]phone"))
    five_users["items"] = five_users["items"].with_columns(
        price=pl.Series([9.5, 12, None, 10]),
        in_stock=pl.Series([True, False, None, True]),
        added_at=pl.lit(datetime(2024, 5, 1, 12, tzinfo=UTC)),
    )
    shown = with_shown({**five_users, "assignments": make_assignments().head(3)})
    shown["interactions"] = shown["interactions"].with_columns(weight=pl.lit(1.0))
    folder = str(write(shown))
    done = runner.invoke(app, [folder, "--json", "--config", str(one_item(tmp_path))])
    assert done.exit_code == 2
    values = json.loads(done.stdout)
    assert (values["ok"], values["trainable"], values["faults"], len(values["notes"])) == (True, False, [], 1)
    summary = values["summary"]
    assert (summary["users"], summary["ages"], summary["impressions"]) == (5, 4, 5)
    assert summary["pairs"]["stream x item"] == 3
    assert summary["experiments"] == {"lists": 2, "page": 1}
    artists = {"name": "artist_id", "type": "list", "n_values": 2, "values": ["a1", "a2"]}
    assert artists in values["item_columns"]
    assert values["outlook"]["protocol"] == "registration"
    training = values["outlook"]["training"]
    assert training.pop("refusal").startswith("users: 1 can be trained on ")
    assert training == {"users": 5, "used": 2, "warm": 2, "learners": 1, "validation": 0, "folds": 0}


@pytest.mark.parametrize(("n_bad", "percent"), [(5, 1), (60, 9), (400, 0)])  # of 700 rows
def test_of_few_bad_rows_it_is_said_how_to_leave_them_out(
    five_users: Tables, write: Write, n_bad: int, percent: int
) -> None:
    many = pl.concat([five_users["interactions"].with_columns(pl.col("timestamp").cast(pl.String))] * 100)
    bad = many.with_row_index().with_columns(
        timestamp=pl.when(pl.col("index") < n_bad).then(pl.lit("late")).otherwise("timestamp")
    )
    folder = write({**five_users, "interactions": bad.drop("index")})
    error = runner.invoke(app, [str(folder)]).exception
    assert isinstance(error, DataError)
    assert error.hint.split()[:2] == (["--drop-bad-rows", f"{percent}%"] if percent else [])
    if percent:
        done = runner.invoke(app, [str(folder), *error.hint.split()[:2]])
        assert isinstance(done.exception, SystemExit)  # too few users


def test_faults_are_raised_or_told_in_json(five_users: Tables, write: Write) -> None:
    five_users["users"] = five_users["users"].with_columns(age=pl.lit(200))
    fault = (
        "users.age: 5 of 5 rows are not from 0 to 120 (first: 200, users.parquet row 1); "
        "give ages in years, or leave unknown ones empty."
    )
    folder = str(write(five_users))
    done = runner.invoke(app, [folder])
    assert isinstance(done.exception, DataError)
    assert str(done.exception) == fault
    done = runner.invoke(app, [folder, "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "trainable": False,
        "faults": [fault],
        "notes": [],
        "summary": {},
        "signals": [],
        "item_columns": [],
        "outlook": {},
    }


def test_signals_named_in_a_file_are_known(five_users: Tables, write: Write, tmp_path: Path) -> None:
    interactions = five_users["interactions"].with_columns(signal=pl.lit("tap"))
    folder = str(write({**five_users, "interactions": interactions}))
    settings = tmp_path / "firstday.toml"
    settings.write_text('[signals]\naffinity.tap = 1.0\nuse = ["tap"]\n')
    assert not json.loads(runner.invoke(app, [folder, "--json"]).stdout)["ok"]
    assert json.loads(runner.invoke(app, [folder, "--json", "--config", str(settings)]).stdout)["ok"]


def test_every_signal_is_told_with_what_is_made_of_it(five_users: Tables, write: Write, tmp_path: Path) -> None:
    given = [
        ("play", "i1", None),
        ("hide", "i2", None),
        ("ban", None, "a1"),
        ("skip", "i1", None),
        ("look", "i1", None),
    ]
    rows = [("u1", signal, item, None if item else "artist", member) for signal, item, member in given]
    schema = dict.fromkeys(("user_id", "signal", "item_id", "entity", "entity_id"), pl.String)
    folder = str(write({**five_users, "interactions": pl.DataFrame(rows, schema, orient="row")}))
    settings = tmp_path / "firstday.toml"
    settings.write_text('[signals]\naffinity = { play = 1.0, hide = -1.0, look = 0.0 }\nuse = ["play"]\n')
    values = json.loads(runner.invoke(app, [folder, "--json", "--config", str(settings)]).stdout)
    assert {row["signal"]: (row["interactions"], row["roles"]) for row in values["signals"]} == {
        "play": ({"item": 1}, ["use", "taste"]),
        "hide": ({"item": 1}, ["taste", "excludes"]),
        "ban": ({"artist": 1}, ["taste", "excludes"]),
        "skip": ({"item": 1}, ["taste"]),
        "look": ({"item": 1}, []),
    }
    assert [row["signal"] for row in values["signals"] if "'play x *'" in row["advice"]] == ["play"]
    assert not any(row["advice"] for row in values["signals"] if row["signal"] != "play")
    lines = runner.invoke(app, [folder, "--config", str(settings)]).stdout.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("- signal ")] == [
        row["signal"] for row in values["signals"]
    ]
    settings.write_text(settings.read_text() + '[features]\nthrough_items = ["play x artist"]\n')
    values = json.loads(runner.invoke(app, [folder, "--json", "--config", str(settings)]).stdout)
    assert not any(row["advice"] for row in values["signals"])


def one_item(folder: Path) -> Path:
    """Write settings by which a user is warm who used any item."""
    path = folder / "one.toml"
    path.write_text("[sampled]\nmin_items = 1\n")
    return path


def service(n_busy: int, n_light: int) -> Tables:
    """Make the tables of users who used 20 items, and of others who used 2."""
    pairs = [(f"u{user}", f"i{item}") for user in range(n_busy) for item in range(20)]
    pairs += [(f"v{user}", f"i{item}") for user in range(n_light) for item in range(2)]
    return {"interactions": pl.DataFrame(pairs, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")}


def test_tables_that_can_be_learned_from_are_told_with_how_well_lists_could_be_judged(write: Write) -> None:
    folder = str(write(service(100, 10)))
    done = runner.invoke(app, [folder])
    assert done.exit_code == 0
    assert done.stdout.startswith("No faults.\n")
    values = json.loads(runner.invoke(app, [folder, "--json"]).stdout)
    assert (values["ok"], values["trainable"], values["outlook"]["evaluation"]["interval_points"]) == (True, True, 9.6)
