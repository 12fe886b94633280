"""The leaderboard: what is judged, what is kept, what is added, and what is shown."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import firstday as fd
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.leaderboard.board import (
    Leaderboard,
    Row,
    Standings,
    add_leaderboard,
    checksum_split,
    choose_methods,
    find_sets,
    find_source,
    judge_methods,
    open_set,
    read_leaderboard,
    read_published,
    tabulate_standings,
    write_leaderboard,
    write_multiple,
)
from firstday.recommend import registry
from firstday.recommend.registry import load_plugin
from tests.synthetic import brief_config

PLUGIN = """
import firstday as fd
from firstday.recommend.strategies.popularity import POPULAR

def recommend(query):
    return POPULAR.recommend(query)

COPYCAT = fd.StrategySpec(name="copycat", describe="What everyone uses.", recommend=recommend)
"""
N_SEEDS = 2


@pytest.fixture(scope="module")
def little() -> Config:
    return brief_config()


@pytest.fixture(scope="module")
def standings(world: Dataset, little: Config) -> Standings:
    methods = ["segment", "popular", "user_user"]
    return judge_methods(None, world, little, methods, name="world", n_seeds=N_SEEDS)


def row_of(standings: Standings, name: str) -> Row:
    return next(row for row in standings.rows if row.strategy == name)


def test_the_rows_are_what_evaluate_measures(world: Dataset, little: Config, standings: Standings) -> None:
    results = fd.evaluate(
        world, little, strategies=["segment", "popular", "user_user"], tune_once=True, n_seeds=N_SEEDS
    ).to_json()
    assert [row.strategy for row in standings.rows] == ["segment", "popular", "user_user"]
    for row, values in zip(standings.rows, results["results"], strict=True):
        assert row.precision == values["precision"]
        assert row.precision_ci == tuple(values["precision_ci"])
        assert row.precision_by_seed == values["precision_by_seed"]
        assert row.minus_segment == values.get("minus_segment")
    assert standings.seeds == tuple(results["seeds"])
    assert [row.kind for row in standings.rows] == ["firstday", "firstday", "baseline"]
    assert row_of(standings, "segment").minus_segment is None
    assert standings.compare_times(row_of(standings, "segment"))[0] == pytest.approx(1)
    user_user = row_of(standings, "user_user")
    assert user_user.options == results["options"]["user_user"]["by_seed"][0]["options"]
    assert user_user.options_from == "first seed"


def test_what_is_there_is_not_run_again(world: Dataset, little: Config, standings: Standings) -> None:
    stages: list[str] = []
    again = judge_methods(
        standings, world, little, ["segment", "user_user"], name="world", n_seeds=N_SEEDS,
        progress=lambda stage, *_: stages.append(stage),
    )  # fmt: skip
    assert again is standings
    assert stages == []
    more = judge_methods(
        standings, world, little, ["segment", "popular", "day_one"], name="world", n_seeds=N_SEEDS,
        progress=lambda stage, *_: stages.append(stage),
    )  # fmt: skip
    assert "user_user" not in stages
    assert [row.strategy for row in more.rows] == ["segment", "popular", "user_user", "day_one"]
    assert [row.run for row in more.rows] == [0, 0, 0, 1]
    assert more.runs[1].precision == more.runs[0].precision  # the same segment: only times differ
    assert more.rows[:3] == standings.rows


def test_other_versions_are_run_again_and_unused_runs_go(world: Dataset, little: Config, standings: Standings) -> None:
    old = standings.runs[0].model_copy(update={"versions": {"firstday": "0"}})
    aged = standings.model_copy(update={"runs": (old,)})
    part = judge_methods(aged, world, little, ["segment", "popular"], name="world", n_seeds=N_SEEDS)
    assert {row.strategy: row.run for row in part.rows} == {"user_user": 0, "segment": 1, "popular": 1}
    # the options that were chosen then are not searched for again
    full = judge_methods(part, world, little, ["user_user"], name="world", n_seeds=N_SEEDS)
    assert len(full.runs) == 2
    assert {row.run for row in full.rows} == {0, 1}
    assert "0" not in {run.versions["firstday"] for run in full.runs}


def test_the_split_is_the_users(world: Dataset, little: Config, standings: Standings) -> None:
    seeds = (little.seed, little.seed + 1)
    assert standings.split == checksum_split(world, little, seeds)
    others = {
        checksum_split(world, little, seeds[:1]),
        checksum_split(world, little.override("recommend.k", little.recommend.k + 1), seeds),
        checksum_split(world, little.override("sampled.warm", 0.5), seeds),
    }
    assert len({standings.split, *others}) == 4
    assert standings.split == checksum_split(world, little.override("cold_model.epochs", 2), seeds)
    with pytest.raises(ConfigError, match=r"world: the users are others .* in the leaderboard .* --seeds 2 and -k"):
        judge_methods(standings, world, little, ["segment"], name="world", n_seeds=1)


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
    registry._registries.cache_clear()


def test_a_method_from_outside_alone_is_run_and_again_when_it_changed(
    world: Dataset, little: Config, standings: Standings, plugin: Path
) -> None:
    methods = choose_methods(little, ["copycat", "near"])
    assert methods == ["segment", "copycat", "near"]
    more = judge_methods(standings, world, little, methods, name="world", n_seeds=N_SEEDS)
    row = row_of(more, "copycat")
    assert (row.kind, row.about, row.run) == ("plug-in", "What everyone uses.", 1)
    assert row.precision == row_of(more, "popular").precision
    assert row.minus_segment == row_of(more, "popular").minus_segment
    assert row.source == find_source("copycat") != ""
    assert row_of(more, "near").user_coverage > 0
    assert judge_methods(more, world, little, methods, name="world", n_seeds=N_SEEDS) is more
    plugin.write_text(PLUGIN.replace("What everyone uses.", "Another."))
    importlib.reload(importlib.import_module("copycat_plugin"))
    load_plugin("copycat_plugin")
    changed = judge_methods(more, world, little, methods, name="world", n_seeds=N_SEEDS)
    assert row_of(changed, "copycat").about == "Another."
    assert row_of(changed, "segment") == row_of(standings, "segment")


def test_all_methods_are_chosen_but_those_left_out(little: Config) -> None:
    every = choose_methods(little)
    assert every[0] == "segment"
    assert {"popular", "auto", "dropoutnet_personal", "melu_segment", "ease", "paper_segment"} <= set(every)
    assert set(every) - set(choose_methods(little, without=["ease", "segment"])) == {"ease"}
    with pytest.raises(ConfigError, match="strategy: 'nonsense' is unknown"):
        choose_methods(little, ["nonsense"])


def of_a_stranger(standings: Standings) -> Standings:
    row = row_of(standings, "popular").model_copy(update={"strategy": "theirs"})
    return standings.model_copy(update={"rows": (*standings.rows, row)})


def test_a_stranger_s_result_is_added_to_the_same_users(standings: Standings) -> None:
    board = Leaderboard(sets={"world": standings})
    theirs = Leaderboard(sets={"world": of_a_stranger(standings), "more": standings})
    both, notes = add_leaderboard(board, theirs, "theirs.json")
    assert [row.strategy for row in both.sets["world"].rows] == ["segment", "popular", "user_user", "theirs"]
    assert [run.origin for run in both.sets["world"].runs] == ["", "theirs.json"]
    assert both.sets["world"].rows[:3] == standings.rows
    assert len(both.sets["more"].rows) == 3
    precision = standings.runs[0].precision
    assert notes[0] == (
        f"world: theirs added of theirs.json; there segment has {precision:.2f} %, in the first run here "
        f"{precision:.2f} %."
    )
    same, notes = add_leaderboard(both, theirs, "theirs.json")
    assert same == both
    assert notes == ("theirs.json: has no method that the leaderboard lacks; nothing was added.",)


def test_other_users_are_refused(standings: Standings) -> None:
    others = of_a_stranger(standings).model_copy(update={"split": "0" * 64, "seeds": (0,)})
    with pytest.raises(ConfigError) as caught:
        add_leaderboard(Leaderboard(sets={"world": standings}), Leaderboard(sets={"world": others}), "theirs.json")
    assert str(caught.value) == (
        f"theirs.json: world: the users are others (split 000000000000 of 1 seeds, in the leaderboard "
        f"{standings.split[:12]} of 2); take the same data, --seeds 2 and -k {standings.k}, or write another file."
    )


def test_the_published_standings_stand_beside_a_method_of_one_s_own(tmp_path: Path) -> None:
    published = read_published()
    clocked = {"simulated", "online-retail", "movietweetings", "complete-journey"}
    assert set(published.sets) == {"movielens-100k", *clocked}
    theirs = published.sets["movielens-100k"]
    mine = theirs.model_copy(update={"rows": (theirs.rows[0], theirs.rows[1].model_copy(update={"strategy": "near"}))})
    board = Leaderboard(sets={"movielens-100k": mine})
    both, (note,) = add_leaderboard(board, read_published("movielens-100k"), "the published ones")
    assert list(both.sets) == ["movielens-100k"]
    assert len(both.sets["movielens-100k"].rows) == len(theirs.rows) + 1 == 25
    assert f"added of the published ones; there segment has {theirs.runs[0].precision:.2f} %" in note
    write_leaderboard(both, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<bdi>near</bdi>") >= 1
    assert read_published("world") == Leaderboard()


def test_the_simulated_set_still_has_the_published_users() -> None:
    published = read_published().sets["simulated"]
    assert checksum_split(*open_set("simulated", None), published.seeds) == published.split


def test_multiples_of_times_have_two_digits(standings: Standings) -> None:
    assert [write_multiple(value) for value in (1.0, 1.262, 46.86, 126.4, 0.0571, 0.0001, None)] == [
        "1", "1.3", "47", "130", "0.057", "<0.01", "\N{EN DASH}",
    ]  # fmt: skip
    unmeasured = standings.model_copy(
        update={"rows": (row_of(standings, "popular").model_copy(update={"ms_per_user": None}),)}
    )
    assert unmeasured.compare_times(unmeasured.rows[0])[1] is None
    assert tabulate_standings("world", unmeasured).rows[0][4] == ("\N{EN DASH}",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"is no leaderboard \(the file: invalid JSON"),
        ("{}", r"is no leaderboard \(it has no sets\)"),
        ('{"sets": {"a": {"split": 1}}}', r"is no leaderboard \(sets.a.split: input should be a valid string\)"),
    ],
)
def test_other_files_are_not_taken_for_a_leaderboard(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        read_leaderboard(path)


def test_a_row_without_its_run_is_refused(standings: Standings, tmp_path: Path) -> None:
    values = json.loads(Leaderboard(sets={"world": standings}).model_dump_json())
    values["sets"]["world"]["rows"][0]["run"] = 7
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="a row names a run that is not there"):
        read_leaderboard(path)


def test_the_sets_are_those_that_can_be_had(tmp_path: Path) -> None:
    assert find_sets((), ()) == {"movielens-100k": None, "simulated": None}
    (tmp_path / "deezer_europe.zip").touch()
    (tmp_path / "online_retail_2009_2010.parquet").touch()
    assert find_sets((), [tmp_path]) == {
        "movielens-100k": None,
        "simulated": None,
        "deezer-europe": tmp_path,
        "online-retail": tmp_path,
    }
    assert find_sets(["deezer-europe", str(tmp_path)], [tmp_path]) == {"deezer-europe": tmp_path, str(tmp_path): None}
    with pytest.raises(ConfigError, match=r"movietweetings: .* give the folder that holds .* as --data"):
        find_sets(["movietweetings"], [tmp_path])
    with pytest.raises(ConfigError, match="nonsense: is no set; choose of movielens-100k"):
        find_sets(["nonsense"], ())
    with pytest.raises(ConfigError, match=r"--data: .* does not exist"):
        find_sets((), [tmp_path / "nowhere"])


@pytest.fixture
def page(standings: Standings, tmp_path: Path) -> Path:
    path = tmp_path / "leaderboard.html"
    odd = of_a_stranger(standings).model_copy(update={"k": 7, "precomputed": True})
    write_leaderboard(Leaderboard(sets={"world": standings, "<b>another</b>": odd}), path)
    return path


def test_the_page_has_every_row_and_escapes_names(page: Path, standings: Standings) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<b>another</b>" not in text
    for row in standings.rows:
        assert text.count(f"<bdi>{row.strategy}</bdi>") == 2
        assert f"{row.precision:.1f} <small>{row.precision_ci[0]:.1f} to {row.precision_ci[1]:.1f}</small>" in text
    assert standings.split[:12] in text
    assert text.count("Precomputed embeddings (the table") == 1
    assert "(chosen in its run)" in text
