from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import typer
from typer.testing import CliRunner

from firstday.cli.check import check
from firstday.errors import DataError

Tables = dict[str, pl.DataFrame]
Write = Callable[..., Path]

app = typer.Typer()
app.command()(check)
runner = CliRunner()


def test_good_tables_are_summed_up(five_users: Tables, write: Write) -> None:
    five_users["interactions"] = five_users["interactions"].with_columns(device=pl.lit("[red]phone"))
    done = runner.invoke(app, [str(write(five_users))])
    assert done.exit_code == 0
    lines = [" ".join(line.strip("│ ").replace("│", " ").split()) for line in done.stdout.splitlines()]
    for expected in (
        "users 5",
        "items 4",
        "interactions 7",
        "pairs: stream x item 3 interactions",
        "pairs: favorite x artist 1 interactions",
        "entities: playlist 2 members",
        "groups: country 3 values",
        "users with an age 4 (80%)",
        "users with a registration time 4 (80%)",
        "friends 3",
        "Note: interactions.device: ignored (not a column of interactions).",
        "No faults.",
    ):
        assert expected in lines


def test_good_tables_as_json(five_users: Tables, write: Write) -> None:
    done = runner.invoke(app, [str(write(five_users)), "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["ok"], found["faults"], found["notes"]) == (True, [], [])
    assert found["summary"]["users"] == 5
    assert found["summary"]["ages"] == 4
    assert found["summary"]["pairs"]["stream x item"] == 3


def test_tables_without_any_time_are_summed_up_too(five_users: Tables, write: Write) -> None:
    bare = {"interactions": five_users["interactions"].select("user_id", "item_id").drop_nulls()}
    done = runner.invoke(app, [str(write(bare))])
    assert done.exit_code == 0, done.exception
    assert "No faults." in done.stdout


def test_faults_are_raised_or_told_in_json(five_users: Tables, write: Write) -> None:
    five_users["users"] = five_users["users"].with_columns(age=pl.lit(200))
    fault = (
        "users.age: 5 of 5 rows are outside 0 to 120 years (first: 200, users.parquet row 1); "
        "correct them, or leave unknown ages empty."
    )
    folder = str(write(five_users))
    done = runner.invoke(app, [folder])
    assert isinstance(done.exception, DataError)
    assert done.exception.faults == (fault,)
    done = runner.invoke(app, [folder, "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"ok": False, "faults": [fault], "notes": [], "summary": {}}


def test_a_folder_that_is_not_there_is_told_in_json_too() -> None:
    done = runner.invoke(app, ["nowhere", "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["faults"] == [
        "nowhere: does not exist; give a folder of tables, or a built-in name: movielens-100k or deezer-europe."
    ]


def test_signals_named_in_a_file_are_known(five_users: Tables, write: Write, tmp_path: Path) -> None:
    interactions = five_users["interactions"].with_columns(signal=pl.lit("tap"))
    folder = str(write({**five_users, "interactions": interactions}))
    settings = tmp_path / "firstday.toml"
    settings.write_text('[signals]\naffinity.tap = 1.0\nuse = ["tap"]\n')
    assert runner.invoke(app, [folder, "--json"]).exit_code == 2
    assert runner.invoke(app, [folder, "--json", "--config", str(settings)]).exit_code == 0
