"""The order: what it learns, when lists use it, and that it depends on the user and the item alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.cold.cold_model import ColdModel, Layer
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.apart import set_apart
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.sampled import unite_uses
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.methods.blend import KNOTS, Blending, Gain, score_blend
from firstday.methods.clock import MODEL_AGE_US
from firstday.methods.order import (
    Ranked,
    is_better,
    measure_gain,
    measure_importance,
    rank_candidates,
    train_order,
)
from firstday.model.order import LIMIT, Order
from firstday.model.trained_model import TrainedModel
from firstday.recommend.answers import answer_query
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, open_model
from firstday.sparse import SparseRows, contains
from firstday.training.fit import fit
from tests.synthetic import SEED, brief_config
from tests.timed import make_log
from tests.tiny import N_ITEMS, make_clock, make_model, with_learned

USERS = [Signals(age=20, interactions=[("stream", "item", "i1")]), Signals(age=40)]
NAMES = ("popular", "edlae")
BLENDING = Blending(({"popular": 1.0, "edlae": 0.5},) * len(KNOTS))


def make_order(weights: list[float]) -> Order:
    """Make an order that adds its inputs, each times a weight."""
    network = ColdModel((Layer(np.array(weights, np.float32)[:, None], np.zeros(1, np.float32)),))
    return Order(NAMES, network, np.zeros(4, np.float32), np.full(4, 100, np.float32), 7, 8)


def ask(model: TrainedModel, k: int = N_ITEMS) -> Query:
    return Query(model, model.read_signals(USERS)[0], k)


@pytest.fixture
def model() -> TrainedModel:
    return with_learned(make_model(), blend=BLENDING)


def test_the_order_is_added_to_the_sum_but_not_to_the_level(model: TrainedModel) -> None:
    """Three hundredths of the sum before the clock are added."""
    rows = np.arange(len(USERS))
    _, before, levels = score_blend(ask(model), rows)
    for clock in (None, make_clock([0, 0, 0, 0, 0, 1])):
        of_clock = 0 if clock is None else np.array([0, 0, 0, 0, 0, 1], np.float32)
        timed = with_learned(model, clock=clock)
        _, without, levels = score_blend(ask(timed), rows)
        _, scores, same = score_blend(ask(with_learned(timed, order=make_order([0, 0, 3, 0]))), rows)
        np.testing.assert_array_equal(same, levels)
        np.testing.assert_allclose(without, before + of_clock, rtol=1e-5)
        np.testing.assert_allclose(scores[0], 1.03 * before[0] + of_clock, rtol=1e-5)
        np.testing.assert_array_equal(scores[1], without[1])  # nothing is known but a profile


def test_inputs_beyond_those_of_training_add_no_more(model: TrainedModel) -> None:
    order = replace(make_order([0, 0, 0, 1]), spread=np.full(4, 1e-3, np.float32))
    rows = np.zeros(1, np.int64)
    (before, after) = (score_blend(ask(asked), rows)[1] for asked in (model, with_learned(model, order=order)))
    np.testing.assert_allclose(after, before + LIMIT, rtol=1e-5)


@pytest.mark.parametrize("order", [None, replace(make_order([9, 9, 9, 9]), network=None), make_order([9, 9, 9, 9])])
def test_lists_without_an_order_or_with_one_of_other_components_are_as_before(
    model: TrainedModel, order: Order | None
) -> None:
    if order is not None and order.network is not None:
        order = replace(order, components=("popular",))
    lists = [answer_query(ask(asked), "blend") for asked in (model, with_learned(model, order=order))]
    np.testing.assert_array_equal(lists[0].items, lists[1].items)
    np.testing.assert_array_equal(lists[0].scores, lists[1].scores)


def test_short_lists_are_the_beginning_of_long_ones_and_users_do_not_matter_to_each_other(model: TrainedModel) -> None:
    ordered = with_learned(model, order=make_order([-300, 50, 0, 5]))
    items = answer_query(ask(ordered), "blend").items
    assert (items != answer_query(ask(model), "blend").items).any()
    for k in range(1, N_ITEMS):
        np.testing.assert_array_equal(answer_query(ask(ordered, k), "blend").items, items[:, :k])
    for row in range(len(USERS)):
        alone = answer_query(ask(ordered).take(np.array([row])), "blend")
        np.testing.assert_array_equal(alone.items[0], items[row])


def make_users(n: int, *, is_useful: bool = True) -> Ranked:
    """Make users of twenty candidates, who use those where both of two scores are high; no weights can say so."""
    rng = np.random.default_rng(SEED)
    scores = rng.choice([-1.0, 1.0], (n, 20, 2)).astype(np.float32)
    total = np.zeros((n, 20), np.float32)
    known = np.ones((n, 20), np.float32)
    relevant = (scores[:, :, 0] * scores[:, :, 1] > 0) if is_useful else rng.random((n, 20)) < 0.5
    relevant[:, 0] = True
    inputs = np.concatenate([scores, total[:, :, None], known[:, :, None]], axis=2)
    return Ranked(inputs, total, relevant)


def test_it_learns_what_weights_cannot_say() -> None:
    users = make_users(600)
    order = train_order(users, NAMES, Config(threads=1, seed=SEED))
    added = order.apply(users.inputs)
    assert added[users.is_relevant].mean() > added[~users.is_relevant].mean() + 1
    importance = measure_importance(order, users)
    assert min(importance["score of popular"], importance["score of edlae"]) > 5
    assert importance["their weighted sum"] == importance["number of interactions"] == 0
    assert order.n_learners == 600


def test_an_input_that_did_not_vary_adds_nothing() -> None:
    users = make_users(600)
    order = train_order(users, NAMES, Config(threads=1, seed=SEED))
    np.testing.assert_array_equal(
        order.apply(users.inputs + np.array([0, 0, 9, 9], np.float32)), order.apply(users.inputs)
    )


def test_without_anything_to_learn_it_adds_little() -> None:
    order = train_order(make_users(600, is_useful=False), NAMES, Config(threads=1, seed=SEED))
    assert np.abs(order.apply(make_users(600).inputs)).mean() < 0.5


EVEN = np.tile([0.9, 1.1], 200)
FIRST = np.arange(400) < 100


@pytest.mark.parametrize(
    ("gains", "knowledge", "weeks", "is_used"),
    [
        ([EVEN, EVEN], 3, None, True),
        ([-EVEN, EVEN / 2], 3, None, False),
        ([-EVEN, 3 * EVEN], 3, None, False),  # shorter lists lose
        ([EVEN, EVEN], 3, np.arange(400) % 9, True),
        ([40 * (EVEN - 1) + 1] * 2, 3, None, True),  # 1 with a standard error of 0.2
        ([20 * FIRST - 1.0] * 2, 3, None, True),
        ([20 * FIRST - 1.0] * 2, 3, np.arange(400) // 100, False),  # a week of four
        ([np.where(FIRST, -EVEN, 3 * EVEN)] * 2, np.where(FIRST, 2, 3), None, False),  # a class loses
        ([np.where(FIRST, -EVEN, 3 * EVEN)] * 2, np.where(FIRST & (np.arange(400) > 0), 2, 3), None, True),  # of 99
    ],
)
def test_it_is_used_if_past_users_gain_beyond_chance_and_nobody_pays(
    gains: list[np.ndarray], knowledge: np.ndarray | int, weeks: np.ndarray | None, *, is_used: bool
) -> None:
    assert is_better(np.stack(gains), np.broadcast_to(knowledge, 400), weeks) == is_used


def test_inputs_do_not_see_what_users_went_on_to_use(model: TrainedModel) -> None:
    query = ask(model)
    one, other = (
        rank_candidates(Fold(query, SparseRows.from_lists(truth, N_ITEMS)), BLENDING, NAMES)
        for truth in ([[2], [0]], [[1, 4], [3]])
    )
    np.testing.assert_array_equal(one.inputs, other.inputs)
    np.testing.assert_array_equal(one.sums, other.sums)
    assert one.is_relevant.sum(axis=1).tolist() == [1]  # the other has done nothing
    assert other.is_relevant.sum(axis=1).tolist() == [2]


@pytest.fixture
def apart(world: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch) -> Split:
    monkeypatch.setattr("firstday.data.splits.apart.MIN_APART", 20)
    found = set_apart(split, world.users, brief_config().signals)
    assert found is not None
    return found


def test_a_third_is_set_apart_with_day_ones_and_later_uses(world: Dataset, split: Split, apart: Split) -> None:
    users = apart.validation.users
    assert len(split.warm) / 4 < len(users) < len(split.warm) / 2.3
    assert sorted([*users, *apart.warm]) == sorted(split.warm)
    on_day = unite_uses(apart.validation.day_one, brief_config().signals)
    assert not contains(on_day, apart.validation.truth).any()
    uses = unite_uses(split.warm_actions, brief_config().signals).take(np.searchsorted(split.warm, users))
    assert uses.n_entries == on_day.n_entries + apart.validation.truth.n_entries


def test_a_few_hundred_users_are_too_few(world: Dataset, split: Split) -> None:
    assert set_apart(split, world.users, brief_config().signals) is None
    order = fit(world, split, brief_config()).model.learned["order"]
    assert order.network is None
    assert order.n_learners == 0


def test_validation_users_of_folds_are_not_set_apart(
    world: Dataset, split: Split, apart: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation = apart.validation
    assert set_apart(replace(split, validation=validation), world.users, brief_config().signals) is None
    monkeypatch.setattr("firstday.data.splits.apart.MAX_APART", 30)
    fewer = set_apart(split, world.users, brief_config().signals)
    assert fewer is not None
    assert len(fewer.validation) == 30
    assert set(fewer.validation.users) < set(validation.users)


def test_with_a_clock_lists_of_past_newcomers_are_judged_as_of_their_first_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = make_log()
    config = brief_config(protocol="registration", registration={"target_days": 3})
    judged: list[Fold] = []

    def note(fold: Fold, order: Order) -> np.ndarray:
        judged.append(fold)
        return measure_gain(fold, order)

    monkeypatch.setattr("firstday.data.splits.apart.MIN_APART", 10)
    monkeypatch.setattr("firstday.methods.order.measure_gain", note)
    split = split_for_training(log, config, SEED)
    order = fit(log, split, config).model.learned["order"]
    assert 0 < order.n_users <= len(split.validation)
    for fold in judged:
        assert fold.day_end_us is not None
        assert fold.moment_us is not None
        assert not len(fold.day_end_us) or fold.moment_us <= fold.day_end_us.min() - MODEL_AGE_US


@pytest.mark.usefixtures("apart")  # few suffice
def test_it_reads_components_that_are_learned_in_a_search_and_named_base_ones(
    world: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gain, "is_earned", True)
    monkeypatch.setattr("firstday.methods.blend.MIN_WEIGHT", -1)
    options = {"ease": {"regularization": 100.0, "dropout": 0.5}}
    components = {"components": ["popular", "ease"]}
    model = fit(world, split, brief_config(methods=["ease"], recommend=components, plugins=options)).model
    assert {"popular", "ease"} < set(model.learned["order"].components)


def test_a_training_learns_it_from_users_whom_the_model_of_the_others_does_not_know(
    world: Dataset, split: Split, apart: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    models = []

    def note(fold: Fold, blending: Blending, names: tuple[str, ...]) -> Ranked:
        models.append(fold.model)
        return rank_candidates(fold, blending, names)

    monkeypatch.setattr("firstday.methods.order.rank_candidates", note)
    monkeypatch.setattr("firstday.methods.order.is_better", lambda *_: True)
    model = fit(world, split, brief_config()).model
    order: Order = model.learned["order"]
    assert order.network is not None
    assert order.n_learners <= len(apart.validation) <= order.n_users
    known = models[0].warm
    assert known is not None
    assert set(known.ids.values).isdisjoint(world.users.take(apart.validation.users))
    assert model.facts["metrics"]["order"] == order.to_json()
    Recommender(model).save(str(tmp_path))
    reopened = open_model(str(tmp_path))
    user = Signals(interactions=[("stream", "item", "i001")])
    assert reopened.recommend(user) == Recommender(model).recommend(user)
    assert reopened.recommend(user) != Recommender(model.with_learned(order=None)).recommend(user)
