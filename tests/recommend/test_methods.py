"""Methods of one's own: what is known by which name, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel, Field, ValidationError

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.errors import ConfigError
from firstday.evaluation.run import evaluate
from firstday.features.signals import Signals
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import (
    _registry,
    find_strategy,
    is_plugin,
    load_plugin,
    register,
    strategy_names,
)
from firstday.recommend.spec import ColdModelSpec, StrategySpec
from firstday.recommend.support import learners_of, strategies_of, with_methods, with_methods_of
from firstday.serve.schemas import ListOptions


def recommend_last(query: Query) -> Answer:
    """Rank the items backwards, for users of whom something is known."""
    scores = np.arange(query.model.n_items, dtype=np.float32)
    return query.rank_scores(lambda rows: np.tile(scores, (len(rows), 1)), "last", query.has_features)


@dataclass(frozen=True)
class Learned:
    """What a method of the tests learns."""

    weights: np.ndarray


class Settings(BaseModel):
    share: float = Field(default=0.5, le=1)


LAST = StrategySpec(name="last", describe="The last items first.", recommend=recommend_last, settings=Settings)


pytestmark = pytest.mark.usefixtures("fresh_registry")


def test_a_registered_strategy_answers_as_ours_do(tiny: Recommender) -> None:
    register(LAST)
    assert strategy_names()[-1] == "last"
    assert "last" in strategies_of(tiny.model)
    user = Signals(interactions=[("stream", "item", "i6")])
    answer = tiny.recommend(user, 3, "last")
    assert [item.item_id for item in answer.items] == ["i5", "i4", "i3"]  # without i6, which was used
    assert answer.route == "last"
    assert tiny.recommend(Signals(), 3, "last").route == "popular"  # of whom nothing is known


def test_a_package_adds_a_method_by_one_entry_point(
    tiny: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers_method.py").write_text("from tests.recommend.test_methods import LAST\n")
    package = tmp_path / "stranger-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[firstday.strategies]\nlast = strangers_method:LAST\n")
    built_in = strategy_names()
    monkeypatch.syspath_prepend(str(tmp_path))
    _registry.cache_clear()
    assert strategy_names() == (*built_in, "last")
    assert [name for name in strategy_names() if is_plugin(name)] == ["last"]
    assert "strangers_method" not in sys.modules  # before its first use
    assert tiny.recommend(Signals(age=40), 3, "last").route == "last"


def test_names_of_methods_are_known_before_they_are_imported() -> None:
    code = (
        "import sys; from firstday.recommend.registry import strategy_names; print(*strategy_names()); "
        "print(*(name for name in sys.modules if name.startswith(('firstday.methods', 'firstday.lab', 'torch'))))"
    )
    names, imported = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")[:2]
    assert tuple(names.split()) == strategy_names()
    assert imported == ""


def test_another_of_the_same_name_takes_its_place(tiny: Recommender) -> None:
    register(LAST)
    register(StrategySpec(name="last", describe="Popular ones.", recommend=find_strategy("popular").recommend))
    assert tiny.recommend(Signals(age=40), 3, "last").route == "popular"


def test_settings_are_read_from_plugins_and_checked() -> None:
    assert LAST.settings_in(Config()).share == 0.5
    assert LAST.settings_in(Config(plugins={"last": {"share": 0.25}})).share == 0.25
    with pytest.raises(ConfigError, match=r"^plugins\.last: share is 2: input should be less than or equal to 1\.$"):
        LAST.settings_in(Config(plugins={"last": {"share": 2}}))
    with pytest.raises(ConfigError, match=r"^plugins\.popular: k is not a setting"):
        find_strategy("popular").settings_in(Config(plugins={"popular": {"k": 2}}))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("popular", "the name popular is taken; choose another"),
        ("paper_segment", "the name paper_segment is taken"),
        ("mine_segment", "the name mine_segment is taken"),
        ("my strategy", "'my strategy' is not a valid name; use letters, digits and underscores"),
    ],
)
def test_names_that_cannot_be_taken(name: str, sentence: str) -> None:
    register(ColdModelSpec(name="mine", title="", describe="", fit=lambda *_: None, value=Learned))
    with pytest.raises(ConfigError, match=sentence):
        register(StrategySpec(name=name, describe="", recommend=recommend_last))


def test_a_cold_model_does_not_hide_a_strategy() -> None:
    register(StrategySpec(name="near_personal", describe="", recommend=recommend_last))
    with pytest.raises(ConfigError, match="the name near is taken"):
        register(ColdModelSpec(name="near", title="", describe="", fit=lambda *_: None, value=Learned))


def test_evaluate_registers_methods_for_the_call_alone(world: Dataset) -> None:
    register(StrategySpec(name="other", describe="Theirs.", recommend=recommend_last))
    before = dict(_registry())
    with pytest.raises(ConfigError, match=r"^against: "):  # after the methods are registered
        evaluate(
            world,
            strategies=[LAST, StrategySpec(name="other", describe="", recommend=recommend_last)],
            against=["nobody"],
        )
    assert dict(_registry()) == before


def test_a_service_knows_strategies_that_are_registered_after_its_import() -> None:
    with pytest.raises(ValidationError):
        ListOptions(strategy="last")
    register(LAST)
    assert ListOptions(strategy="last").strategy == "last"
    names = ListOptions.model_json_schema()["$defs"]["StrategyName"]["enum"]
    assert names == list(strategy_names())


def test_what_is_no_method_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^register: got a str; give a StrategySpec or a ColdModelSpec"):
        register("last")  # type: ignore[arg-type]


def test_a_plugin_is_a_module_with_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty_plugin.py").write_text("VALUE = 1\n")
    (tmp_path / "broken_plugin.py").write_text("import nothing_of_the_kind\n")
    (tmp_path / "good_plugin.py").write_text(
        "from firstday.methods.ease import EASE\nfrom tests.recommend.test_methods import LAST\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_plugin("good_plugin") == ("last",)
    assert find_strategy("last").describe == LAST.describe
    with pytest.raises(ConfigError, match=r"^plugin: empty_plugin has no StrategySpec or ColdModelSpec"):
        load_plugin("empty_plugin")
    with pytest.raises(ConfigError, match=r"^plugin: broken_plugin cannot be imported \(ModuleNotFound"):
        load_plugin("broken_plugin")
    with pytest.raises(ConfigError, match=r"^plugin: not_there cannot be imported"):
        load_plugin("not_there")


def test_what_a_strategy_needs_is_told_by_its_setting(tiny: Recommender) -> None:
    learning = StrategySpec(
        name="learning", describe="Learns.", recommend=recommend_last, fit=lambda *_: None, value=Learned
    )
    register(learning)
    assert with_methods_of(Config(), ["popular", "learning"]).methods == ("learning",)
    with pytest.raises(ConfigError, match=r"^strategy: learning needs a model trained with methods = \['learning'\]"):
        tiny.recommend(Signals(age=40), 3, "learning")


@pytest.mark.parametrize("name", ["last", "lats"])
def test_a_method_that_cannot_be_trained_is_told(name: str) -> None:
    register(LAST)
    with pytest.raises(ConfigError, match=rf"^methods: '{name}' is unknown.*; choose one of .*ease"):
        learners_of(Config().override("methods", (name,)))


def test_method_named_twice_is_trained_once() -> None:
    named = Config().override("methods", ("learning",))
    assert with_methods(named, ["learning", "ease", "ease"]).methods == ("learning", "ease")
    assert with_methods(named, []) is named
