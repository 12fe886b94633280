"""What the caller meets in a terminal or a notebook is short, and says what is in it."""

from __future__ import annotations

from types import ModuleType
from xml.etree import ElementTree

import polars as pl
import pytest

import firstday as fd
from firstday.config import as_in_paper
from firstday.data.dataset import Dataset
from firstday.display import write_table
from firstday.evaluation.results import Results
from firstday.features.signal_batch import SignalBatch
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy
from firstday.training.refresh_model import RefreshResult
from tests.evaluation.tiny import evaluate_tiny
from tests.obvious import make_data
from tests.synthetic import brief_config
from tests.tiny import make_recommender

MOST = 2_000
MANY = [("stream", "item", f"item-{number}") for number in range(1_000)]


@pytest.fixture(scope="module")
def results() -> Results:
    return evaluate_tiny()


@pytest.fixture(scope="module")
def examples(
    world: Dataset, recommender: Recommender, world_days: SignalBatch, results: Results
) -> dict[str, list[object]]:
    """One value and more of every public class that has values."""
    users = {f"user-{number}": {"interactions": MANY} for number in range(300)}
    query = Query(recommender.model, world_days, 50)
    spec = find_strategy("segment")
    cold_model = fd.ColdModelSpec(
        name="mine", title="Mine", describe="mean " * 500, fit=lambda *_: None, value=type(results)
    )
    variants = (fd.Variant("a", "popular", 10.0), fd.Variant("b", "segment", 10.0))
    return {
        "Answer": [spec.recommend(query)],
        "Check": [fd.check({"interactions": pl.DataFrame({"user": [1]})})],
        "ColdModelSpec": [cold_model],
        "Config": [fd.Config(), as_in_paper(fd.Config()), *vars(fd.Config()).values()],
        "Dataset": [world],
        "EvaluationSplit": [fd.EvaluationSplit(world, brief_config())],
        "Experiment": [fd.Experiment("test", variants)],
        "Explanation": [
            recommender.explain({"interactions": MANY}, recommender.recommend({"interactions": MANY}, k=100))
        ],
        "LearningData": [make_data()[0]],
        "OptionSearch": [find_strategy("ease").search],
        "UseData": [fd.UseData(query.liked, query.liked)],
        "Query": [query],
        "Recommendation": [recommender.recommend({"interactions": MANY}, k=100)],
        "Recommendations": [recommender.recommend_users(users)],
        "Recommender": [recommender, make_recommender()],
        "RefreshResult": [RefreshResult(True, "first", "There was no model. " * 200, "model", "a1", None, 0.98)],
        "Results": [results],
        "Rules": [fd.Rules(filter="year > 2000", deny=["y"] * 5_000)],
        "Signals": [fd.Signals(interactions=MANY, shown=["x" * 5_000] * 500, country="y" * 5_000)],
        "StrategySpec": [spec, find_strategy("segment")],
        "Variant": list(variants),
    }


def test_every_public_object_is_told_in_short(examples: dict[str, list[object]]) -> None:
    for name in fd.__all__:
        value = getattr(fd, name)
        if isinstance(value, type) and not issubclass(value, Exception):
            assert name in examples, f"give an example of {name}"
        assert len(repr(value)) < MOST
    for name, values in examples.items():
        for value in values:
            assert len(repr(value)) < MOST, name
            if not isinstance(value, ModuleType) and hasattr(value, "_repr_html_"):
                ElementTree.fromstring(f"<div>{value._repr_html_()}</div>")


def test_html_of_an_answer_has_its_items_and_escapes_what_the_caller_gave() -> None:
    tiny = make_recommender()
    evil = "<script>alert('x')</script>"
    answer = tiny.recommend(fd.Signals(age=20, country=evil, user_id=evil), k=4)
    html = answer._repr_html_()
    assert "<script" not in html
    assert "&lt;script" in html
    assert html.count("<tr") == 1 + 4
    assert all(f"<td>{item.item_id}</td>" in html and f"<td>{item.title}</td>" in html for item in answer)
    assert "<td>&lt;b&gt;</td>" in write_table("", ("a",), [("<b>",)])
