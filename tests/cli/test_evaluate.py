"""firstday evaluate and inspect: what people and scripts read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

import firstday as fd
from firstday.config import load_config, parse_config
from firstday.data.load import load
from firstday.errors import ArtifactError
from firstday.evaluation.run import OF_CLOCKS
from firstday.recommend.recommender import open_model
from firstday.recommend.registry import strategy_names
from firstday.recommend.support import strategies_with
from tests.cli.conftest import Run
from tests.cli.test_commands import ORDER
from tests.synthetic import SEED


def test_evaluate_prints_a_table_and_writes_json_and_report(
    run: Run, tables: Path, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.json"
    report = tmp_path / "report.html"
    done = run("evaluate", tables, "--config", settings, "--all", "--seeds", 2, "--json", out, "--report", report)
    assert "as in the paper" in done.stdout
    found = json.loads(out.read_text())
    assert {"dataset", "k", "seeds", "results"} <= found.keys()
    assert (found["dataset"], found["k"], found["seeds"]) == ("tables", 20, [SEED, SEED + 1])
    rows = {row["strategy"]: row for row in found["results"]}
    without_data = {"friends", *OF_CLOCKS}  # nobody has any friends, and nothing has a time
    assert set(rows) == set(strategies_with(load_config(settings))) - without_data
    best = found["best_single"]["precision"]
    difference = rows["popular"]["precision"] - rows[best]["precision"]
    assert rows["popular"]["against"][best]["difference"] == pytest.approx(difference, abs=2e-4)
    assert set(rows["popular"]["against"]) == set(found["best_single"].values()) - {"popular"}
    assert rows["popular"]["routes"] == {"popular": 1.0}
    assert set(rows["segment"]["by_group"]) == {"age", "country", "gender"}
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    for part in ("strategies", "sizes", "groups", "segments", "data", "again"):
        assert f'<h2 id="{part}">' in page
    assert f"firstday evaluate {tables} --config {settings} --all --seeds 2" in page


@pytest.mark.skipif("user_user" not in strategy_names(), reason="a baseline of firstday.lab")
def test_baselines_are_in_help_and_evaluated_with_strategies(run: Run, tables: Path, settings: Path) -> None:
    told = " ".join(run("evaluate", "--help").stdout.replace("│", " ").split())
    for name in ("--baselines", "item_item", "mult_dae"):
        assert name in told
    done = run("evaluate", tables, "--config", settings, "--strategy", "user_user")
    assert "NDCG@10" in done.stdout
    told = " ".join(done.stdout.split())
    assert re.search(r"user_user: best on validation users, \d+ trials in all: min_items \d+; rarity ", told)
    assert "…" not in done.stdout


OWN = """
import firstday as fd
import numpy as np

def share_of_first(lists, truth, items):
    assert len(items) == truth.n_columns
    return truth.has(lists).any(axis=1)

def late(query):
    scores = np.zeros((query.n_users, query.model.n_items), dtype=np.float32)
    scores[1:] = np.nan
    return query.rank_scores(lambda rows: scores[rows], "late")

