"""firstday tune: what is written, and what is said where nothing was gained."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import optuna
import pytest

from firstday.cli.tune import describe_search, render_settings
from firstday.config import Config, load_config
from firstday.metrics import Interval
from firstday.tuning.search import SETTINGS, ColdScores, Search
from tests.cli.conftest import Run
from tests.synthetic import SEED


def test_a_search_writes_settings_picture_and_json(run: Run, tables: Path, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned.toml"
    found_json = tmp_path / "tuned.json"
    asked = ("--trials", 2, "--seeds", 1, "--strategy", "segment", "--json", found_json)
    done = run("tune", tables, "--config", settings, "--out", out, *asked)
    found = json.loads(found_json.read_text())
    assert (found["dataset"], found["strategy"], found["ended_by"]) == ("tables", "segment", "trials")
    assert [trial["settings"] == {} for trial in found["trials"]] == [True, False]
    changed = found["best"] if found["result"] == "gain" else {}
    changed = {name: tuple(value) if isinstance(value, list) else value for name, value in changed.items()}
    assert load_config(out) == load_config(settings).override(changed)
    assert load_config(out).seed == SEED
    assert f"firstday tune {tables} --config {settings} --out {out}" in out.read_text()
    assert ("keep " in done.stdout) == (found["result"] == "keep")
    assert "</svg>" in (tmp_path / "tuned.svg").read_text()


def test_settings_that_are_the_defaults_are_a_comment_alone() -> None:
    text = render_settings(Config(), ("Nothing was gained.", "Keep the defaults."))
    assert text == "# Nothing was gained.\n# Keep the defaults.\n"
    changed = {"embedding.als_confidence": 3.75, "ranker.hidden": (150,), "signals.affinity": {"listen": 1.0}}
    assert tomllib.loads(render_settings(Config().override(changed), ())) == {
        "signals": {"affinity": {**Config().signals.affinity, "listen": 1.0}},
        "embedding": {"als_confidence": 3.75},
        "ranker": {"hidden": [150]},
    }


def make_search(gain: Interval | None) -> Search:
    study = optuna.create_study(direction="maximize")
    for precision, settings in ((30.0, {}), (31.0, {"embedding.dimensions": 8})):
        study.add_trial(optuna.create_trial(value=precision, user_attrs={SETTINGS: settings}))
    compared = None if gain is None else ColdScores((1, 2), Interval(30, 29, 31), Interval(30.5, 29.5, 31.5), gain)
    return Search(Config(), "blend", (), study, compared, "time", 100, 20, 40, "sampled", (), 60.0)


def test_the_result_says_what_to_do() -> None:
    figures = (
        "P@50 of 40 test users, 2 training run(s) each: 30.00 % at the start, 30.50 % with the best settings; gain "
    )
    for gain, said in (
        (Interval(0.5, 0.1, 0.9), f"{figures}+0.50 [+0.10, +0.90] (95 % interval): a significant gain."),
        (
            Interval(0.5, -0.1, 1),
            f"{figures}+0.50 [-0.10, +1.00] (95 % interval): not significant, keep the starting se",
        ),
        (None, "No trial was better on validation users: keep the starting settings."),
    ):
        sentences = describe_search(make_search(gain), "tables")
        assert sentences[1].endswith("30.00 % at the start, 31.00 % in the best trial (embedding.dimensions 8).")
        assert sentences[-1].startswith(said)


def test_without_the_extra_the_line_that_adds_it_is_said(
    run: Run, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    assert "firstday[tune]" in run("tune", tables, "--out", tmp_path / "tuned.toml", status=2).stderr
