"""A wrong call of the public interface says what to pass."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import firstday
from tests.tiny import make_recommender

fd: Any = firstday  # calls that type checkers refuse
TINY: Any = make_recommender()
HERE = Path(__file__).parent
PLAYS = {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"]}
TABLES = {"interactions": pl.DataFrame(PLAYS)}

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    # what is given where a dataset, a model or a configuration is wanted
    "train of a name": (lambda: fd.train("ml"), "fd.load"),
    "train of two people": (lambda: fd.train(_two()), "too few|users"),
    "evaluate of a name": (lambda: fd.evaluate("ml"), "fd.load"),
    "evaluate with an unknown strategy": (lambda: fd.evaluate(_two(), strategies=["segmnt"]), "mean 'segment'"),
    "evaluate with k 0": (lambda: fd.evaluate(_two(), k=0), "at least 1"),
    "load of no tables": (lambda: fd.load({}), "interactions"),
    "load of a table that is text": (lambda: fd.load({"interactions": "plays.csv"}), "or Spark frame"),
    "load with too many bad rows": (lambda: fd.load(TABLES, drop_bad_rows=3.0), "from 0 to 1"),
    "open_model of another folder": (lambda: fd.open_model(HERE), "manifest|no model"),
    "load_preset of no name": (lambda: fd.config.load_preset("x"), "load_preset: 'x' is not a dataset"),
    # one user
    "recommend to a number": (lambda: TINY.recommend(25), "fd.Signals"),
    # many users
    "recommend_users to signals of one": (lambda: TINY.recommend_users({"age": 25}), "users\\['age'\\]"),
    "recommend_batch by a path": (lambda: fd.recommend_batch("model", "newcomers"), "fd.open_model"),
    # values
    "Signals of friends that are one": (lambda: fd.Signals(friends="u7"), "friends: Input should be a list"),
    "register of a function": (lambda: fd.register(len), "StrategySpec"),
    "Recommender of a path": (lambda: fd.Recommender("model"), "fd.open_model"),
}


def _two() -> Any:
    return fd.load(TABLES)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_says_what_to_pass(wrong: str) -> None:
    call, said = WRONG[wrong]
    with pytest.raises(fd.FirstdayError, match=said) as caught:
        call()
    assert len(str(caught.value)) < 1_000, "a sentence"


def test_public_names_stay_what_they_are() -> None:
    assert pickle.loads(pickle.dumps(fd.train)) is fd.train
    assert {"Config", "config", "train"} <= set(dir(fd))
    assert all(getattr(fd, name) is not None for name in fd.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        fd.trian  # noqa: B018
