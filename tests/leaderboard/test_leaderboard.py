"""The leaderboard: what is evaluated, what is kept, what is added, and what is shown."""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import firstday as fd
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.leaderboard.board import (
    Standing,
    Standings,
    add_leaderboard,
    checksum_split,
    choose_methods,
    evaluate_methods,
    find_sets,
    find_source,
    read_leaderboard,
    read_published,
    write_leaderboard,
)
from firstday.recommend import registry
from firstday.recommend.registry import load_plugin
from tests.synthetic import brief_config

PLUGIN = """
import firstday as fd
from firstday.methods.popularity import POPULAR

def recommend(query):
    return POPULAR.recommend(query)

COPYCAT = fd.StrategySpec(name="copycat", describe="What everyone uses.", recommend=recommend)
"""
METHODS = ["segment", "popular", "user_user"]
evaluate = partial(evaluate_methods, n_seeds=2)


@pytest.fixture(scope="module")
def little() -> Config:
    return brief_config(plugins={"user_user": {"rarity": 0.0, "shrinkage": 10.0, "power": 1.0}})


@pytest.fixture(scope="module")
def standings(world: Dataset, little: Config) -> Standings:
    return evaluate(None, world, little, METHODS)


def rows_of(standings: Standings) -> dict[str, Standing]:
    return {row.strategy: row for run in standings.runs for row in run.rows}


def methods_by_run(standings: Standings) -> list[list[str]]:
    return [[row.strategy for row in run.rows] for run in standings.runs]


def test_the_rows_are_what_evaluate_measures(world: Dataset, little: Config, standings: Standings) -> None:
    results = fd.evaluate(world, little, strategies=METHODS, tune_once=True, n_seeds=2).to_json()
    (run,) = standings.runs
    for row, values in zip(run.rows, results["results"], strict=True):
        assert (row.strategy, row.precision, list(row.precision_ci)) == (
            values["strategy"], values["precision"], values["precision_ci"],
        )  # fmt: skip
        assert row.minus_segment == values.get("minus_segment", 0)
    assert standings.seeds == tuple(results["seeds"])
    assert [row.kind for row in run.rows] == ["firstday", "firstday", "baseline"]
    assert run.fit_seconds == pytest.approx(run.rows[0].fit_seconds)
    assert run.rows[2].options == results["options"]["user_user"]["by_seed"][0]["options"]
    assert run.rows[2].options_from == "first seed"


def test_what_is_there_is_not_run_again(world: Dataset, little: Config, standings: Standings) -> None:
    stages: list[str] = []
    watched = partial(evaluate, standings, world, little, progress=lambda stage, *_: stages.append(stage))
    assert watched(["segment", "user_user"]) is standings
    assert stages == []
    more = watched(["segment", "popular", "day_one"])
    assert methods_by_run(more) == [METHODS, ["day_one"]]
    assert more.runs[0] == standings.runs[0]
    assert more.runs[1].precision == standings.runs[0].precision  # the same segment: only times differ


def test_other_versions_are_run_again_and_unused_runs_go(world: Dataset, little: Config, standings: Standings) -> None:
    aged = replace(standings, runs=(replace(standings.runs[0], versions={"firstday": "0"}),))
    part = evaluate(aged, world, little, ["segment", "popular"])
    assert methods_by_run(part) == [["user_user"], ["segment", "popular"]]
    full = evaluate(part, world, little, ["user_user"])
    assert methods_by_run(full) == [["segment", "popular"], ["user_user"]]


