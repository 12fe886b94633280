"""Use of new items by age, and how probably hidden items are used, on logs whose answers are obvious."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from firstday.data.first_uses import FirstUses
from firstday.features.signals import Signals
from firstday.methods.item_content import (
    RATE_PAIRS,
    collect_uses,
    describe_past,
    fit_odds,
    learn_odds,
    measure_freshness,
    measure_rates,
)
from firstday.model.item_content import N_INPUTS
from firstday.model.trained_model import TrainedModel
from firstday.recommend.fold import Fold, TrainingRun
from firstday.recommend.query import Query
from firstday.sparse import SparseRows, union_rows
from firstday.tables.schema import DAY_US
from tests.synthetic import make_world
from tests.tiny import EAST, N_ITEMS, NORTH, USES, make_content, make_model

N_DAYS = 50
N_NEW = 3_000
"""With so many items, smoothing is negligible."""


@pytest.mark.parametrize(("first", "expected"), [(20, 2 / 29 / (3 / 30)), (5, 1.0)])
def test_freshness_is_the_use_of_new_items_relative_to_all(first: int, expected: float) -> None:
    """Each item has one use on its first day, and two on the next; at the start of a log, every item looks new."""
    days = np.repeat([N_DAYS - 1 - first, N_DAYS - 2 - first], N_NEW)
    counts = SparseRows.from_pairs(days, np.tile(np.arange(N_NEW), 2), np.repeat([1, 2], N_NEW), N_DAYS, N_NEW)
    assert measure_freshness(FirstUses(counts, N_DAYS * DAY_US)) == pytest.approx(expected, rel=0.05)


HIDDEN = np.array([0, 3]), np.column_stack([[EAST, NORTH], [-1.0, -1.0]]).astype(np.float32)


def make_run(model: TrainedModel, truth: list[list[int]], **signals: Any) -> tuple[Fold, TrainingRun]:
    """Return newcomers of the east and of the north, as many as have a truth, and a run without times."""
    countries = ("FR", "DE")
    half = len(truth) // 2
    batch, _ = model.read_signals([Signals(country=countries[row // half], **signals) for row in range(2 * half)])
    fold = Fold(Query(model, batch, 4), SparseRows.from_lists(truth, N_ITEMS))
    nothing: Any = None
    run = TrainingRun(folds=[fold], model=model, dataset=nothing, split=nothing, uses=USES, first_uses=None)
    return fold, run


def test_likeness_matters_as_much_as_it_did_for_hidden_items() -> None:
    """Newcomers of the east use the hidden item of the east, those of the north the other one."""
    fold, run = make_run(make_model(), [[0]] * 36 + [[3]] * 40 + [[0]] * 4)
    learned = learn_odds([fold], [HIDDEN], run)
    assert learned is not None
    for odds in learned:
        content = make_content(usual_odds=odds)
        chances = content.chances(np.array([EAST]) @ HIDDEN[1][:, :-1].T, HIDDEN[1][:, -1])
        np.testing.assert_allclose(chances, [[0.9, 0.1]], atol=0.02)
    assert learn_odds([fold], [(HIDDEN[0][:0], HIDDEN[1][:0])], run) is None


def test_weights_that_would_be_negative_are_left_out() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20_000, N_INPUTS))
    weights = np.array([1.0, 0.5, -1.0, 2.0, -1.5, 0.0])
    is_used = rng.random(len(inputs)) < 1 / (1 + np.exp(2 - inputs @ weights))
    odds = fit_odds(inputs, is_used)
    assert odds[3] == 0  # continuation
    assert odds[5] < -1  # age
    assert (odds[[1, 2, 4]] > 0).all()


@pytest.mark.parametrize("hidden", [[], [1]])
def test_rates_are_shares_of_the_other_items_without_uses_of_hidden_ones(hidden: list[int]) -> None:
    """Of three users of i1 or i2, both of a1, two use both; of i4 and i5, two users, one both."""
    model = make_model()
    (rates,) = measure_rates(model, np.array(hidden, np.int64)).values()
    pairs, possible = (np.array([4, 2]), np.array([5, 3])) if not hidden else (np.array([0, 2]), np.array([0, 3]))
    usual = pairs.sum() / possible.sum()
    np.testing.assert_allclose(rates, (pairs + RATE_PAIRS * usual) / (possible + RATE_PAIRS), rtol=1e-6)
    assert model.warm is not None
    doubled = union_rows([USES, SparseRows.from_lists([[], [], [1], [1], [1]], N_ITEMS)]).ones()
    others = replace(model, warm=replace(model.warm, uses=doubled))
    (changed,) = measure_rates(others, np.array(hidden, np.int64)).values()
    assert (changed == rates).all() == bool(hidden)


def test_what_others_use_after_day_one_changes_no_input() -> None:
    fold, run = make_run(make_model(), [[0], [3]])
    timed = replace(fold, day_end_us=np.full(2, 5 * DAY_US))
    early = SparseRows.from_lists([[], [], [], [], [], [], [0, 3], [], [0], [3]], N_ITEMS)  # the last day comes first
    late = SparseRows.from_lists([[0], [0, 3], [], [3], [], [], [0, 3], [], [0], [3]], N_ITEMS)
    one, other = (
        collect_uses(timed, *HIDDEN, replace(run, dataset=make_world(), first_uses=FirstUses(counts, 10 * DAY_US)))
        for counts in (early, late)
    )
    for values, others in zip(one, other, strict=True):
        np.testing.assert_array_equal(values, others)
    assert one[2].all()


def test_success_and_age_are_as_of_the_end_of_day_one() -> None:
    """Item 0 is used on the first and on the third day, item 1 on the last; later uses count for nobody before."""
    end = 4 * DAY_US
    uses = [(3, 0, 1), (1, 0, 2), (0, 1, 4)]  # day from the end, item, users
    days, items, users = np.array(uses).T
    first_uses = FirstUses(SparseRows.from_pairs(days, items, users, 4, 2), end)
    past = describe_past(first_uses, np.array([1, 0]), np.array([3 * DAY_US, 0]))
    n_used, n_all = past.count(DAY_US * np.array([1, 3, 4]))
    assert n_used.tolist() == [[0, 1], [0, 3], [4, 3]]
    assert n_all.tolist() == [[0, 1], [0, 3], [4, 7]]
    assert past.count_days(DAY_US * np.array([1, 4])).tolist() == [[-2, 1], [1, 4]]
