"""What validation users choose: weights, and when training stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from firstday.config import as_in_paper
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.methods.blend import (
    KNOT_SMOOTHING,
    KNOTS,
    N_BEST,
    RIDGE,
    Candidates,
    Gain,
    _hide_interactions,
    choose_blending,
    collect_candidates,
    fit_blending,
    fit_weights,
    share_of_knots,
)
from firstday.methods.precision import measure_folds
from firstday.recommend.answers import answer_query
from firstday.recommend.component import Scores
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.fold import Fold
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, register
from firstday.recommend.spec import StrategySpec
from firstday.recommend.support import components_of
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.validation import Validation
from tests.synthetic import brief_config
from tests.tiny import N_ITEMS


def make_candidates(used_by: list[int], n_known: list[int]) -> Candidates:
    """Make users of three candidates: each of two components has one of the first two before the others."""
    n = len(used_by)
    scores = np.tile(np.array([[2, 0], [0, 2], [0, 0]], np.float32), (n, 1, 1))
    relevant = np.arange(3) == np.array(used_by)[:, None]
    return Candidates(scores, np.zeros((n, 3), np.float32), relevant, share_of_knots(np.array(n_known)))


@pytest.mark.parametrize("n_done", [1, 3, 30])
def test_a_knot_without_users_has_nearly_the_weights_of_the_next(n_done: int) -> None:
    weights = fit_weights([make_candidates([0] * 50 + [1] * 20, [n_done] * 70)], 2)
    assert weights[:, 0].min() > weights[:, 0].max() / 3
    assert (weights[:, 0] > weights[:, 1]).all()


def test_each_knot_has_the_weights_of_its_users() -> None:
    parts = [make_candidates([used] * 50, [n] * 50) for used, n in ((0, 0), (1, 1), (0, KNOTS[-1]))]
    nothing, one, many = fit_weights(parts, 2)
    assert nothing[0] > nothing[1]
    assert one[1] > one[0]
    assert many[0] > many[1]
    shares = share_of_knots(np.array([0, 1, 4, 20, 500]))
    np.testing.assert_allclose(shares[:, 2], [0, 0, np.log(4) / np.log(20), 1, 1], rtol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[:, 0].tolist() == [1, 0, 0, 0, 0]


def test_no_weights_near_them_are_more_likely() -> None:
    """The penalised likelihood, written down anew."""
    rng = np.random.default_rng(0)
    offsets = np.where(rng.random((40, 9)) < 0.1, -np.inf, rng.normal(size=(40, 9))).astype(np.float32)
    relevant = rng.random((40, 9)) < 0.3
    relevant[np.arange(40), np.argmax(offsets, axis=1)] = True
    relevant &= offsets > -np.inf
    scores = (rng.normal(size=(40, 9, 3)) + relevant[:, :, None] * np.array([0.5, 0.2, 0])).astype(np.float32)
    part = Candidates(scores, offsets, relevant, share_of_knots(rng.integers(0, 30, 40)))

    def lose(weights: np.ndarray) -> float:
        sums = np.einsum("ucn,uk,kn->uc", scores, part.knot_weights, weights) + offsets
        logs = sums - np.log(np.exp(sums).sum(axis=1, keepdims=True))
        loss = -np.mean([row[used].mean() for row, used in zip(logs, relevant, strict=True)])
        smoothness = (np.diff(weights, axis=0) ** 2).sum()
        return float(loss + RIDGE / 2 * ((weights**2).sum() + KNOT_SMOOTHING * smoothness))

    fitted = fit_weights([part], 3)
    assert (fitted >= 0).all()
    for _ in range(50):
        assert lose(np.maximum(fitted + rng.normal(scale=0.1, size=(3, 3)), 0)) > lose(fitted) - 1e-6


def test_the_best_candidates_are_kept_of_users_who_used_one() -> None:
    scores = np.tile(np.arange(400, dtype=np.float32), (2, 1))
    none = np.zeros((2, 400), np.float32)
    many = Candidates(scores[:, :, None], none, scores == [[399], [0]], share_of_knots(np.array([0, 3])))
    kept = many.keep_best(np.ones((3, 1)))
    assert kept.scores.shape == (1, N_BEST, 1)
    assert sorted(kept.scores[0, :, 0].tolist()) == list(range(400 - N_BEST, 400))
    assert kept.is_relevant.sum() == 1
    assert kept.knot_weights.tolist() == [[1, 0, 0]]


def test_training_stops_by_the_lists_that_people_get(world: Dataset, split: Split, recommender: Recommender) -> None:
    truth = split.validation.truth
    k = recommender.model.config.recommend.k
    query = cohort_query(recommender, world, split.validation, k)
    assert query.has_features.all()  # else fallbacks would answer
    validation = Validation(query.excluded, truth, k, query.model.segments, query.model.scoring_vectors)
    segment, personal = (100 * measure_folds([Fold(query, truth)], name).mean() for name in ("segment", "personal"))
    assert validation.precision_of_segments(query.predicted) == pytest.approx(segment)
    both = validation.precision_of_vectors(query.predicted)
    assert both == pytest.approx((segment + personal) / 2)
    history = query.model.cold.history
    kept = next(epoch for epoch in history if epoch.kept)
    assert kept.precision == pytest.approx(both, abs=1e-3)
    assert kept.precision == max(epoch.precision or 0 for epoch in history)


def test_the_published_system_stops_by_segments_alone(world: Dataset, split: Split) -> None:
    config = as_in_paper(brief_config()).override({"cold_model.epochs": 3, "cold_model.hidden": [8]})
    model = fit(world, split, config, choose_settings=False).model
    kept = next(epoch for epoch in model.cold.history if epoch.kept)
    assert kept.precision == pytest.approx(model.facts["metrics"]["precision"]["segment"], abs=1e-3)


def test_weights_follow_validation_users_alone(world: Dataset, split: Split, recommender: Recommender) -> None:
    """In one fold or in two they are the same; truth that is what everyone uses most makes `popular` weigh most."""
    query = cohort_query(recommender, world, split.validation, 20)
    fold = Fold(query, split.validation.truth)
    halves = [fold.take(rows) for rows in np.array_split(np.arange(query.n_users), 2)]
    one, two = ([part for fold in folds for part in collect_candidates(fold, COMPONENTS)] for folds in ([fold], halves))
    n_components = len(COMPONENTS)
    np.testing.assert_allclose(fit_weights(one, n_components), fit_weights(two, n_components), atol=0.01)
    popular = np.sort(answer_query(query, "popular").items, axis=1).tolist()
    blending = fit_blending([Fold(query, SparseRows.from_lists(popular, query.model.n_items))], COMPONENTS)
    assert max(blending.weights[0], key=lambda name: sum(knot[name] for knot in blending.weights)) == "popular"


@dataclass(frozen=True)
class Chosen:
    """What a component chooses after the folds."""

    weight: float = 0.0


@pytest.mark.usefixtures("fresh_registry")
def test_components_choose_before_the_weights_and_the_guard(world: Dataset, split: Split) -> None:
    """Whatever their names, since the weights are those of what components have chosen."""
    popular = find_strategy("popular")
    register(replace(popular, name="zebra", value=Chosen, choose=lambda _: (Chosen(2.0), {}), position=None))
    stages: list[str] = []
    config = brief_config(methods=("zebra",))
    model = fit(world, split, config, progress=lambda stage, *_: stages.append(stage)).model
    assert model.learned["zebra"] == Chosen(2.0)
    chosen = [stage for stage in dict.fromkeys(stages) if stage in ("auto", "blend", "zebra")]
    assert chosen == ["zebra", "blend", "auto"]


N_ALIKE = 40
COMPONENTS = ("direct", "personal", "soft_segments", "popular", "edlae")


def register_component(name: str, score: Callable[[int, np.ndarray], np.ndarray]) -> None:
    """Register a method whose component scores candidates, given the number of the user."""

    def component(query: Query, rows: np.ndarray) -> Scores:
        assert query.signals.user_ids is not None
        users = [int(query.signals.user_ids[row]) for row in rows]
        return Scores(lambda chosen: np.stack([score(*pair) for pair in zip(users, chosen, strict=True)]))

    popular = find_strategy("popular").recommend
    register(StrategySpec(name=name, describe=name, recommend=popular, component=component))


def ask_alike(tiny: Recommender) -> Fold:
    """Return users of whom the same is known, and each of whom goes on to use one of four items."""
    config = tiny.model.config.override("recommend.components", ("oracle", "constant"))
    model = replace(tiny.model, config=config)
    one = Signals(country="FR", interactions=[("stream", "item", "i1")])
    users = [one.copy(user_id=number) for number in range(N_ALIKE)]
    truth = SparseRows.from_lists([[item_of(user)] for user in range(N_ALIKE)], N_ITEMS)
    return Fold(Query(model, model.read_signals(users)[0], 2), truth)


def item_of(user: int) -> int:
    """Return what a user goes on to use, such that halves of the users, odd and even, use the same items."""
    return 1 + user // 2 % 4


@pytest.mark.usefixtures("fresh_registry")
def test_a_component_that_tells_the_truth_earns_its_weight_and_one_that_tells_nothing_does_not(
    tiny: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("blend", "precision"):
        monkeypatch.setattr(f"firstday.methods.{module}.MEASURED_LENGTHS", (1, 2))
    register_component("oracle", lambda user, chosen: np.where(chosen == item_of(user), 9, 0).astype(np.float32))
    register_component("constant", lambda _user, chosen: np.ones(len(chosen), np.float32))
    fold = ask_alike(tiny)
    blending, gains = choose_blending([fold])
    assert set(gains) == {"oracle", "constant"}
    assert "oracle" in blending.names
    assert "constant" not in blending.names
    assert not gains["constant"].is_earned
    told = gains["oracle"].to_json()
    assert told["users"] == N_ALIKE
    assert told["gain"]["1"][0] == 75  # of lists of one item, which are all the same without it, a quarter hits
    assert (measure_folds([fold.with_length(1).with_learned(blend=blending)], "blend") == 1).all()


def test_users_with_hidden_interactions_stand_for_those_with_a_profile_alone(tiny: Recommender) -> None:
    """Of two users who streamed i1, one has an age: without the stream, this one has a profile, the other nothing."""
    users = [Signals(age=20, interactions=[("stream", "item", "i1")]), Signals(interactions=[("stream", "item", "i1")])]
    signals, _ = tiny.model.read_signals(users)
    truth = SparseRows.from_lists([[1], [2]], N_ITEMS)
    (hidden,) = _hide_interactions([Fold(Query(tiny.model, signals, 3), truth)], "profile")
    assert hidden.query.n_users == 1
    assert hidden.query.n_known.tolist() == [0]
    assert hidden.query.excluded.row(0).tolist() == [0]
    assert hidden.truth.row(0).tolist() == [1]


def test_a_gain_within_its_standard_error_is_none() -> None:
    assert Gain(np.array([[1.0, 1, 1, 0]])).is_earned
    assert not Gain(np.array([[9.0, -1, -1, -1]])).is_earned
    assert not Gain(np.zeros((2, 4))).is_earned
    assert Gain(np.array([[0.0, 0], [4, 2]])).to_json()["gain"] == {"10": [0, 0, 0], "50": [3.0, 1.6141, 4.3859]}


def test_a_component_that_was_trained_for_evaluation_alone_has_no_part(tiny: Recommender) -> None:
    assert "day_one" not in components_of(tiny.model)
    config = tiny.model.config.override("recommend.components", ("day_one",))
    assert components_of(replace(tiny.model, config=config))[-1] == "day_one"
