"""Methods that are not ours: their mistakes are told in one sentence, by five users whose answer is plain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from firstday.errors import ConfigError, FirstdayError
from firstday.progress import no_progress
from firstday.ranking import top_k
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import register
from firstday.recommend.spec import ColdModelSpec, OptionSearch, StrategySpec
from firstday.sparse import SparseRows
from firstday.training.learn import learn_methods
from firstday.training.validation import ObjectiveHistory, Validation
from tests.obvious import make_data
from tests.tiny import make_recommender, with_learned

K = 4


pytestmark = pytest.mark.usefixtures("fresh_registry")


def listing(items: Any, scores: Any = None) -> Callable[[Query], Answer]:
    """Return a strategy that gives everyone one list."""
    items = np.asarray(items)
    of_items = np.ones(len(items), np.float32) if scores is None else np.asarray(scores)

    def recommend(query: Query) -> Answer:
        everyone = np.ones(query.n_users, dtype=bool)
        return Answer.from_lists(
            everyone, "bro", np.tile(items, (query.n_users, 1)), np.tile(of_items, (query.n_users, 1))
        )

    return recommend


def divide(_query: Query) -> Answer:
    """Fail."""
    raise ZeroDivisionError("division by zero")


EACH_ONCE = "list items from 0 to 5 without those of query.excluded, each once, then -1."
WRONG: dict[str, tuple[Callable[[Query], Any], str]] = {
    "one item again and again": (listing([2, 2, 2, 2]), f"the list in row 0 has item 2 at rank 2; {EACH_ONCE}"),
    "too many": (
        listing([5, 4, 3, 2, 1, 0]),
        "items are int64 of shape (2, 6); return an array of integers of shape (2, 4).",
    ),
    "used": (
        listing([2, 1, 3, 4]),
        f"the list in row 1 has item 1 at rank 2; {EACH_ONCE}",
    ),
    "a gap": (listing([-1, 2, 3, 4]), f"the list in row 0 has item -1 at rank 1; {EACH_ONCE}"),
    "no item": (listing([2, 3, 4, 6]), f"the list in row 0 has item 6 at rank 4; {EACH_ONCE}"),
    "scores of NaN": (
        listing([2, 3, 4, 5], [1, np.nan, 0, 0]),
        "scores contain NaN (2 of 8 values, first at [0, 1]); return numbers.",
    ),
    "nothing": (lambda _: None, "recommend returned a NoneType; return a firstday.Answer."),
    "routes of another length": (
        lambda query: replace(listing([2, 3, 4, 5])(query), routes=np.array(["bro"])),
        "routes have shape (1,); return shape (2,).",
    ),
    "propensities of users": (
        lambda query: replace(listing([2, 3, 4, 5])(query), propensities=np.ones(2)),
        "propensities are float64 of shape (2,); return an array of numbers of shape (2, 4).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_lists_that_cannot_be_shown_are_refused(wrong: str, tiny: Recommender) -> None:
    recommend, sentence = WRONG[wrong]
    register(StrategySpec(name="bro", describe="Wrong.", recommend=recommend))
    users = [{}, {"interactions": [("stream", "item", "i2")]}]
    with pytest.raises(FirstdayError) as caught:
        tiny.recommend_users(users, K, "bro")
    assert str(caught.value) == f"strategy 'bro': {sentence}"


def test_scores_of_nan_that_a_method_ranks_by_itself_are_told(tiny: Recommender) -> None:
    """Nothing is greater than NaN: without a check, the list would be empty, and a fallback's shown in its place."""
    scores = np.array([[1, 2, 3, 4, 5, 6], [1, 2, np.nan, 4, 5, 6]], dtype=np.float32)

    def recommend(query: Query) -> Answer:
        items, values = top_k(scores[-query.n_users :], query.k)
        return Answer.from_lists(np.ones(query.n_users, dtype=bool), "bro", items, values)

    register(StrategySpec(name="bro", describe="Wrong.", recommend=recommend))
    with pytest.raises(FirstdayError) as caught:
        tiny.recommend_users([{}, {}], K, "bro")
    sentence = "strategy 'bro': recommend raised ValueError: scores contain NaN for 1 of 2 rows (test_plugin_checks.py,"
    assert str(caught.value).startswith(sentence)


def test_lists_that_can_be_shown_go_through(tiny: Recommender) -> None:
    """Short lists are filled up; what is kept may be listed; nobody looks at the list of a user without a route."""
    register(StrategySpec(name="bro", describe="Right.", recommend=listing([4, 1, -1, -1])))
    used = {"interactions": [("stream", "item", "i2")]}
    assert [item.item_id for item in tiny.recommend({}, K, "bro").items] == ["i5", "i2", "i1", "i3"]
    assert [item.item_id for item in tiny.recommend(used, 2, "popular", keep_used=True).items] == ["i1", "i3"]
    register(
        StrategySpec(
            name="bro",
            describe="Knows nobody.",
            recommend=lambda query: replace(listing([2] * K)(query), routes=np.full(query.n_users, "", dtype=object)),
        )
    )
    assert tiny.recommend({}, K, "bro").route == "popular"


def test_a_fallback_is_certain_of_its_items(tiny: Recommender) -> None:
    def recommend(query: Query) -> Answer:
        nothing = np.zeros((query.n_users, query.k), dtype=np.float32)
        routes = np.full(query.n_users, "", dtype=object)
        return Answer(np.full(nothing.shape, -1, dtype=np.int32), nothing, routes, propensities=nothing)

    register(StrategySpec(name="bro", describe="Draws for nobody.", recommend=recommend))
    assert [item.propensity for item in tiny.recommend({}, K, "bro").items] == [1.0] * K


