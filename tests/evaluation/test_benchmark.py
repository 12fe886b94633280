from __future__ import annotations

import json
from collections.abc import Sequence
from time import sleep

import numpy as np
import pytest

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Cohort, Split
from firstday.errors import ConfigError
from firstday.evaluation.results import Figure, Results
from firstday.evaluation.run import ENOUGH_SECONDS, MOST_PASSES, evaluate, join_runs, judge_run, score_strategy
from firstday.evaluation.slices import DAY_ONE_SIZES, DISJOINT_SIZES
from firstday.metrics import Interval, PrecisionRule, bootstrap_mean, measure
from firstday.recommend.popularity import POPULAR
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.training.fit import cohort_query
from tests.synthetic import SEED, brief_config

STRATEGIES = ("popular", "segment", "day_one")
SEEDS = (SEED, SEED + 1)
K = 15


@pytest.fixture(scope="module")
def splits(world: Dataset, config: Config) -> dict[int, Split]:
    return {seed: split_for_training(world, config, seed, with_cold=True) for seed in SEEDS}


@pytest.fixture(scope="module")
def lists(world: Dataset, splits: dict[int, Split], recommender: Recommender) -> dict[str, list[np.ndarray]]:
    """Return every strategy's lists for the cold users of each seed, asked for one by one."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in STRATEGIES}
    for seed in SEEDS:
        query = cohort_query(recommender, world, splits[seed].cold, K)
        for name in STRATEGIES:
            found[name].append(recommender.answer_batch(query.signals, K, name).items)
    return found


def run(
    world: Dataset,
    splits: dict[int, Split],
    recommender: Recommender,
    strategies: Sequence[str] = STRATEGIES,
    divide_by: PrecisionRule = "min",
) -> Results:
    """Judge one trained model on two splits; training is not what is tested here."""
    runs = [
        judge_run(
            cohort_query(recommender, world, split.cold, K),
            split.cold,
            strategies,
            seed=seed,
            n_warm=len(split.warm),
            fit_seconds=0.0,
            divide_by=divide_by,
        )
        for seed, split in splits.items()
    ]
    return join_runs(world.name, runs, protocol="sampled", divide_by=divide_by, against=("segment",))


@pytest.fixture(scope="module")
def results(world: Dataset, splits: dict[int, Split], recommender: Recommender) -> Results:
    return run(world, splits, recommender)


def cold(splits: dict[int, Split]) -> list[Cohort]:
    return [splits[seed].cold for seed in SEEDS]


def test_json_has_the_keys_of_the_contract(results: Results) -> None:
    values = json.loads(json.dumps(results.to_json()))
    assert {"dataset", "k", "seeds", "results"} <= set(values)
    assert (values["dataset"], values["k"], values["seeds"]) == ("synthetic", K, [*SEEDS])
    assert (values["protocol"], values["n_warm"], values["n_cold"]) == ("sampled", 280, 80)
    assert values["precision_convention"] == "hits / min(K, relevant)"
    assert [row["strategy"] for row in values["results"]] == list(STRATEGIES)
    for row in values["results"]:
        assert {"strategy", "precision", "recall", "ndcg", "precision_ci", "by_day_one_size"} <= set(row)
        for metric in ("precision", "recall", "ndcg"):
            low, high = row[f"{metric}_ci"]
            assert 0 <= low <= row[metric] <= high <= 100
        assert list(row["by_day_one_size"]) == ["0", "1-3", "4+", "4-9", "10+"]
        assert sum(row["n_by_day_one_size"][size] for size in DISJOINT_SIZES) == 160
        assert sum(row["routes"].values()) == pytest.approx(1, abs=1e-3)
        assert row["ms_per_user"] >= 0


def test_figures_are_means_over_all_cold_users_of_all_seeds_in_percent(
    results: Results, splits: dict[int, Split], lists: dict[str, list[np.ndarray]]
) -> None:
    for name in results.strategies:
        measured = [measure(of, cohort.truth) for of, cohort in zip(lists[name], cold(splits), strict=True)]
        for metric in ("precision", "recall", "ndcg"):
            values = 100 * np.concatenate([getattr(of_seed, metric) for of_seed in measured])
            assert results.get(name, metric).mean == pytest.approx(values.mean())
        for seed, of_seed in zip(SEEDS, measured, strict=True):
            assert results.get(name, "precision", f"seed={seed}").mean == pytest.approx(100 * of_seed.precision.mean())


def near(figure: Figure, interval: Interval) -> bool:
    """Tell whether intervals are the same but for the order in which numbers were added."""
    assert figure.low is not None
    assert figure.high is not None
    return np.allclose([figure.mean, figure.low, figure.high], [interval.mean, interval.low, interval.high])


def test_figures_by_day_one_size_and_intervals_over_users(
    results: Results, splits: dict[int, Split], lists: dict[str, list[np.ndarray]]
) -> None:
    users = np.concatenate([cohort.users for cohort in cold(splits)])
    sizes = np.concatenate([cohort.day_one_size for cohort in cold(splits)])
    assert len(np.unique(users)) < len(users)  # some users are cold in both seeds
    precision = 100 * np.concatenate(
        [measure(mine, cohort.truth).precision for mine, cohort in zip(lists["segment"], cold(splits), strict=True)]
    )
    assert near(results.get("segment", "precision"), bootstrap_mean(precision, users))
    for label, chosen in {"0": sizes == 0, "1-3": (sizes >= 1) & (sizes <= 3), "4+": sizes >= 4}.items():
        figure = results.get("segment", "precision", f"day_one_size={label}")
        assert figure.n == chosen.sum()
        assert near(figure, bootstrap_mean(precision[chosen], users[chosen]))
    assert list(DAY_ONE_SIZES) == ["0", "1-3", "4+", "4-9", "10+"]
    idle = np.concatenate([sum(rows.lengths() for rows in cohort.day_one.values()) == 0 for cohort in cold(splits)])
    assert 0 < idle.sum() <= (sizes == 0).sum()
    figure = results.get("segment", "precision", "nothing_done")
    assert figure.n == idle.sum()
    assert near(figure, bootstrap_mean(precision[idle], users[idle]))


def test_strategies_are_compared_with_segment_user_by_user(
    results: Results, splits: dict[int, Split], lists: dict[str, list[np.ndarray]]
) -> None:
    users = np.concatenate([cohort.users for cohort in cold(splits)])
    precision = {
        name: 100
        * np.concatenate(
            [measure(mine, cohort.truth).precision for mine, cohort in zip(lists[name], cold(splits), strict=True)]
        )
        for name in STRATEGIES
    }
    expected = bootstrap_mean(precision["popular"] - precision["segment"], users)
    assert near(results.get("popular", "precision_minus:segment"), expected)
    as_json = {row["strategy"]: row for row in results.to_json()["results"]}
    assert "minus_segment" not in as_json["segment"]
    assert "minus_segment" in as_json["popular"]


def test_routes_are_shares_of_users(results: Results, splits: dict[int, Split]) -> None:
    assert results.get("popular", "route:popular").mean == 100
    assert set(results.split_metric("day_one", "route:")) <= {"day_one", "group"}
    sizes = np.concatenate([cohort.day_one_size for cohort in cold(splits)])
    # Without a used item there may still be an onboarded or searched one.
    assert results.get("day_one", "route:day_one").mean >= 100 * (sizes > 0).mean()


def test_the_other_convention_of_precision(world: Dataset, splits: dict[int, Split], recommender: Recommender) -> None:
    results = run(world, splits, recommender, ("popular",), "k")
    assert results.to_json()["precision_convention"] == "hits / K"
    hits = [
        measure(recommender.answer_batch(cohort_query(recommender, world, c, K).signals, K, "popular").items, c.truth)
        for c in cold(splits)
    ]
    relevant = np.concatenate([c.truth.lengths() for c in cold(splits)])
    expected = 100 * (np.concatenate([found.recall for found in hits]) * relevant / K).mean()
    assert results.get("popular", "precision").mean == pytest.approx(expected)
    assert results.find("popular", "precision_minus:segment") is None  # segment was not asked for


def test_a_strategy_named_twice_is_judged_once(
    world: Dataset, splits: dict[int, Split], recommender: Recommender
) -> None:
    results = run(world, splits, recommender, ("popular", "day_one", "popular"))
    assert results.strategies == ("popular", "day_one")


def test_scoring_starts_from_nothing_for_each_strategy(
    world: Dataset, splits: dict[int, Split], recommender: Recommender
) -> None:
    query = cohort_query(recommender, world, splits[SEED].cold, K)
    score_strategy(query, splits[SEED].cold, "segment", "min")
    assert "features" not in vars(query)
    assert "predicted" not in vars(query)


@pytest.mark.parametrize(("first_wait", "is_repeated"), [(ENOUGH_SECONDS / 2, True), (ENOUGH_SECONDS, False)])
def test_short_passes_are_repeated_and_the_quickest_is_the_time(
    world: Dataset, splits: dict[int, Split], recommender: Recommender, first_wait: float, is_repeated: bool
) -> None:
    cohort = splits[SEED].cold
    passes: list[Query] = []

    def wait_once(query: Query) -> Answer:
        if query.n_users == len(cohort.users):
            sleep(0 if passes else first_wait)
            passes.append(query)
        return POPULAR.recommend(query)

    scores = score_strategy(cohort_query(recommender, world, cohort, K), cohort, wait_once, "min")
    assert (1 < len(passes) <= MOST_PASSES) == is_repeated
    assert (scores.seconds < first_wait) == is_repeated
    assert len(set(map(id, passes))) == len(passes)  # nothing computed in one is at hand in the next


def test_evaluate_trains_once_for_each_seed(world: Dataset) -> None:
    """The whole way: each seed has its own cold users, and the results repeat."""
    told: list[tuple[str, int, int]] = []
    results = evaluate(
        world,
        brief_config(),
        strategies=("segment", "popular"),
        n_seeds=2,
        k=10,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert (results.k, results.seeds, results.n_cold, results.n_warm) == (10, SEEDS, 80, 280)
    assert results.strategies == ("segment", "popular")
    assert [at for at in told if at[0].startswith("seed")] == [(f"seed {seed}", at, 2) for at, seed in enumerate(SEEDS)]
    assert told[-1] == ("done", 2, 2)
    again = evaluate(world, brief_config(), strategies=("segment", "popular"), n_seeds=1, k=10)
    for name in results.strategies:
        one, other = (each.get(name, "precision", f"seed={SEED}") for each in (results, again))
        assert one == other


def test_evaluate_refuses_unknown_strategies_before_training(world: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"^strategy: 'magic' is unknown; choose of popular, "):
        evaluate(world, strategies=("segment", "magic"))


def test_cold_users_lists_hold_nothing_of_their_day_one(
    world: Dataset, splits: dict[int, Split], lists: dict[str, list[np.ndarray]]
) -> None:
    for number, cohort in enumerate(cold(splits)):
        for name in STRATEGIES:
            for row in range(len(cohort)):
                for signal in ("stream", "favorite", "ban"):
                    done = cohort.day_one[signal, ITEM].row(row)
                    assert not set(done.tolist()) & set(lists[name][number][row].tolist())
