from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.evaluation.run import SIMPLE, evaluate, score_strategies, score_strategy
from firstday.metrics import PrecisionRule, measure
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.recommender import Recommender
from tests.synthetic import SEED, brief_config

STRATEGIES = ("popular", "segment", "day_one")
SEEDS = (SEED, SEED + 1)
K = 15


@pytest.fixture(scope="module")
def lists(world: Dataset, split: Split, recommender: Recommender) -> dict[str, np.ndarray]:
    """Return every strategy's lists for the cold users, asked for one by one."""
    query = cohort_query(recommender, world, split.cold, K)
    return {name: answer_query(query, name).items for name in STRATEGIES}


@pytest.mark.parametrize("divide_by", ["min", "k"])
def test_what_is_measured_is_the_lists_that_anyone_gets(
    world: Dataset, split: Split, recommender: Recommender, lists: dict[str, np.ndarray], divide_by: PrecisionRule
) -> None:
    query = cohort_query(recommender, world, split.cold, K)
    strategies = {name: partial(answer_query, strategy=name) for name in STRATEGIES}
    run = score_strategies(query, split.cold, world.users, strategies, divide_by, seed=0, fit_seconds=0.0)
    for name, scores in run.scores.items():
        expected = measure(lists[name], split.cold.truth, divide_by=divide_by)
        for metric in ("precision", "recall", "ndcg"):
            np.testing.assert_allclose(scores.metrics[metric], 100 * getattr(expected, metric))
        head = measure(lists[name][:, :10], split.cold.truth, divide_by=divide_by)
        np.testing.assert_allclose(scores.metrics["precision_at_10"], 100 * head.precision)
    idle = np.sum([rows.lengths() for rows in split.cold.day_one.values()], axis=0) == 0
    np.testing.assert_array_equal(run.users["did_nothing"].to_numpy(), idle)
    assert 0 < idle.sum() <= (split.cold.day_one_size == 0).sum()
    assert set(run.scores["day_one"].routes) <= {"day_one", "group", "popular"}
    assert (run.scores["day_one"].routes[split.cold.day_one_size > 0] == "day_one").all()


def test_rules_that_allow_no_item_find_nothing(world: Dataset) -> None:
    results = evaluate(
        world,
        brief_config(),
        strategies=("popular",),
        rules={"allow": ["x"], "filter": "item_id != user.age"},
        progress=None,
    )
    assert results.get("popular", "precision").mean == 0
    assert results.notes[:2] == (
        'All lists obey the rules {"filter":"item_id != user.age","allow":["x"]}.',
        "Rules: 1 ids of the rules are unknown to the model.",
    )


def test_scoring_starts_from_nothing_for_each_strategy(world: Dataset, split: Split, recommender: Recommender) -> None:
    query = cohort_query(recommender, world, split.cold, K)
    score_strategy(query, split.cold, partial(answer_query, strategy="segment"))
    assert "features" not in vars(query)
    assert "predicted" not in vars(query)


def test_evaluate_trains_once_for_each_seed(world: Dataset) -> None:
    told: list[tuple[str, int, int]] = []
    results = evaluate(
        world,
        brief_config(),
        strategies=("segment", "day_one"),
        n_seeds=2,
        k=10,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert (results.k, results.seeds, results.n_cold, results.n_warm) == (10, SEEDS, 80, 280)
    assert results.strategies == (
        "auto",
        "popular",
        "group",
        "segment",
        "edlae",
        "day_one",
    )  # no recent: drawn at random
    simple = {name: results.get(name, "precision").mean for name in SIMPLE if name in results.strategies}
    assert results.reference == max(simple, key=lambda name: simple[name])
    assert set(results.split_metric("auto", "precision_ratio:")) == {*results.best_single.values()}
    assert f"P@10 minus {results.reference}" in results.compare_strategies().columns
    assert [at for at in told if at[0].startswith("seed")] == [(f"seed {seed}", at, 2) for at, seed in enumerate(SEEDS)]
    assert told[-1] == ("done", 2, 2)
