"""Options are chosen on validation users alone, and what is learned with them answers as every strategy does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from firstday.config import Config, parse_config
from firstday.data.dataset import Dataset
from firstday.data.events import ITEM
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Split
from firstday.errors import ConfigError
from firstday.evaluation.run import OF_CLOCKS, SIMPLE, _choose_strategies, evaluate
from firstday.features.signal_batch import SignalBatch
from firstday.features.signals import Signals
from firstday.methods.precision import measure_own
from firstday.model.trained_model import TrainedModel
from firstday.progress import no_progress
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query
from firstday.recommend.fold import Fold
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_method, register
from firstday.recommend.spec import PAPER_SEGMENT, Method, OptionSearch, StrategySpec, UseData
from firstday.recommend.support import learners_of, searched_names
from firstday.sparse import SparseRows
from firstday.training.fit import FitResult, fit
from firstday.training.option_search import (
    DATA_GRID,
    MIN_GAIN,
    Tuning,
    collect_uses,
    describe_choices,
    grid_of,
    search_grid,
    search_options,
)
from tests.synthetic import N_ITEMS, SEED, UNUSED_ITEM, brief_config
from tests.timed import DAY, LOG, make_log

K = 20
SMALL: dict[str, dict[str, tuple[float, ...]]] = {
    "item_item": {"shrinkage": (0.0, 10.0), "asymmetry": (0.5,), "neighbors": (20, 100)},
    "user_user": {"rarity": (0.0,), "neighbors": (10, 50), "shrinkage": (10.0,), "power": (1.0, 2.0)},
    "ease": {"regularization": (10.0, 100.0), "dropout": (0.5,)},
    "als_fold_in": {"dimensions": (4, 8), "confidence": (5.0,), "regularization": (1.0,), "frequency": (0.5,)},
    "mult_dae": {"steps": (100,), "width": (16,), "dropout": (0.5, 0.8), "weight_decay": (0.01,)},
}
"""A few options of each baseline, so that tests are quick."""


def with_small_grid(spec: Method | None) -> Any:
    """Return a baseline with few options to try, and other methods as they are."""
    if spec is None or spec.name not in SMALL:
        return spec
    assert isinstance(spec, StrategySpec)
    assert spec.search is not None
    return replace(spec, search=replace(spec.search, grid=SMALL[spec.name], start=None))


def find_small_learners(config: Config) -> tuple[Any, ...]:
    return tuple(map(with_small_grid, learners_of(config)))


@pytest.fixture
def small_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstday.training.option_search.learners_of", find_small_learners)


def configure() -> Config:
    return brief_config(methods=list(searched_names()))


@pytest.fixture(scope="module")
def tuned(world: Dataset, split: Split) -> FitResult:
    """A model with all methods that have options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firstday.training.option_search.learners_of", find_small_learners)
        return fit(world, split, configure())


@pytest.mark.parametrize("name", searched_names())
def test_an_item_that_nobody_uses_says_nothing_and_every_other_one_does(tuned: FitResult, name: str) -> None:
    items = SparseRows.from_lists([[item] for item in range(N_ITEMS)], N_ITEMS)
    routes = answer_query(Query(tuned.model, SignalBatch(N_ITEMS, N_ITEMS, {("stream", ITEM): items}), 5), name).routes
    assert routes[UNUSED_ITEM] == "popular"
    assert set(np.delete(routes, UNUSED_ITEM)) == {name}


def test_the_best_of_the_grid_for_validation_users_is_kept(tuned: FitResult, world: Dataset, split: Split) -> None:
    fold = Fold(cohort_query(tuned.recommender, world, split.validation, K), split.validation.truth)
    for name, tuning in tuned.tunings.items():
        precisions, own = measure_own([fold], name)
        assert tuning.precision == pytest.approx(100 * (precisions * own).mean())
        assert 0 < own.mean() < 1  # some have no items
        best = max(tuning.trials, key=lambda trial: trial["precision"])
        assert best == {**tuning.options, "precision": tuning.precision, "answered": 100 * own.mean()}
        assert tuning.n_users == len(split.validation)
        assert min(tuning.fit_seconds, tuning.tune_seconds) > 0
        for option, value in tuning.options.items():
            assert value in {**SMALL[name], "min_items": DATA_GRID["min_items"]}[option]


