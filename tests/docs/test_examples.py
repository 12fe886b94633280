"""The commands and Python blocks of README, guide and tutorial work, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from firstday.cli.main import app
from firstday.data.splits import roles
from firstday.recommend.recommender import Recommender
from tests.docs.examples import LANGUAGES, ROOT, SMALLER, Reader, read_commands, read_examples

ENOUGH_VALIDATION = 12
"""Number of validation users from which there are no folds: models of these small tables are trained once."""
PAGES = (ROOT / "README.md", ROOT / "docs" / "guide.md", ROOT / "docs" / "tutorial.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_has_a_language(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    examples = read_examples(page)
    assert {example.language for example in examples} <= LANGUAGES
    assert 2 * len(examples) == sum(line.startswith("```") for line in text.splitlines())
    for example in examples:
        assert example.language == "sh" or "\nfirstday " not in f"\n{example.text}", example.line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the reader's working folder."""
    pytest.importorskip("firstday.lab")  # simulates the tables
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(roles, "ENOUGH_VALIDATION", ENOUGH_VALIDATION)
    return tmp_path


@pytest.mark.slow
def test_the_guide_works(folder: Path) -> None:
    with Reader(folder) as reader:
        for example in read_examples(ROOT / "docs" / "guide.md"):
            if '"plays.csv"' in example.text:
                export_plays()
            if "my_model" in example.text:
                make_vectors()
            reader.run_example(example)
    assert sum(line.startswith("firstday ") for line in reader.ran) >= 11
    assert sum(line.startswith("curl ") for line in reader.ran) == 4
    for name in ("results.json", "report.html", "lists.parquet", "model-own/manifest.json"):
        assert (folder / name).is_file(), name
    lists = pl.read_parquet("lists.parquet")
    assert lists["user_id"].unique().sort().to_list() == [900001, 900002]
    exported = pl.read_parquet("exported/interactions.parquet")
    assert set(exported["signal"]) <= {"stream", "favorite", "skip", "ban"}


@pytest.mark.slow
def test_the_tutorial_works(folder: Path) -> None:
    with Reader(folder) as reader:
        for example in read_examples(ROOT / "docs" / "tutorial.md"):
            reader.run_example(example)
    assert sum(line.startswith("firstday ") for line in reader.ran) == 9
    assert sum(line.startswith("curl ") for line in reader.ran) == 3
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_the_readme_works(folder: Path) -> None:
    sizes = [part for name in ("--users", "--items") for part in (name, SMALLER[name])]
    assert CliRunner().invoke(app, ["lab", "simulate", "tables", *sizes]).exit_code == 0
    make_newcomers()
    with Reader(folder) as reader:
        for example in read_examples(ROOT / "README.md"):
            reader.run_example(example)
    assert sum(line.startswith("firstday ") for line in reader.ran) >= 7
    for name in ("report.html", "model/manifest.json", "lists.parquet"):
        assert (folder / name).is_file(), name


@pytest.mark.slow
def test_the_search_for_settings_works(folder: Path) -> None:
    sizes = [part for name in ("--users", "--items") for part in (name, SMALLER[name])]
    assert CliRunner().invoke(app, ["lab", "simulate", "tables", *sizes]).exit_code == 0
    examples = read_examples(ROOT / "docs" / "configuration.md")
    (search,) = (example for example in examples if example.language == "python")
    search.text = search.text.replace("n_trials=20", "n_trials=1")
    with Reader(folder) as reader:
        reader.run_example(search)
    study = reader.names["study"]
    assert study.best_value > 0
    assert set(study.best_params) == {"embedding.als_confidence", "embedding.als_regularization"}


def test_the_questionnaire_works(tiny: Recommender, folder: Path) -> None:
    tiny.save(folder / "model")
    examples = read_examples(ROOT / "docs" / "onboarding.md")
    with Reader(folder) as reader:
        reader.run_example(next(example for example in examples if example.language == "python"))
    question = reader.names["question"]
    assert tiny.model.catalogue.items[question.target] == "i1"
    assert reader.names["answers"].yes == (question.target,)


def test_the_documented_experiment_of_the_service_works(
    tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = read_examples(ROOT / "docs" / "experiments.md")
    (text,) = (example.text for example in examples if "FIRSTDAY_SERVE_EXPERIMENT" in example.text)
    commands = list(read_commands(text))
    exported = (part.partition("=") for command in commands if command[0] == "export" for part in command[1:])
    settings = {name.removeprefix("FIRSTDAY_SERVE_").lower(): value for name, _, value in exported}
    recommend, report_use = (command[1:] for command in commands if command[0] == "curl")
    tiny.save(Path("model"))
    with Reader(tmp_path) as reader:
        reader.serve(**settings)
        for user in (f"u{n}" for n in range(1, 41)):
            answer = reader.ask([part.replace("u81", user) for part in recommend]).json()
            assert answer["experiment"] == "onboarding-2026"
            real = {"u81": user, "e1": f"e-{user}", "46": '"i1"', "LIST_ID": answer["list_id"]}
            body = report_use
            for word, value in real.items():
                body = [part.replace(word, value) for part in body]
            assert reader.ask(body).json() == {"accepted": 1, "duplicates": 0, "not_understood": 0, "ignored": []}
    export, experiment = (command[1:] for command in commands if command[0] == "firstday" and command[1] != "serve")
    done = CliRunner().invoke(app, export, catch_exceptions=False)
    assert "280 interactions, 40 users and 40 assignments added" in done.output
    done = CliRunner().invoke(app, experiment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "the first one, 1 day, ends" in done.output
    assert (tmp_path / "results.json").is_file()


def export_plays() -> None:
    """Write the export that the guide starts from: plays with a service's own column names."""
    actions = {"stream": "played", "favorite": "liked", "skip": "skipped", "ban": "blocked"}
    pl.read_parquet("tables/interactions/*.parquet").filter(
        pl.col("item_id").is_not_null(), pl.col("signal").is_in(list(actions))
    ).select(
        pl.col("user_id").alias("account"),
        pl.col("item_id").alias("track"),
        pl.col("signal").replace_strict(actions).alias("action"),
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("played_at"),
    ).write_csv("plays.csv")


def make_vectors() -> None:
    """Write random vectors in place of those of the guide's existing model."""
    Path("my_model").mkdir()
    rng = np.random.default_rng(0)
    for name in ("user", "item"):
        ids = pl.read_parquet(f"tables/{name}s.parquet").select(f"{name}_id")
        ids.write_csv(f"my_model/{name}_ids.csv")
        np.save(f"my_model/{name}s.npy", rng.normal(size=(len(ids), 16)).astype(np.float32))


def make_newcomers() -> None:
    """Write the tables of newcomers for the README."""
    Path("newcomers").mkdir()
    pl.DataFrame({"user_id": [900001, 900002], "age": [24, None]}).write_parquet("newcomers/users.parquet")
