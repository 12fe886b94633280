"""Components of `blend`: what each kind adds, and what is said of one that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstday.errors import FirstdayError
from firstday.features.signals import Signals
from firstday.methods.blend import KNOTS, Blending, score_blend
from firstday.model.trained_model import TrainedModel
from firstday.recommend import registry
from firstday.recommend.component import LEAST_SHARE, Component, Lift, Scores, Shares, score_component
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import register
from firstday.recommend.spec import StrategySpec
from firstday.recommend.support import components_of, strategies_of
from firstday.sparse import SparseRows
from firstday.testing import check_strategy
from tests.tiny import N_ITEMS, make_clock, make_model, with_learned

pytestmark = pytest.mark.usefixtures("fresh_registry")

RISING = np.array([0, 0, 0, 0, 0, 1], np.float32)
"""Terms of a clock: the last item alone is used more of late."""
USER = Signals(age=20)


def rows_of(values: Sequence[float]) -> SparseRows:
    """Return one row of numbers."""
    row = np.array([values], np.float32)
    rows, columns = np.nonzero(row)
    return SparseRows.from_pairs(rows, columns, row[row != 0], 1, len(values))


def repeat(part: Any) -> Component:
    """Return the component of one user, whoever asks."""
    return lambda _query, _rows: part


def register_mine(component: Component) -> TrainedModel:
    """Register a method with a component; return a model whose default list has nothing else, with weight 2."""
    popular = registry.find_strategy("popular").recommend
    register(StrategySpec(name="mine", describe="Mine.", recommend=popular, component=component))
    tiny = make_model()
    model = replace(tiny, config=tiny.config.override("recommend.components", ("mine",)))
    return with_learned(model, blend=Blending(({"mine": 2.0},) * len(KNOTS)))


def score_all(model: TrainedModel) -> list[float]:
    """Return the scores of all items for a user of whom an age is known."""
    chosen, scores, _ = score_blend(Query(model, model.read_signals([USER])[0], N_ITEMS), np.zeros(1, dtype=np.int64))
    assert chosen.tolist() == [list(range(N_ITEMS))]
    listed: list[float] = scores[0].tolist()
    return listed


SHARES = Shares(rows_of([0, 0, 0, 0.5, 0, 0]), np.array([0.25, 0, 0, 0.25, 0, 0], np.float32))
LOGS = [np.log(share + LEAST_SHARE) for share in (0.25, 0, 0, 0.75, 0, 0)]
PARTS: dict[str, tuple[Shares | Lift | Scores, list[float], bool]] = {
    # The component, its scores of the six items, and whether the clock is added to them.
    "shares": (SHARES, LOGS, True),
    "lift": (Lift(rows_of([0, 3, -1, 0, 0, 0])), [0, 3, -1, 0, 0, 0], False),
    "scores": (Scores(lambda chosen: -chosen.astype(np.float32)), [0, -1, -2, -3, -4, -5], False),
    "logarithms": (Scores(lambda chosen: -chosen.astype(np.float32), are_logs=True), [0, -1, -2, -3, -4, -5], True),
}


@pytest.mark.parametrize("kind", PARTS)
def test_each_kind_of_component_adds_its_scores_times_its_weight(kind: str) -> None:
    part, scores, has_clock = PARTS[kind]
    model = register_mine(repeat(part))
    assert components_of(model)[-1] == "mine"
    assert score_all(model) == pytest.approx([2 * score for score in scores], rel=1e-4)
    rising = score_all(model.with_learned(clock=make_clock(RISING.tolist())))
    assert rising == pytest.approx([2 * score for score in (np.array(scores) + has_clock * RISING)], rel=1e-4)


@pytest.mark.parametrize(
    ("part", "is_candidate"),
    [
        (Shares(rows_of([0, 0, 0, 0, 0, 5]), np.zeros(N_ITEMS, np.float32)), True),
        (Shares(rows_of([0] * N_ITEMS), np.array([0, 0, 0, 0, 0, 5], np.float32)), True),
        (Lift(rows_of([0, 0, 0, 0, 0, 30])), True),
        (Scores(lambda chosen: np.float32(30) * (chosen == 5)), False),
    ],
    ids=["shares of the user", "shares of everyone", "lift", "scores"],
)
def test_shares_and_lifts_make_candidates_and_scores_do_not(
    part: Shares | Lift | Scores, is_candidate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody uses the last item."""
    monkeypatch.setattr("firstday.methods.candidates.N_CANDIDATES", 2)
    monkeypatch.setattr("firstday.methods.candidates.ALL_CANDIDATES", 0)
    model = register_mine(repeat(part))
    chosen, _, _ = score_blend(Query(model, model.read_signals([USER])[0], 2), np.zeros(1, dtype=np.int64))
    assert (5 in chosen[0]) == is_candidate


