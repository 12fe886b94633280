"""What validation users choose: weights, and when training stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.artifact.trained_model import KNOTS, share_of_knots
from firstday.config import as_published
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.features.signals import Signals
from firstday.metrics import measure
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.sparse import SparseRows
from firstday.training.fit import fit
from firstday.training.validation import Fold, Validation
from firstday.training.weights import (
    N_BEST,
    RIDGE,
    TIE,
    Candidates,
    choose_blending,
    choose_neighborhood,
    choose_smoothing,
    collect_candidates,
    fit_weights,
)
from tests.synthetic import brief_config


def make_candidates(used_by: list[int], n_known: list[int]) -> Candidates:
    """Make users of three candidates: each of two components has one of the first two before the others."""
    n = len(used_by)
    scores = np.tile(np.array([[2, 0], [0, 2], [0, 0]], np.float32), (n, 1, 1))
    relevant = np.arange(3) == np.array(used_by)[:, None]
    return Candidates(scores, np.zeros((n, 3), np.float32), relevant, share_of_knots(np.array(n_known)))


@pytest.mark.parametrize("n_done", [1, 3, 30])
def test_a_knot_that_no_user_tells_of_has_nearly_the_weights_of_the_next(n_done: int) -> None:
    weights = fit_weights([make_candidates([0] * 50 + [1] * 20, [n_done] * 70)], 2)
    told = weights[:, 0].max()
    assert weights[:, 0].min() > told / 3
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


def test_what_may_not_be_listed_tells_nothing() -> None:
    part = make_candidates([0] * 50, [5] * 50)
    closed = replace(part, shown=np.where(np.arange(3) == 1, -np.inf, part.shown).astype(np.float32))
    open_alone = replace(closed, scores=closed.scores[:, [0, 2]], shown=part.shown[:, :2])
    open_alone = replace(open_alone, is_relevant=part.is_relevant[:, [0, 2]])
    np.testing.assert_allclose(fit_weights([closed], 2), fit_weights([open_alone], 2), atol=1e-3)


def test_no_weights_near_them_are_more_likely() -> None:
    """The penalised likelihood, written down anew."""
    rng = np.random.default_rng(0)
    shown = np.where(rng.random((40, 9)) < 0.1, -np.inf, rng.normal(size=(40, 9))).astype(np.float32)
    relevant = (rng.random((40, 9)) < 0.3) & (shown > -np.inf)
    relevant[~relevant.any(axis=1), np.argmax(shown, axis=1)[~relevant.any(axis=1)]] = True
    scores = rng.normal(size=(40, 9, 3)).astype(np.float32) + relevant[:, :, None] * np.array([0.5, 0.2, 0])
    part = Candidates(scores.astype(np.float32), shown, relevant, share_of_knots(rng.integers(0, 30, 40)))

    def lose(weights: np.ndarray) -> float:
        total = 0.0
        for user in range(40):
            sums = scores[user] @ (part.shares[user] @ weights) + shown[user]
            logs = sums - np.log(np.exp(sums).sum())
            total -= logs[relevant[user]].mean() / 40
        apart = sum(((weights[one] - weights[one + 1]) ** 2).sum() for one in (0, 1))
        return float(total + RIDGE / 2 * ((weights**2).sum() + TIE * apart))

    found = fit_weights([part], 3)
    assert (found >= 0).all()
    for _ in range(50):
        beside = np.maximum(found + rng.normal(scale=0.1, size=(3, 3)), 0)
        assert lose(beside) > lose(found) - 1e-6


def test_the_best_candidates_are_kept_of_users_who_used_one() -> None:
    many = Candidates(
        np.arange(2.0 * 400, dtype=np.float32).reshape(2, 400, 1) % 400,
        np.zeros((2, 400), np.float32),
        np.arange(400) == np.array([[399], [0]]),
        share_of_knots(np.array([0, 3])),
    )
    kept = many.keep_best(np.ones((3, 1)))
    assert kept.scores.shape == (1, N_BEST, 1)
    assert sorted(kept.scores[0, :, 0].tolist()) == list(range(400 - N_BEST, 400))
    assert kept.is_relevant.sum() == 1
    assert kept.shares.tolist() == [[1, 0, 0]]


def test_training_stops_by_the_lists_that_people_get(world: Dataset, split: Split, recommender: Recommender) -> None:
    model, validation = recommender.model, split.validation
    batch, _ = model.catalogue.translate(world, validation.users, validation.day_one)
    query = Query(model, batch, model.config.recommend.k)
    judge = Validation(
        excluded=query.excluded,
        truth=validation.truth,
        k=query.k,
        segments=model.segments,
        item_vectors=model.scoring_vectors,
    )
    of = {
        name: 100 * float(measure(answer_all(query, name).items, validation.truth).precision.mean())
        for name in ("segment", "personal")
    }
    vectors = query.predicted
    assert query.known.all()  # else fallbacks would answer
    assert judge.precision_of_segments(vectors) == pytest.approx(of["segment"])
    assert judge.precision_of_both_ways(vectors) == pytest.approx((of["segment"] + of["personal"]) / 2)
    kept = next(epoch for epoch in model.cold.history if epoch.kept)
    assert kept.precision == pytest.approx(judge.precision_of_both_ways(vectors), abs=1e-3)
    assert kept.precision == max(epoch.precision or 0 for epoch in model.cold.history)


def test_the_published_system_stops_by_segments_alone(world: Dataset, split: Split) -> None:
    config = as_published(brief_config()).override({"cold_model.epochs": 3, "cold_model.hidden": [8]})
    model = fit(world, split, config, weigh=False).model
    assert model.config.cold_model.stopped_by == ("segment",)
    kept = next(epoch for epoch in model.cold.history if epoch.kept)
    assert kept.precision == pytest.approx(model.facts["metrics"]["precision"]["segment"], abs=1e-3)


def test_weights_follow_validation_users_alone(world: Dataset, split: Split, recommender: Recommender) -> None:
    """In one fold or in two they are the same; truth that is what everyone uses most makes `popular` weigh most."""
    model = recommender.model
    batch, _ = model.catalogue.translate(world, split.validation.users, split.validation.day_one)
    query = Query(model, batch, 20)
    fold = Fold(query, split.validation.truth)
    halves = [fold.take(rows) for rows in np.array_split(np.arange(query.n_users), 2)]
    one, two = ([part for of in folds for part in collect_candidates(of)] for folds in ([fold], halves))
    n_components = one[0].scores.shape[2]
    np.testing.assert_allclose(fit_weights(one, n_components), fit_weights(two, n_components), atol=0.01)
    assert choose_neighborhood([fold]) == choose_neighborhood(halves) == model.neighborhood
    popular = np.sort(answer_all(query, "popular").items, axis=1).tolist()
    turned = choose_blending([Fold(query, SparseRows.from_lists(popular, model.n_items))])
    weights = {name: sum(of[name] for of in turned.weights) for name in turned.weights[0]}
    assert max(weights, key=weights.__getitem__) == "popular"


def test_the_lists_of_segments_lean_on_everyone_as_validation_users_say(
    tiny: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segment 1 has i4 first; with fifty average users beside its two, i3."""
    monkeypatch.setattr("firstday.training.weights.LIST_SMOOTHINGS", (0.0, 50.0))
    batch, _ = tiny.model.catalogue.read([Signals(age=40, country="DE")])
    query = Query(tiny.model, batch, 1)
    assert [choose_smoothing([Fold(query, SparseRows.from_lists([[item]], 6))]) for item in (2, 3, 5)] == [50, 0, 0]
    fixed = tiny.model.config.override("segments.smoothing", 7.0)
    assert choose_smoothing([Fold(replace(query, model=replace(tiny.model, config=fixed)), query.liked)]) == 7
