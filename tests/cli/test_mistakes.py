"""Mistakes on the command line: one sentence, exit status 2, no traceback, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest
import typer

from firstday.cli.main import app
from tests.cli.conftest import Run


def said(run: Run, *arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return str(done.stderr)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("seed = 5000000000", "seed is 5000000000: input should be less than or equal to"),
        ("[embedding]\nals_confidence = inf", "embedding.als_confidence is inf: input should be a finite number"),
        ("[signals.affinity]\nstream = -1.0\nfavorite = 0.0", "no signal of use (stream, favorite) has a positive"),
        (
            '[embeddings]\nmethod = "svd"',
            "embeddings is not a setting; did you mean embedding? See docs/",
        ),
        ('[recommend]\nstrategy = "nope"', "strategy: 'nope' is unknown; choose one of popular"),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_training(
    run: Run, tables: Path, tmp_path: Path, setting: str, sentence: str
) -> None:
    (tmp_path / "c.toml").write_text(setting)
    assert sentence in said(run, "train", tables, "--out", tmp_path / "model", "--config", tmp_path / "c.toml")
    assert not (tmp_path / "model").exists()


def test_a_setting_of_the_command_line_is_checked_like_one_of_a_file(run: Run, tables: Path) -> None:
    assert "seed is 5000000000" in said(run, "check", tables, "--set", "seed=5000000000")
    assert "sed is not a setting" in said(run, "evaluate", tables, "--set", "sed=5")
    assert "--set: is 'seed'; write each once" in said(run, "refresh", tables, "--out", "model", "--set", "seed")


def test_every_command_that_takes_a_file_of_settings_takes_single_ones() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--set" in options) == ("--config" in options), name


def test_places_that_cannot_be_written_are_told_before_the_work(run: Run, tables: Path, tmp_path: Path) -> None:
    assert "its folder does not exist or is not writable" in said(
        run, "evaluate", tables, "--report", tmp_path / "no" / "x.html"
    )
    assert "is a folder; give the name of a file" in said(run, "evaluate", tables, "--json", tmp_path)
    (tmp_path / "lists.parquet").mkdir()
    out = tmp_path / "lists.parquet"
    assert "is a folder" in said(run, "recommend", tmp_path, "--batch", tables, "--out", out)


def test_mistakes_in_the_command_itself_are_one_line(run: Run) -> None:
    assert "Missing argument" in said(run, "train")
    assert "No such command 'trian'" in said(run, "trian")
    assert "--seeds" in said(run, "evaluate", "movielens-100k", "--seeds", "0")


def test_a_file_beside_the_tables_is_no_configuration(run: Run, tables: Path, settings: Path) -> None:
    stray = tables.with_suffix(".toml")
    stray.write_text("[project]\nname = 'x'\n")
    try:
        done = run("check", tables, "--json")
        assert json.loads(done.stdout)["ok"]
        told = said(run, "evaluate", tables, "--strategy", "nope")
        assert "project" not in told
        assert "project" not in run("train", tables, "--out", tables / "interactions.parquet").stderr
    finally:
        stray.unlink()


def test_unreadable_users_are_told(run: Run, tiny_model: Path) -> None:
    deep = "[" * 100_000
    done = run("recommend", tiny_model, "--user", "-", stdin=deep)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in done.stderr
    marked = run("recommend", tiny_model, "--user", "-", "--json", stdin="\ufeff{}")
    assert json.loads(marked.stdout)["route"] == "popular"


def test_what_was_ignored_is_said_while_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,shop\na,i1,x\n")
    done = run("train", tmp_path, "--out", tmp_path / "model")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "note: interactions.shop: ignored (not a column of interactions)."
    assert done.stderr.splitlines()[1].startswith("error: interactions: 0 of 1 users have at least 20 used items")


def raise_as_libraries_do(cause: BaseException) -> NoReturn:
    """Fail as a compiled library does that is interrupted while it is loaded."""
    raise ImportError("initialization failed") from cause


def test_an_interruption_while_a_library_loads_is_told_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.cli.main.main", lambda: raise_as_libraries_do(KeyboardInterrupt()))
    done = run("train")
    assert (done.returncode, done.stderr) == (130, "error: interrupted; nothing was written.\n")
    monkeypatch.setattr("firstday.cli.main.main", lambda: raise_as_libraries_do(OSError("no such library")))
    with pytest.raises(ImportError, match="initialization failed"):
        run("train")