LATE = fd.StrategySpec(name="late", describe="Divides by zero.", recommend=late)
"""


def test_metrics_and_methods_of_ones_own(
    run: Run, tables: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_code.py").write_text(OWN)
    chosen = ("evaluate", tables, "--config", settings, "--metric", "own_code:share_of_first")
    out = tmp_path / "results.json"
    report = tmp_path / "report.html"
    done = run(*chosen, "--strategy", "popular", "--json", out, "--report", report)
    assert "share_of_first" in done.stdout
    assert "share_of_first" in report.read_text()
    for row in json.loads(out.read_text())["results"]:
        assert row["metrics"]["share_of_first"] == pytest.approx(row["hit_rate"] / 100, abs=1e-4)
        assert len(row["metrics"]["share_of_first_ci"]) == 2
    error = run(*chosen, "--plugin", "own_code", "--strategy", "late", status=2).stderr
    *_, last = error.strip().splitlines()
    assert re.fullmatch(r"error: strategy 'late': scores contain NaN \([\d,]+ of [\d,]+ values, first at .*", last), (
        error
    )
    assert "Traceback" not in error
    for path in ("own_code:none", "no_module:x", "own_code:np"):
        error = run("evaluate", tables, "--metric", path, status=2).stderr
        assert "metric" in error


def test_inspect_shows_data_training_and_segments(run: Run, model: Path) -> None:
    done = run("inspect", model, "--segments", 3)
    assert "3 of 8 segments, largest first" in done.stdout
    assert "numbers: age, country, gender, " in done.stdout
    found = json.loads(run("inspect", model, "--json").stdout)
    assert sum(segment["users"] for segment in found["segments"]) == found["data"]["warm_users"]
    sizes = [segment["users"] for segment in found["segments"]]
    assert sizes == sorted(sizes, reverse=True)
    assert found["history"][0]["number"] == 1


def test_help_of_every_command_has_an_example(run: Run) -> None:
    for command in ORDER:
        assert f"Example: firstday {command}" in run(command, "--help").stdout


def test_version_and_bare_call(run: Run) -> None:
    assert run("--version").stdout == f"firstday {fd.__version__}\n"
    assert "recommend" in run("--help").stdout


def test_the_protocol_is_said_and_can_be_asked_for(run: Run, timed_tables: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        f"seed = {SEED}\n[embedding]\ndimensions = 8\n[cold_model]\nhidden = [8]\nepochs = 1\n"
        "[ranker]\nenabled = false\n[registration]\ncut_offs = 2\ntarget_days = 5\n"
        "[sampled]\nmin_items = 5\nday_ones = 1\n"
    )
    asked = ("evaluate", timed_tables, "--config", rules, "--strategy", "popular", "--json")
    for flags, protocol in (((), "registration"), (("--protocol", "sampled", "--divide-by-k"), "sampled")):
        found = json.loads(run(*asked, *flags).stdout)
        assert found["protocol"] == protocol
        assert (found["precision_convention"] == "hits / K") == (protocol == "sampled")
        assert (len(found["notes"]) > 1) == (protocol == "registration")  # what was learned, and the split
        assert len(found.get("cut_offs", [])) == 2 * (protocol == "registration")


def test_inspect_says_whether_a_model_knows_a_user(run: Run, model: Path, tiny_model: Path) -> None:
    stored = open_model(model).model.warm
    assert stored is not None
    known = stored.ids[0]
    assert run("inspect", model, "--knows", known).stdout == "yes\n"
    for path, user in ((model, f"0{known}"), (tiny_model, "stranger")):
        assert run("inspect", path, "--knows", user).stdout == "no\n"


def test_a_split_and_results_are_kept(run: Run, tables: Path, settings: Path, tmp_path: Path) -> None:
    split = fd.split(load(tables), load_config(settings), n_seeds=2).save(tmp_path / "split")
    results = fd.evaluate(load(tables), load_config(settings), n_seeds=2, against=["popular"], progress=None)
    of_split = json.loads(run("evaluate", split, "--strategy", "blend", "--json").stdout)
    rows = {row["strategy"]: row for row in of_split["results"]}
    folder = results.save(tmp_path / "results")
    kept = json.loads((folder / "results.json").read_text())
    assert kept.items() > json.loads(json.dumps(results.to_json())).items()
    assert kept["dataset"] == of_split["dataset"]
    for row in kept["results"]:
        figures = {name: value for name, value in row.items() if name not in {"ms_per_user", "against"}}
        assert figures.items() <= rows[row["strategy"]].items()
        assert ("popular" in row["against"]) == (row["strategy"] != "popular")
    assert (kept["firstday"], parse_config(kept["config"])) == (fd.__version__, load_config(settings))
    frames = {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")}
    assert frames.keys() == {"figures", "users", "lists"}
    assert frames["figures"].equals(results.to_frame())
    assert len(frames["users"]) == len(results.strategies) * results.n_cold * 2
    means = fd.score(fd.open_split(split), frames["lists"]).to_json()["results"]
    assert [row["precision_ci"] for row in means] == [rows[row["strategy"]]["precision_ci"] for row in means]
    with pytest.raises(ArtifactError):
        results.save(folder)
    assert "a split has its own tables, settings and seeds" in run("evaluate", split, "--seeds", 3, status=2).stderr