def fail(_query: Query, _rows: np.ndarray) -> Scores:
    """Fail."""
    raise ZeroDivisionError("division by zero")


WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "another type": (repeat([1.0]), "component returned a list; return Shares, a Lift or Scores."),
    "few items": (repeat(Lift(rows_of([1, 2]))), "component's rows have shape (1, 2); return shape (1, 6)."),
    "no users": (
        repeat(Lift(SparseRows.empty(0, N_ITEMS))),
        "component's rows have shape (0, 6); return shape (1, 6).",
    ),
    "few scores": (
        repeat(Scores(lambda _: np.zeros((1, 2)))),
        "component's scores are float64 of shape (1, 2); return an array of numbers of shape (1, 12).",
    ),
    "no number": (
        repeat(Scores(lambda chosen: np.where(chosen == 2, np.nan, 0))),
        "component's scores contain NaN (2 of 12 values, first at [0, 2]); return numbers.",
    ),
    "no number of a few": (
        repeat(Lift(rows_of([0, np.nan, 0, np.nan, 0, 1]))),
        "component's weights contain NaN (2 of 3 values, first at [0]); return numbers.",
    ),
    "no number among all": (
        score_component(lambda _query, rows: np.full((len(rows), N_ITEMS), [1, np.nan, 2, -np.inf, 3, 4], np.float32)),
        "component raised ValueError: scores contain NaN (1 of 6 values); fix it there.",
    ),
    "an error": (fail, "component raised ZeroDivisionError: division by zero (test_blend.py, line "),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_component_that_cannot_be_used_is_told_in_one_sentence(wrong: str) -> None:
    component, sentence = WRONG[wrong]
    model = register_mine(component)
    with pytest.raises(FirstdayError) as caught:
        Recommender(model).recommend(USER, N_ITEMS, "blend")
    assert str(caught.value).startswith(f"strategy 'mine': {sentence}")


@dataclass(frozen=True)
class Favorite:
    """Learned by a method of the tests: one item."""

    item: int


def lift_favorite(query: Query, rows: np.ndarray) -> Lift:
    """Lift the learned item of everybody."""
    items = np.full(len(rows), query.learned("mine").item)
    return Lift(SparseRows.from_pairs(np.arange(len(rows)), items, None, len(rows), query.model.n_items))


MINE = StrategySpec(
    name="mine",
    describe="Mine.",
    recommend=lambda query: registry.find_strategy("popular").recommend(query),
    fit=lambda *_: Favorite(5),
    value=Favorite,
    component=lift_favorite,
)


def test_a_model_that_is_opened_without_a_plugin_makes_lists_without_it(tmp_path: Path) -> None:
    register(MINE)
    tiny = make_model()
    rest = {"personal": 1.0, "popular": 0.5}
    with_mine = Blending(({**rest, "mine": 20.0},) * len(KNOTS))
    model = with_learned(tiny, mine=Favorite(5), blend=with_mine)
    model = replace(model, config=tiny.config.override("methods", (*tiny.config.methods, "mine")))
    recommender = Recommender(model)
    check_strategy(recommender, "blend", [USER])
    assert recommender.recommend(USER, 1, "blend").items[0].item_id == "i6"
    folder = recommender.save(tmp_path / "model")
    registry._registry.cache_clear()
    with pytest.warns(UserWarning, match="lists are made without mine"):
        opened = open_model(folder)
    assert "mine" not in strategies_of(opened.model)
    without = Recommender(with_learned(tiny, blend=Blending((rest,) * len(KNOTS))))
    assert opened.recommend(USER, N_ITEMS, "blend") == without.recommend(USER, N_ITEMS, "blend")