def test_the_split_is_the_users(world: Dataset, little: Config, standings: Standings) -> None:
    seeds = (little.seed, little.seed + 1)
    assert standings.split == checksum_split(world, little.override("cold_model.epochs", 2), seeds)
    others = {
        checksum_split(world, little, seeds[:1]),
        checksum_split(world, little.override("recommend.k", little.recommend.k + 1), seeds),
        checksum_split(world, little.override("sampled.warm", 0.5), seeds),
    }
    assert len({standings.split, *others}) == 4
    with pytest.raises(ConfigError, match=r"the users differ .* use the same data and --seeds 2"):
        evaluate(standings, world, little, ["segment"], n_seeds=1)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "copycat_plugin.py"
    file.write_text(PLUGIN)
    load_plugin("copycat_plugin")
    page = (Path(__file__).parents[2] / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    (tmp_path / "my_near.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    load_plugin("my_near")
    yield file
    registry._registry.cache_clear()


def test_a_method_from_outside_alone_is_run_and_again_when_it_changed(
    world: Dataset, little: Config, standings: Standings, plugin: Path
) -> None:
    methods = choose_methods(little, ["copycat", "near"])
    assert methods == ["segment", "copycat", "near"]
    more = evaluate(standings, world, little, methods)
    assert methods_by_run(more) == [METHODS, ["copycat", "near"]]
    rows = rows_of(more)
    row = rows["copycat"]
    popular = rows["popular"]
    assert (row.kind, row.about) == ("plug-in", "What everyone uses.")
    assert (row.precision, row.minus_segment) == (popular.precision, popular.minus_segment)
    assert row.source == find_source("copycat") != ""
    assert rows["near"].user_coverage > 0
    assert evaluate(more, world, little, methods) is more
    plugin.write_text(PLUGIN.replace("What everyone uses.", "Another."))
    importlib.reload(importlib.import_module("copycat_plugin"))
    load_plugin("copycat_plugin")
    changed = rows_of(evaluate(more, world, little, methods))
    assert changed["copycat"].about == "Another."
    assert changed["segment"] == rows["segment"]


def test_all_methods_are_chosen_but_those_left_out(little: Config) -> None:
    every = choose_methods(little)
    assert every[0] == "segment"
    assert {"popular", "auto", "dropoutnet_personal", "melu_segment", "ease", "paper_segment"} <= set(every)
    assert set(every) - set(choose_methods(little, without=["ease", "segment"])) == {"ease"}
    with pytest.raises(ConfigError, match="strategy: 'nonsense' is unknown"):
        choose_methods(little, ["nonsense"])


def of_a_stranger(standings: Standings) -> Standings:
    (run,) = standings.runs
    return replace(standings, runs=(replace(run, rows=(*run.rows, replace(run.rows[1], strategy="theirs"))),))


def test_a_stranger_s_result_is_added_to_the_same_users(standings: Standings) -> None:
    theirs = {"world": of_a_stranger(standings), "more": standings}
    both, notes = add_leaderboard({"world": standings}, theirs, "theirs.json")
    assert methods_by_run(both["world"]) == [METHODS, ["theirs"]]
    assert [run.origin for run in both["world"].runs] == ["", "theirs.json"]
    assert both["world"].runs[0] == standings.runs[0]
    assert methods_by_run(both["more"]) == [METHODS]
    precision = standings.runs[0].precision
    assert notes[0] == (
        f"world: 1 method(s) added from theirs.json; segment has {precision:.2f} % there and {precision:.2f} % in the "
        "first run here."
    )
    same, notes = add_leaderboard(both, theirs, "theirs.json")
    assert same == both
    assert notes == ["theirs.json: contains no additional methods; nothing was added."]


def test_other_users_are_refused(standings: Standings) -> None:
    others = replace(standings, split="0" * 64, seeds=(0,))
    with pytest.raises(ConfigError) as caught:
        add_leaderboard({"world": standings}, {"world": others}, "theirs.json")
    assert str(caught.value) == (
        f"theirs.json: world: the users differ (split 000000000000 with 1 seeds, in the leaderboard "
        f"{standings.split[:12]} with 2); use the same data and --seeds 2, or another file."
    )


def test_the_published_standings_stand_next_to_a_method_of_one_s_own(tmp_path: Path) -> None:
    published = read_published()
    theirs = published["movielens-100k"]
    (run,) = theirs.runs
    mine = replace(theirs, runs=(replace(run, rows=(run.rows[0], replace(run.rows[1], strategy="near"))),))
    both, (note,) = add_leaderboard({"movielens-100k": mine}, read_published("movielens-100k"), "the published ones")
    assert len(both["movielens-100k"].best_first) == len(run.rows) + 1
    assert f"{len(run.rows) - 1} method(s) added from the published ones; segment has {run.precision:.2f} %" in note
    write_leaderboard(both, tmp_path / "page.html")
    assert "<bdi>near</bdi>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert read_published("world") == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"is not a leaderboard \(the file: Invalid JSON"),
        ('{"a": {"split": 1}}', r"is not a leaderboard \(a.split: Input should be a valid string\)"),
    ],
)
def test_other_files_are_not_taken_for_a_leaderboard(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        read_leaderboard(path)


def test_the_sets_are_those_that_can_be_had(tmp_path: Path) -> None:
    (tmp_path / "deezer_europe.zip").touch()
    assert find_sets((), ()) == {"movielens-100k": None, "simulated": None}
    assert find_sets((), [tmp_path]) == {"movielens-100k": None, "simulated": None, "deezer-europe": tmp_path}
    assert find_sets(["deezer-europe", str(tmp_path)], [tmp_path]) == {"deezer-europe": tmp_path, str(tmp_path): None}
    with pytest.raises(ConfigError, match=r"movietweetings: .* give the folder that contains .* with --data"):
        find_sets(["movietweetings"], [tmp_path])
    with pytest.raises(ConfigError, match="nonsense: is not a dataset; choose one of movielens-100k"):
        find_sets(["nonsense"], ())


def test_the_page_has_every_row_escapes_names_and_permits_its_script(standings: Standings, tmp_path: Path) -> None:
    odd = replace(of_a_stranger(standings), k=7, precomputed=True)
    write_leaderboard({"world": standings, "<b>another</b>": odd}, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>another</b>" not in text
    for row in standings.runs[0].rows:
        assert text.count(f"<bdi>{row.strategy}</bdi>") == 2
        assert f"{row.precision:.1f} <small>{row.precision_ci[0]:.1f} to {row.precision_ci[1]:.1f}</small>" in text
    for words in (standings.split[:12], "Precomputed embeddings (the table", "(chosen in its run)"):
        assert words in text
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in text
