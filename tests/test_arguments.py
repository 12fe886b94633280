"""A wrong call of the public interface says what to pass; no error of a library, and none of Python, comes through."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import firstday
from firstday.arguments import checked
from firstday.recommend.registry import find_strategy
from tests.tiny import make_recommender

fd: Any = firstday  # calls that type checkers refuse
TINY: Any = make_recommender()
HERE = Path(__file__).parent
PLAYS = {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"]}
TABLES = {"interactions": pl.DataFrame(PLAYS)}

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    # what is given where a dataset, a model or a configuration is wanted
    "train of a name": (lambda: fd.train("ml"), "fd.load"),
    "train of a folder": (lambda: fd.train("tables of mine"), r"fd\.load\('tables of mine'\)"),
    "train of nothing": (lambda: fd.train(), "dataset is missing"),
    "train of a frame": (lambda: fd.train(pl.DataFrame(PLAYS)), "fd.load"),
    "train with a dictionary": (
        lambda: fd.train(_two(), {"seed": 1}),
        "fd.Config",
    ),
    "train with a misspelt word": (lambda: fd.train(None, confg=None), "did you mean 'config'"),
    "train with progress as text": (
        lambda: fd.train(_two(), progress="yes"),
        "True, None",
    ),
    "train of two people": (lambda: fd.train(_two()), "too few|users"),
    "evaluate of a name": (lambda: fd.evaluate("ml"), "fd.load"),
    "evaluate of nothing": (lambda: fd.evaluate(), "dataset is missing"),
    "evaluate with one name as text": (lambda: fd.evaluate(_two(), strategies="segment"), "a list of names"),
    "evaluate with an unknown strategy": (lambda: fd.evaluate(_two(), strategies=["segmnt"]), "segmnt"),
    "evaluate with a misspelt baseline": (
        lambda: fd.evaluate(_two(), strategies=["item_itm"]),
        "mean 'item_item'.*ease",
    ),
    "evaluate with text for seeds": (lambda: fd.evaluate(_two(), n_seeds="3"), "whole number"),
    "evaluate with no seeds": (lambda: fd.evaluate(_two(), n_seeds=0), "at least 1"),
    "evaluate with k 0": (lambda: fd.evaluate(_two(), k=0), "at least 1"),
    "evaluate dividing by a wish": (lambda: fd.evaluate(_two(), divide_by="max"), "divide_by"),
    "load of nothing": (lambda: fd.load(), "folder of tables"),
    "load of None": (lambda: fd.load(None), "folder of tables"),
    "load of a number": (lambda: fd.load(7), "folder of tables"),
    "load of a list of frames": (lambda: fd.load([pl.DataFrame(PLAYS)]), "names of their tables"),
    "load of a frame alone": (lambda: fd.load(pd.DataFrame(PLAYS)), "names of their tables"),
    "load of a place that is not there": (lambda: fd.load("nowhere"), "does not exist"),
    "load of a file": (lambda: fd.load(__file__), "is a file"),
    "load of no tables": (lambda: fd.load({}), "interactions"),
    "load of a table that is text": (lambda: fd.load({"interactions": "plays.csv"}), "a frame of"),
    "load of a table of another name": (
        lambda: fd.load({"interaction": TABLES["interactions"]}),
        "did you mean interactions",
    ),
    "load of frames without interactions": (
        lambda: fd.load({"interaction": TABLES["interactions"]}),
        r"the table is missing; add \{'interactions': frame\}\.",
    ),
    "load with too many bad rows": (
        lambda: fd.load(TABLES, drop_bad_rows=3.0),
        "from 0 to 1",
    ),
    "load with a share as text": (lambda: fd.load("tables", drop_bad_rows="1%"), "a share from 0 to 1"),
    "load by another engine": (lambda: fd.load("tables", engine="dask"), "'local', 'spark'"),
    "load by order": (lambda: fd.load("tables", "path"), "by name"),
    "check of None": (lambda: fd.check(None), "folder of tables"),
    "check with a dictionary": (lambda: fd.check("tables", config={"seed": 3}), "fd.Config"),
    "open_model of a place that is not there": (lambda: fd.open_model("nowhere"), "nowhere"),
    "open_model of another folder": (lambda: fd.open_model(HERE), "manifest|no model"),
    "open_model of a number": (lambda: fd.open_model(3), "a path"),
    "open_model of a model": (lambda: fd.open_model(TINY), "a path"),
    "load_config of None": (lambda: fd.load_config(None), "a path"),
    "load_config of a place that is not there": (lambda: fd.load_config("nowhere.toml"), "cannot be read"),
    "load_preset of a number": (lambda: fd.load_preset(3), "name"),
    "load_preset of half a name": (lambda: fd.load_preset("movielens"), "did you mean 'movielens-100k'"),
    "load_preset of no name": (lambda: fd.load_preset("x"), "choose of deezer-europe, "),
    # one user
    "recommend to a number": (lambda: TINY.recommend(25), "fd.Signals"),
    "recommend to nobody": (lambda: TINY.recommend(), "fd.Signals"),
    "recommend to text": (lambda: TINY.recommend('{"age": 25}'), "fd.Signals"),
    "recommend to a list": (lambda: TINY.recommend([{"age": 25}]), "fd.Signals"),
    "recommend to somebody of age x": (lambda: TINY.recommend({"age": "x"}), "whole years"),
    "recommend with interactions of two": (
        lambda: TINY.recommend({"interactions": [("stream", "x")]}),
        "signal, entity, entity_id",
    ),
    "recommend with one interaction alone": (lambda: TINY.recommend({"interactions": "stream"}), "interactions"),
    "recommend with a friend alone": (lambda: TINY.recommend({"friends": "u1"}), "friends"),
    "recommend with a column that is a list": (lambda: TINY.recommend({"country": ["FR"]}), "country"),
    "recommend with k 0": (lambda: TINY.recommend({}, k=0), "whole number from 1"),
    "recommend with k as text": (lambda: TINY.recommend({}, k="10"), "whole number from 1"),
    "recommend with k as a fraction": (lambda: TINY.recommend({}, k=2.5), "whole number from 1"),
    "recommend by an unknown strategy": (lambda: TINY.recommend({}, strategy="segmnt"), "did you mean 'segment'"),
    "recommend by a number": (lambda: TINY.recommend({}, strategy=3), "name of a strategy"),
    "recommend with a misspelt word": (lambda: TINY.recommend({}, keepused=True), "did you mean 'keep_used'"),
    "recommend what is not kept as text": (lambda: TINY.recommend({}, keep_used="no"), "keep_used"),
    # many users
    "recommend_users to one": (lambda: TINY.recommend_users(fd.Signals(age=25)), "u1"),
    "recommend_users to signals of one": (lambda: TINY.recommend_users({"age": 25}), "users\\['age'\\]"),
    "recommend_users to numbers": (lambda: TINY.recommend_users([1, 2]), "u1"),
    "recommend_users to text": (lambda: TINY.recommend_users("u1"), "u1"),
    "recommend_users to a frame": (lambda: TINY.recommend_users(pl.DataFrame({"user_id": [1]})), "recommend_batch"),
    "to_frame of another library": (lambda: TINY.recommend({}).to_frame("excel"), "pandas"),
    "recommend_batch without tables": (lambda: fd.recommend_batch(TINY), "tables is missing"),
    "recommend_batch by a path": (lambda: fd.recommend_batch("model", "newcomers"), "fd.open_model"),
    "recommend_batch of None": (lambda: fd.recommend_batch(TINY, None), "folder of tables"),
    "recommend_batch of no frames": (lambda: fd.recommend_batch(TINY, {}), "tables"),
    "save to a number": (lambda: TINY.save(3), "a path"),
    # values
    "Signals of a dictionary": (lambda: fd.Signals({"age": 25}), "Signals\\(\\*\\*"),
    "Signals of text for age": (lambda: fd.Signals(age="25"), "whole years"),
    "Signals of friends that are one": (lambda: fd.Signals(friends="u7"), "a list of user ids"),
    "Config of a misspelt section": (lambda: fd.Config(segmnts=1), "did you mean segments"),
    "Config of a number for a section": (lambda: fd.Config(segments=1), "segments"),
    "Config of an unknown setting": (lambda: fd.Config(recommend={"kk": 3}), "did you mean recommend.k"),
    "Config by order": (lambda: fd.Config({"seed": 3}), "by name"),
    "Config changed in place": (lambda: setattr(fd.Config(), "seed", 3), "override"),
    "override of nothing": (lambda: fd.Config().override(3), "name of a setting|setting's name"),
    "override of a misspelt name": (lambda: fd.Config().override("recomend.k", 3), "did you mean recommend.k"),
    "override by a wrong value": (lambda: fd.Config().override("recommend.k", "many"), "recommend.k"),
    "a section of a wrong value": (lambda: fd.RecommendConfig(k=0), "greater"),
    "Variant without a weight": (lambda: fd.Variant("a", "segment"), "weight is missing"),
    "Variant of text for a weight": (lambda: fd.Variant("a", "segment", "50"), "weight is '50'"),
    "Experiment of one variant": (lambda: fd.Experiment("a", (fd.Variant("a", "segment", 50.0),)), "at least two"),
    "Experiment of text": (lambda: fd.Experiment("a", "b"), "variants"),
    "register of a function": (lambda: fd.register(len), "StrategySpec"),
    "StrategySpec without a name": (lambda: fd.StrategySpec(recommend=len), "name is missing"),
    "StrategySpec of order": (lambda: fd.StrategySpec("mine"), "is missing|by name"),
    "StrategySpec of a name that is none": (lambda: fd.StrategySpec(name=3, describe="", recommend=len), "name"),
    "Recommender of a path": (lambda: fd.Recommender("model"), "fd.open_model|TrainedModel"),
    "Query of a path": (lambda: fd.Query("model", None, 5), "model"),
    "Answer of nothing": (lambda: fd.Answer(), "items is missing"),
    "Answer of lists": (lambda: fd.Answer([[1]], [[1.0]], ["segment"]), "ndarray"),
    "Dataset of a name": (lambda: fd.Dataset("movielens-100k"), "users is missing"),
    "unit_rows of text": (lambda: fd.unit_rows("abc"), "array of numbers"),
    "unit_rows of one vector": (lambda: fd.unit_rows(np.ones(3)), r"shape \(3,\); give an array of shape \(n, d\)"),
    "rank_scores of text": (lambda: fd.rank_scores("scores", None, 5), "score"),
    "ModelPlace of a number": (lambda: fd.ModelPlace(3), "place"),
}


def _two() -> Any:
    return fd.load(TABLES)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_says_what_to_pass(wrong: str) -> None:
    call, said = WRONG[wrong]
    with pytest.raises(fd.FirstdayError, match=said) as caught:
        call()
    assert len(str(caught.value)) < 1_000, "a sentence"


def test_there_are_wrong_calls_of_every_public_name() -> None:
    calls = " ".join(repr(call.__code__.co_names) for call, _ in WRONG.values())
    errors = {name for name in fd.__all__ if name.endswith("Error")}
    sections = {name for name in fd.__all__ if name.endswith("Config")}
    results = {
        "Recommendation",
        "Recommendations",
        "Check",
        "ColdModelSpec",
        "LearningData",
        "OptionSearch",
        "RefreshResult",
        "Results",
        "UseData",
    }  # made for the caller
    untried = {name for name in fd.__all__ if not name.startswith("__") and f"'{name}'" not in calls}
    assert untried <= errors | sections | results | {"rollback", "refresh"}


@checked
def _example(name: str, sizes: Sequence[int], *, kind: Literal["a", "b"] | None = None, share: float = 1.0) -> str:
    return f"{name} {list(sizes)} {kind} {share}"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("x", [1, 2]), {}),
        (("x", (np.int64(3),)), {"kind": "b", "share": 1}),
        ((), {"name": "x", "sizes": range(3), "share": np.float32(0.5)}),
    ],
)
def test_a_right_call_goes_through_unchanged(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    unchecked: Any = vars(_example)["__wrapped__"]
    assert _example(*arguments, **named) == unchecked(*arguments, **named)


@pytest.mark.parametrize(
    ("arguments", "named", "sentence"),
    [
        ((), {"sizes": []}, "_example: name is missing; give name=...."),
        (("x", [1], "a"), {}, "_example: there are too many arguments, or one is given twice; it takes name, sizes in "
         "this order, and the others by name."),
        (("x", [1]), {"name": "y"}, "_example: there are too many arguments, or one is given twice; it takes name, "
         "sizes in this order, and the others by name."),
        (("x", [1]), {"kin": "a"}, "_example: there is no 'kin'; did you mean 'kind'?"),
        (("x", [1]), {"zzz": "a"}, "_example: there is no 'zzz'; choose of name, sizes, kind, share."),
        ((3, [1]), {}, "_example: name is 3; give a value of the type str."),
        (("x", [1, True]), {}, "_example: sizes is [1, True]; give a value of the type Sequence."),
        (("x", [1]), {"kind": "c"}, "_example: kind is 'c'; give a value of the type Literal or None."),
        (("x", [1]), {"share": None}, "_example: share is None; give a value of the type float."),
    ],
)  # fmt: skip
def test_each_misfit_has_its_sentence(arguments: tuple[Any, ...], named: dict[str, Any], sentence: str) -> None:
    with pytest.raises(fd.ArgumentError) as caught:
        _example(*arguments, **named)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, TypeError)


def test_public_names_stay_what_they_are() -> None:
    assert pickle.loads(pickle.dumps(fd.train)) is fd.train
    assert pickle.loads(pickle.dumps(fd.Variant("a", "segment", 5.0))) == fd.Variant("a", "segment", 5.0)
    assert fd.load.__doc__
    assert isinstance(find_strategy("segment"), fd.StrategySpec)