@dataclass(frozen=True)
class Oracle:
    """Knows the truth of the first validation users, and of nobody else."""

    first: int

    def score(self, liked: SparseRows) -> np.ndarray:
        scores = np.full((liked.n_rows, liked.n_columns), -np.inf, dtype=np.float32)
        truth = TRUTH[0].take(np.arange(liked.n_rows))
        told = truth.row_of_entry() < self.first
        scores[truth.row_of_entry()[told], truth.columns[told]] = 1
        return scores


TRUTH: list[SparseRows] = []


@dataclass(frozen=True)
class Shy:
    """Answers everybody or nobody."""

    silent: bool


@pytest.mark.usefixtures("fresh_registry")
def test_each_combination_is_tried_and_the_first_of_the_best_chosen(
    world: Dataset, split: Split, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method whose precision is known: it recommends the truth for so many validation users."""
    monkeypatch.setattr("tests.training.test_option_search.TRUTH", [split.validation.truth])
    tried: list[tuple[int, str]] = []
    prepared: list[int] = []

    def prepare(data: UseData) -> Callable[..., Oracle]:
        prepared.append(data.uses.n_rows)

        def fit_oracle(*, first: int, name: str) -> Oracle:
            tried.append((first, name))
            return Oracle(first)

        return fit_oracle

    register(
        StrategySpec(
            name="oracle",
            recommend=lambda query: query.rank_learned("oracle"),
            describe="Knows the truth of some users.",
            value=Oracle,
            search=OptionSearch(grid={"first": (1, 20, 5), "name": ("a", "b")}, prepare=prepare),
        )
    )
    fold = Fold(cohort_query(recommender, world, split.validation, K), split.validation.truth)
    config = recommender.model.config.override("methods", ("oracle",))
    model = replace(recommender.model, config=config)
    model, (fold,), tunings = search_options([fold], model, no_progress, world, split)
    assert model.learned["oracle"] == fold.model.learned["oracle"] == Oracle(20)
    combinations = [(first, name) for first in (1, 20, 5) for name in "ab"]
    # With all users, with fewer of them, again for all validation users, and in the end.
    assert tried == [*combinations, (20, "a"), (20, "a"), (20, "a")]
    assert prepared == [len(split.warm)] * 4
    assert tunings["oracle"].options == {"min_items": 1, "first": 20, "name": "a"}
    tried.clear()
    fixed = replace(model, config=config.override("plugins", {"oracle": {"first": 5, "name": "b"}}))
    model, (fold,), tunings = search_options([fold], fixed, no_progress, world, split)
    assert model.learned["oracle"] == fold.model.learned["oracle"] == Oracle(5)
    # For validation users, and in the end.
    assert tried == [(5, "b")] * 2
    assert len(tunings["oracle"].trials) == 1


@pytest.mark.usefixtures("fresh_registry")
def test_an_option_that_answers_fewer_users_counts_their_lists_as_misses(
    world: Dataset, split: Split, recommender: Recommender
) -> None:
    """Silence would give everybody the fallback's list, which hits; own lists by popularity backwards hit less."""

    def recommend(query: Query) -> Answer:
        is_silent = query.learned("shy").silent
        scores = -query.model.everyone.counts.column_sums().astype(np.float32)
        return query.rank_scores(
            lambda rows: np.tile(scores, (len(rows), 1)), "shy", np.full(query.n_users, not is_silent)
        )

    search = OptionSearch(grid={"silent": (True, False)}, prepare=lambda _data: Shy)
    register(StrategySpec(name="shy", recommend=recommend, describe="Says little.", value=Shy, search=search))
    model = replace(recommender.model, config=recommender.model.config.override("methods", ("shy",)))
    fold = Fold(cohort_query(recommender, world, split.validation, K), split.validation.truth)
    _, _, tunings = search_options([fold], model, no_progress, world, split)
    tuning = tunings["shy"]
    assert not tuning.options["silent"]
    assert {trial["silent"]: trial["answered"] for trial in tuning.trials} == {True: 0, False: 100}
    assert min(trial["precision"] for trial in tuning.trials) == 0


@pytest.mark.parametrize(("dropout", "begins_at"), [(0.5, 0.5), (0.7, 0.0)])
def test_a_search_begins_at_those_options_of_the_cut_off_before_that_are_in_the_grid(
    tuned: FitResult, world: Dataset, split: Split, dropout: float, begins_at: float
) -> None:
    """They are not if the method answered nobody there, and kept its defaults."""
    ease = find_method("ease")
    assert isinstance(ease, StrategySpec)
    assert ease.search is not None
    grid = {"regularization": (1.0, 10.0, 100.0, 1000.0, 10_000.0), "dropout": (0.0, 0.5, 0.9)}
    start = {"regularization": (1.0,), "dropout": (0.0,)}
    wide = replace(ease, search=replace(ease.search, grid=grid, start=start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firstday.training.option_search.learners_of", lambda _config: (wide,))
        fold = Fold(cohort_query(tuned.recommender, world, split.validation, K), split.validation.truth)
        first = {"min_items": 1, "regularization": 1000.0, "dropout": dropout}
        _, _, tunings = search_options([fold], tuned.model, no_progress, world, split, {"ease": first})
    assert {**first, "dropout": begins_at}.items() <= tunings["ease"].trials[0].items()


def test_options_of_the_configuration_are_not_searched() -> None:
    def grid(*, has_times: bool = False, **options: float | None) -> Mapping[str, tuple[Any, ...]]:
        return grid_of(
            with_small_grid(find_method("ease")), configure().override("plugins.ease", options), has_times=has_times
        )[0]

    fixed = grid(dropout=0.5, regularization=7.0, window_days=None)
    assert fixed == {"min_items": (1,), "regularization": (7.0,), "dropout": (0.5,)}
    assert grid(regularization=7.0, min_items=2) == {**fixed, "min_items": (2,)}
    assert grid(has_times=True, min_items=2, window_days=None)["window_days"] == (None,)
    with pytest.raises(ConfigError, match=r"^plugins\.ease: 'shrinkage' is not an option; choose one of min_items, "):
        grid(shrinkage=1.0)


def test_methods_learn_from_everyone_and_may_leave_those_with_few_items_out(
    world: Dataset, recommender: Recommender
) -> None:
    config = recommender.model.config
    split = split_for_training(world, config, SEED, with_cold=True)
    everyone = collect_uses(world, split, config, 1, None)
    assert everyone.uses.n_rows == len(split.warm)
    heavy = collect_uses(world, split, config, 17, None)
    assert heavy.uses.n_rows == (everyone.uses.lengths() >= 17).sum() < len(split.warm)
    assert heavy.affinity.n_rows == heavy.uses.n_rows


def test_a_window_counts_the_last_days_alone() -> None:
    log = make_log()
    config = parse_config({"registration": {"target_days": 5}})
    split = split_for_training(log, config, SEED)
    recent = collect_uses(log, split, config, 1, 3.0)
    end = (log.events.last or 0) + 1
    rows = log.events.whole().filter(LOG.is_use() & LOG.between(end - 3 * DAY, end))
    assert recent.uses.n_entries == rows.select("user_ix", "target_ix").unique().height
    assert collect_uses(log, split, config, 1, None).uses.n_entries > recent.uses.n_entries


def test_the_best_moves_along_the_grid_until_no_neighbour_is_better() -> None:
    """A hill with its top at 4 and 20, seen from a corner: one option after the other moves, nothing is tried twice."""
    tried: list[tuple[float, ...]] = []

    def precision(options: Mapping[str, float]) -> float:
        tried.append(tuple(options.values()))
        return -((options["width"] - 4) ** 2) - (options["depth"] - 20) ** 2

    grid = {"width": (1, 2, 3, 4, 5), "depth": (10, 20, 30)}
    best = search_grid(grid, {"width": (2, 1), "depth": (10,)}, precision)
    assert best == ({"width": 4, "depth": 20}, 0)
    start = [(2, 10), (1, 10)]
    moves = [(3, 10), (4, 10), (5, 10), (4, 20), (4, 30), (3, 20), (5, 20)]
    assert tried == [*start, *moves]


def test_the_first_of_equals_is_taken_and_a_small_gain_is_no_reason_to_move() -> None:
    grid = {"a": (1, 2, 3), "b": (1, 2, 3)}
    assert search_grid(grid, {"a": (1, 2), "b": (3, 2)}, lambda _options: 7.0) == ({"a": 1, "b": 3}, 7.0)
    assert search_grid(grid, {}, lambda options: -abs(options["a"] - 2)) == ({"a": 2, "b": 1}, 0.0)
    values = {16: 40.0, 32: 40.25, 64: 40.25 + MIN_GAIN / 2, 128: 41.0}
    for start, best in (({"size": (16,)}, 32), ({}, 128)):
        found = search_grid({"size": tuple(values)}, start, lambda options: values[options["size"]])
        assert found == ({"size": best}, values[best])


def test_a_start_outside_the_grid_is_refused() -> None:
    grid = {"dropout": (0.0, 0.5)}
    with pytest.raises(ConfigError, match=r"^dropout: the start value 0\.7 is not in its grid; add it\.$"):
        OptionSearch(grid=grid, prepare=lambda _: lambda: None, start={"dropout": (0.5, 0.7)})


def test_a_choice_at_an_edge_of_the_grid_is_reported() -> None:
    grid = {"dimensions": (16, 32, 64), "confidence": (5.0, 10.0), "regularization": (1.0, 2.0, 3.0), "name": ("a",)}
    tuning = Tuning(grid, dict(zip(grid, (64, 5.0, 2.0, "a"), strict=True)), 51.0, 5, 0.1, 2.0)
    elsewhere = replace(tuning, options=dict(zip(grid, (32, 10.0, 2.0, "a"), strict=True)))
    assert describe_choices((tuning, elsewhere, tuning)) == [
        "dimensions 64 (highest of the grid), 32",
        "confidence 5.0 (lowest of the grid), 10.0 (highest of the grid)",
        "regularization 2.0",
        "name a",
    ]
    assert tuning.to_json()["edges"] == {"dimensions": "highest", "confidence": "lowest"}


def test_what_cold_users_did_changes_no_choice(
    tuned: FitResult, world: Dataset, split: Split, small_grids: None
) -> None:
    """Cold users who swap day one and truth, and all use one item more: nothing chosen or fitted moves."""
    cold = split.cold
    turned = replace(
        cold,
        day_one={("stream", ITEM): cold.truth, ("stream", "artist"): SparseRows.empty(len(cold), 24)},
        truth=SparseRows.from_lists([[UNUSED_ITEM]] * len(cold), N_ITEMS),
    )
    again = fit(world, replace(split, cold=turned), brief_config(methods=["ease"]))
    assert again.tunings.keys() == {"ease"}
    before, after = (fitted.tunings["ease"] for fitted in (tuned, again))
    assert (after.options, after.precision) == (before.options, before.precision)
    query, other = (cohort_query(fitted.recommender, world, split.validation, K) for fitted in (tuned, again))
    np.testing.assert_array_equal(answer_query(query, "ease").scores, answer_query(other, "ease").scores)


def test_baselines_are_tuned_and_evaluated_like_strategies(world: Dataset, small_grids: None) -> None:
    results = evaluate(world, brief_config(), strategies=["ease"], k=K)
    values = json.loads(json.dumps(results.to_json()))
    assert results.strategies[-1] == "ease"
    assert set(values["options"]) == {"ease"}
    ease = values["options"]["ease"]
    grid = {"min_items": DATA_GRID["min_items"], **SMALL["ease"]}
    assert {name: tuple(tried) for name, tried in ease["grid"].items()} == grid
    assert [run["seed"] for run in ease["runs"]] == [SEED]


def test_all_baselines_are_asked_for_at_once(world: Dataset) -> None:
    names, config = _choose_strategies(world, brief_config(), (), every=False, baselines=True)
    assert names[-1] == PAPER_SEGMENT
    assert set(names) == {"auto", *SIMPLE, *searched_names(), PAPER_SEGMENT} - {*OF_CLOCKS}
    assert set(config.methods) == {*searched_names()}


def test_the_lists_of_segments_lean_on_everyone_as_validation_users_say(
    tiny: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segment 1 has i4 first; with twenty average users beside its two, i3."""
    monkeypatch.setattr("firstday.methods.precision.MEASURED_LENGTHS", (1,))
    batch, _ = tiny.model.catalogue.read([Signals(age=40, country="DE")])

    def choose(item: int, **fixed: float) -> TrainedModel:
        model = replace(tiny.model, config=tiny.model.config.override("plugins", {"segment": fixed}))
        fold = Fold(Query(model, batch, 1), SparseRows.from_lists([[item]], 6))
        model, (fold,), tunings = search_options([fold], model, no_progress)
        assert tunings["segment"].options == {"smoothing": model.learned["segment"].smoothing}
        assert fold.model.learned["segment"] == model.learned["segment"]
        return model

    smoothings = [choose(2), choose(3), choose(5), choose(2, smoothing=7.0)]
    assert [model.learned["segment"].smoothing for model in smoothings] == [20, 0, 0, 7]
    # Nobody has friends, so nothing is chosen for their lists.
    assert {model.learned["friends"] for model in smoothings} == {tiny.model.learned["friends"]}