def test_an_error_is_told_with_its_line_and_its_cause(tiny: Recommender) -> None:
    register(StrategySpec(name="bro", describe="Fails.", recommend=divide))
    line = divide.__code__.co_firstlineno + 2
    with pytest.raises(FirstdayError) as caught:
        tiny.recommend({}, K, "bro")
    assert str(caught.value) == (
        "strategy 'bro': recommend raised ZeroDivisionError: division by zero "
        f"(test_plugin_checks.py, line {line}); fix it there."
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    register(StrategySpec(name="bro", describe="Fails.", recommend=len))  # type: ignore[arg-type]
    with pytest.raises(FirstdayError, match=r"^strategy 'bro': recommend raised TypeError: .*; fix it there\.$"):
        tiny.recommend({}, K, "bro")


@dataclass(frozen=True)
class Vectors:
    """A cold model that predicts one vector, whoever asks."""

    vector: np.ndarray

    def predict(self, features: np.ndarray, liked: SparseRows, item_vectors: np.ndarray) -> np.ndarray:
        """Return the vector for each user."""
        return np.tile(self.vector, (len(features), 1))


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([np.nan, 1], "contain NaN (1 of 2 values, first at [0, 0]); return numbers."),
        ([1.0, 0, 0], "are float64 of shape (1, 3); return an array of numbers of shape (1, 2)."),
    ],
)
def test_vectors_that_are_none_are_refused(vector: list[float], fault: str, tiny: Recommender) -> None:
    register(ColdModelSpec(name="bro", title="Bro", describe="Wrong.", fit=lambda *_: None, value=Vectors))
    model = with_learned(tiny.model, bro=Vectors(np.array(vector)))
    with pytest.raises(FirstdayError) as caught:
        Recommender(model).recommend({"age": 20}, K, "bro_personal")
    assert str(caught.value) == f"cold model 'bro': vectors {fault}"


@dataclass(frozen=True)
class Scores:
    """Gives everyone the same scores."""

    scores: np.ndarray

    def score(self, liked: SparseRows) -> np.ndarray:
        """Return the scores, of which the first is divided by."""
        return np.tile(1 / self.scores, (liked.n_rows, 1))


@pytest.mark.parametrize(
    ("scores", "fault"),
    [
        ([1.0, np.nan, 1, 1, 1, 1], "scores contain NaN (1 of 6 values, first at [0, 1]); return numbers."),
        ([1.0, 1], "scores are float64 of shape (1, 2); return an array of numbers of shape (1, 6)."),
        ([None], "recommend raised TypeError: "),
    ],
)
def test_scores_of_what_was_learned_are_checked(scores: list[float], fault: str, tiny: Recommender) -> None:
    search = OptionSearch(grid={}, prepare=lambda _: Scores)
    register(
        StrategySpec(
            name="bro", describe="", recommend=lambda query: query.rank_learned("bro"), value=Scores, search=search
        )
    )
    model = with_learned(tiny.model, bro=Scores(np.array(scores)))
    with pytest.raises(FirstdayError) as caught:
        Recommender(model).recommend({"age": 20}, K, "bro")
    assert str(caught.value).startswith(f"strategy 'bro': {fault}")


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        (lambda *_: None, r"^cold model 'bro': fit returned a NoneType; return a Vectors\.$"),
        (
            lambda *_: 1 / 0,
            r"^cold model 'bro': fit raised ZeroDivisionError: .* \(test_plugin_checks.py, line \d+\);",
        ),
    ],
)
def test_a_fit_that_fails_is_told(fit: Any, sentence: str) -> None:
    register(ColdModelSpec(name="bro", title="Bro", describe="Wrong.", fit=fit, value=Vectors))
    data, _ = make_data()
    liked = data.validation_liked
    vectors = data.embeddings.item_vectors
    segments = make_recommender().model.segments  # nobody is judged by them
    validation = Validation(liked, liked, K, segments, vectors)
    little = {"methods": ("bro",), "ranker.enabled": False, "recommend.item_weights": False}
    config = data.config.override(little)
    with pytest.raises(FirstdayError, match=sentence):
        learn_methods(replace(data, config=config), validation, ObjectiveHistory().record, no_progress)


SEARCH = OptionSearch(grid={"power": (0.5, 1.0)}, prepare=lambda _: divide)


@dataclass
class Thawed:
    """One that is not frozen."""


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: StrategySpec(name="bro", describe="", recommend=divide, fit=lambda *_: None),
            r"^strategy 'bro': has no frozen dataclass as value; set value to the type that fit returns\.$",
        ),
        (
            lambda: ColdModelSpec(name="bro", title="", describe="", fit=lambda *_: None, value=Thawed),
            r"^cold model 'bro': has no frozen dataclass as value",
        ),
        (
            lambda: StrategySpec(
                name="bro", describe="", recommend=divide, fit=lambda *_: None, value=Vectors, search=SEARCH
            ),
            r"^strategy 'bro': learns at several stages; give one of fit, choose and search\.$",
        ),
        (
            lambda: OptionSearch(grid={"power": 0.5}, prepare=lambda _: divide),  # type: ignore[dict-item]
            r"^power: its grid is 0\.5; give a tuple of at least one value\.$",
        ),
    ],
)
def test_a_method_that_cannot_be_is_refused_where_it_is_made(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make()
