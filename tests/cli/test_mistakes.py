"""Mistakes on the command line: one sentence, exit status 2, no traceback, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from tests.cli.conftest import Run
from tests.cli.test_experiment import write_tables as write_trial

MISTAKES = [
    ("train", "Missing argument"),
    ("trian", "trian: is not a command (did you mean 'train'?)"),
    ("leaderboard tables", "use firstday evaluate --baselines"),
    ("onboarding tiny", "use GET /v1/onboarding of firstday serve"),
    ("tune tables --out tuned.toml", "search settings with Optuna"),
    ("train tables --out model --config wrong.toml", "seed is 5000000000: input should be less than or equal to"),
    ("train tables --out model --set embedding.als_confidence=inf", "is inf: input should be a finite number"),
    (
        "train tables --out model --set signals.affinity.stream=-1 --set signals.affinity.favorite=0",
        "no signal of use (stream, favorite) has a positive",
    ),
    ("train tables --out model --set recommend.strategy=nope", "strategy: 'nope' is unknown; choose one of "),
    ("rollback notes", "notes: contains no model to restore; give"),
    ("train tables --out notes", "notes: is not empty and contains no model; give a new folder."),
    ("check tables --set seed=5000000000", "seed is 5000000000"),
    ("check tables --drop-bad-rows some", "'some' is not a share of rows; give one such as 1% or 0.01"),
    ("check tables --column CustomerID", "--set: is 'columns.CustomerID'; write each once"),
    ("check tables --column CustomerID=user_id", "columns.CustomerID: no table has this column"),
    ("check tables --left-out bad.jsonl", "check: --left-out needs --drop-bad-rows; give both."),
    ("check tables --drop-bad-rows 1% --left-out no/bad.jsonl", "no/bad.jsonl: its folder does not exist"),
    ("refresh tables --out model --set seed", "--set: is 'seed'; write each once"),
    ("refresh tables --out model --json n2.json", "unexpected extra argument"),
    ("evaluate nowhere", "nowhere: does not exist; give a folder of tables, or a dataset name."),
    ("recommend tiny --user {} --filter=", "--filter: is empty; give a condition, or omit the option."),
    ("evaluate tables --filter mood", "rules: items have no column 'mood'"),
    ("evaluate tables --seeds 0", "--seeds"),
    ("evaluate tables --set sed=5", "sed is not a setting"),
    ("evaluate tables --strategy best", "strategy: 'best' is unknown"),
    ("evaluate tables --protocol sampled --cut-offs 3", "--cut-offs: needs the protocol registration"),
    ("evaluate tables --report report.md", "report.md: give a name that ends in .html."),
    ("evaluate tables --report no/x.html", "its folder does not exist or is not writable"),
    ("evaluate tables --json no/x.json", "no/x.json: its folder does not exist"),
    ("evaluate tables --json notes", "is a folder; give the name of a file"),
    ("experiment trial --name other", "assignments: there is no experiment 'other'"),
    ("experiment trial --name onboarding --weights control", "--weights: is 'control'; write each once"),
    ("experiment trial --name onboarding --outcome revenue", "'revenue' is not a column of interactions to sum"),
    ("recommend tiny", "recommend: give either --user, or --batch and --out."),
    ("recommend tiny --user {", "user: is not valid JSON"),
    ("recommend tiny --user []", "user: is a list; give fd.Signals(...) or an object"),
    ('recommend tiny --user {"age":300}', "age: Input should be less than or equal to 120 (got 300)."),
    ("recommend tiny --user {} --strategy qqq", "strategy: 'qqq' is unknown; choose one of "),
    (
        "recommend tiny --user {} --strategy paper_segment",
        "paper_segment is available in evaluate only; choose",
    ),
    ("recommend tiny --user {} --drop-bad-rows 1%", "--drop-bad-rows and --engine spark need --batch"),
    ("recommend tiny --batch nowhere", "recommend: give either --user, or --batch and --out."),
    (
        "recommend tiny --batch nowhere --out x.csv",
        "nowhere: does not exist; give the folder of the cold users'",
    ),
    (
        "recommend tiny --batch nowhere --out x.xlsx",
        "x.xlsx: the extension is not supported for lists; use one of",
    ),
    ("recommend tiny --batch tables --out folder.csv", "is a folder"),
]


@pytest.fixture(scope="module")
def place(tables: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the command lines name."""
    place = tmp_path_factory.mktemp("place")
    for name in ("broken", "folder.csv", "notes", "trial"):
        (place / name).mkdir()
    (place / "broken" / "interactions.csv").write_text("user,item_id\n1,2\n")
    (place / "notes" / "notes.txt").write_text("mine")
    (place / "wrong.toml").write_text("seed = 5000000000")
    (place / "tables").symlink_to(tables)
    (place / "tiny").symlink_to(tiny_model)
    write_trial(place / "trial")
    return place


@pytest.mark.parametrize(("line", "sentence"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_sentence_before_any_work(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, line: str, sentence: str
) -> None:
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    done = run(*line.split(), stdin="", status=2)
    assert done.stdout == ""
    assert sentence in done.stderr
    told = [text for text in done.stderr.splitlines() if ": Protocol " not in text]
    assert len(told) == 1
    assert told[0].startswith("error: ")
    assert sorted(place.rglob("*")) == before


def test_a_file_beside_the_tables_is_no_configuration(run: Run, tables: Path, settings: Path) -> None:
    stray = tables.with_suffix(".toml")
    stray.write_text("[project]\nname = 'x'\n")
    try:
        done = run("check", tables, "--json")
        assert json.loads(done.stdout)["ok"]
        assert "project" not in run("evaluate", tables, "--strategy", "nope", status=2).stderr
        assert "project" not in run("train", tables, "--out", tables / "interactions.parquet", status=2).stderr
    finally:
        stray.unlink()


def test_unreadable_users_are_told(run: Run, tiny_model: Path) -> None:
    deep = "[" * 100_000
    done = run("recommend", tiny_model, "--user", "-", stdin=deep, status=2)
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    marked = run("recommend", tiny_model, "--user", "-", "--json", stdin="\ufeff{}")
    assert json.loads(marked.stdout)["route"] == "popular"


def test_what_was_ignored_is_said_while_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,shop\na,i1,x\n")
    done = run("train", tmp_path, "--out", tmp_path / "model", status=2)
    assert done.stderr.splitlines()[0] == "note: interactions.shop: ignored (not a column of interactions)."
    assert done.stderr.splitlines()[2].startswith("error: interactions: 0 of 1 users have at least 20 used items")


def raise_as_libraries_do(cause: BaseException) -> NoReturn:
    """Fail as a compiled library does that is interrupted while it is loaded."""
    raise ImportError("initialization failed") from cause


def test_an_interruption_while_a_library_loads_is_told_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.cli.main.main", lambda: raise_as_libraries_do(KeyboardInterrupt()))
    assert run("train", status=130).stderr == "error: interrupted; nothing was written.\n"
    monkeypatch.setattr("firstday.cli.main.main", lambda: raise_as_libraries_do(OSError("no such library")))
    with pytest.raises(ImportError, match="initialization failed"):
        run("train")
