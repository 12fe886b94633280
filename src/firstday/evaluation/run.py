"""Evaluation: train per seed or cut-off and score the strategies' lists for cold users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import get_args

import numpy as np

from firstday.cold.cold_model import Epoch
from firstday.config import Config, as_published
from firstday.data.dataset import Dataset
from firstday.data.splits.histories import write_moment
from firstday.data.splits.holdout import find_cut_offs, hold_out, protocol_of
from firstday.data.splits.split import Cohort, Split
from firstday.errors import LOADED, ConfigError, DataError, expect
from firstday.evaluation.figures import Scores, make_figures, measure_lists, measure_novelty
from firstday.evaluation.results import Results
from firstday.evaluation.slices import (
    N_TENTHS,
    REFERENCE,
    count_by_part,
    divide_by_use,
    read_profiles,
    slice_by_day_one,
    slice_by_profile,
    to_shares,
)
from firstday.metrics import PrecisionRule
from firstday.progress import Progress, no_progress, open_progress
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import (
    baseline_names,
    check_judged,
    check_strategies,
    register,
    strategies_with,
    with_methods_of,
)
from firstday.recommend.segment_description import SegmentRow, describe_segments
from firstday.recommend.spec import PAPER_SEGMENT, ColdModelSpec, Method, Strategy, names_of_both_ways
from firstday.recommend.strategies.blend import have_friends
from firstday.recommend.strategies.people import FRIENDS
from firstday.recommend.strategies.segments import SEGMENT
from firstday.training.fit import cohort_query, fit
from firstday.training.option_search import Tuning, with_options

ENOUGH_SECONDS, MOST_PASSES = 0.2, 5
"""Timing passes repeat until this total time or this number of passes; the fastest one counts."""


@dataclass(frozen=True, eq=False)
class Run:
    """One training run, and the scores of every strategy on its cold users.

    Parameters
    ----------
    seed, cut_off
        The seed, and the cut-off (microseconds since 1970 UTC; None under `sampled`).
    scores
        Scores by strategy.
    cohort
        The cold users.
    did_nothing
        Mask of users with only a profile on day one, bool, shape (n_cold,).
    has_friends
        Mask of users with a friend whose habits the model knows, bool, shape (n_cold,).
    n_warm
        Number of users the model was trained on.
    k
        Length of the lists.
    fit_seconds
        Training time.
    profiles
        From `read_profiles`.
    used
        Later use of cold users by popularity, int64, shape (`N_TENTHS`,).
    n_items
        Number of items of each tenth, int64, shape (`N_TENTHS`,).
    segments, history
        Segments, largest first, and training history of the cold model.
    notes
        Decisions about the data.
    tunings
        How the options of methods were chosen, by name.
    """

    seed: int
    scores: Mapping[str, Scores]
    cohort: Cohort
    did_nothing: np.ndarray
    has_friends: np.ndarray
    n_warm: int
    k: int
    fit_seconds: float
    profiles: Mapping[str, np.ndarray]
    used: np.ndarray
    n_items: np.ndarray
    segments: tuple[SegmentRow, ...]
    history: tuple[Epoch, ...]
    notes: tuple[str, ...] = ()
    tunings: Mapping[str, Tuning] = field(default_factory=dict)
    cut_off: int | None = None


def score_strategy(query: Query, cohort: Cohort, strategy: str | Strategy, divide_by: PrecisionRule) -> Scores:
    """Make and score one strategy's lists for a cohort."""
    answer, seconds = _time_lists(query, strategy)
    reached = len(np.unique(answer.items[answer.items >= 0])) / query.model.n_items
    return Scores(
        measure_lists(answer.items, cohort.truth, divide_by),
        answer.routes,
        seconds,
        measure_novelty(answer.items, query.model.everyone),
        reached,
        count_by_part(answer.items, divide_by_use(query.model)),
    )


def _time_lists(query: Query, strategy: str | Strategy) -> tuple[Answer, float]:
    """Make lists and return them with the time of the fastest pass; a slow pass is not repeated."""
    answer_all(query.take(np.arange(1)), strategy)  # warm-up: one-time preparation is not a user's time
    passes: list[float] = []
    while not passes or (sum(passes) < ENOUGH_SECONDS and len(passes) < MOST_PASSES):
        fresh = replace(query)  # no cached results of other strategies or passes
        began = perf_counter()
        answer = answer_all(fresh, strategy)
        passes.append(perf_counter() - began)
    return answer, min(passes)


def evaluate(
    dataset: Dataset,
    config: Config | None = None,
    *,
    strategies: Sequence[str | Method] = (),
    baselines: bool = False,
    tune_once: bool = False,
    n_seeds: int = 1,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    progress: Progress | bool | None = True,
) -> Results:
    """Train on warm users and evaluate strategies on cold users.

    With registration times, a model is trained at each of several cut-offs on the log before it. It is evaluated on the
    newcomers up to the next cut-off (`registration.cut_offs`). Otherwise cold users are sampled, once per seed.

    Parameters
    ----------
    dataset, config, progress
        See `train`.
    strategies
        Names of strategies, or methods of your own: a `StrategySpec`, or a `ColdModelSpec` (evaluated with both of its
        strategies). What they need is trained. If empty, all that a model of this configuration supports,
        see `default_strategies`.
    baselines
        Whether to add all strategies with options to search, and the paper's own system as published.
    tune_once
        Whether to reuse the options chosen on the first seed's validation users for every seed. This is much faster,
        but favours methods with options, because some of these users are cold users of other seeds. With cut-offs,
        options are always those chosen at the first one.
    n_seeds
        Number of seeds, starting at `config.seed`.
    k
        Length of the lists; by default `recommend.k` of the configuration. Choices made on validation users (options of
        methods, weights, early stopping) always use lists of `recommend.k`.
    divide_by
        Denominator of precision: hits / min(k, number of relevant items) as in the paper (``min``), or hits / k
        (``k``).
    against
        Reference strategies for differences and ratios of precision. Third-party methods also get the difference to
        every other strategy.

    Raises
    ------
    ConfigError
        A strategy does not exist or is not available, or a setting does not fit.
    DataError
        There are no users to evaluate.
    """
    expect("dataset", dataset, Dataset, LOADED)
    expect("strategies", strategies, (list, tuple), "a list of names of strategies, or of methods of your own")
    names = _names_of(strategies)
    check_judged(names)
    config = Config.of(config)
    if divide_by not in get_args(PrecisionRule):
        raise ConfigError(f"divide_by: is {divide_by!r}; give 'min' or 'k'.")
    for name, number in (("n_seeds", n_seeds), ("k", k)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}: is {number}; give a whole number, at least 1.")
    names = names or list(default_strategies(dataset, config))
    names += (*baseline_names(), PAPER_SEGMENT) if baselines else ()
    held = [name for name in names if name != PAPER_SEGMENT]
    config = with_methods_of(config, held)
    check_strategies(held, config)
    for name in against:
        if name != REFERENCE and name not in names:
            raise ConfigError(f"against: {name} is not among the strategies; add it to them.")

    k = k or config.recommend.k
    runs: list[Run] = []
    with open_progress(progress) as report:
        cut_offs = find_cut_offs(dataset, config)
        n_runs = n_seeds * (1 if cut_offs is None else len(cut_offs.moments))
        for seed in range(config.seed, config.seed + n_seeds):
            for holdout in hold_out(dataset, config, seed, cut_offs):
                seed_config = config.override("seed", seed)
                at = "" if holdout.cut_off is None else f", cut-off {write_moment(holdout.cut_off)[:10]}"
                report(f"seed {seed}{at}", len(runs), n_runs)
                began = perf_counter()
                recommender = fit(holdout.dataset, holdout.split, seed_config, progress=report)
                fit_seconds = perf_counter() - began
                tunings = {
                    name: Tuning(**of) for name, of in recommender.model.facts["metrics"].get("options", {}).items()
                }
                fit_seconds -= sum(tuning.tune_seconds + tuning.fit_seconds for tuning in tunings.values())
                if tune_once or cut_offs is not None:
                    config = with_options(config, {name: tuning.options for name, tuning in tunings.items()})
                published = None
                if PAPER_SEGMENT in names:
                    published, tunings[PAPER_SEGMENT] = _fit_as_published(holdout.dataset, holdout.split, seed_config)
                run = judge_run(
                    cohort_query(recommender, holdout.newcomers, holdout.cold, k),
                    holdout.cold,
                    names,
                    seed=seed,
                    n_warm=len(holdout.split.warm),
                    fit_seconds=fit_seconds,
                    notes=holdout.split.notes,
                    published=published,
                    divide_by=divide_by,
                    progress=report,
                )
                judged = {name: tunings[name] for name in names if name in tunings}
                runs.append(replace(run, cut_off=holdout.cut_off, tunings=judged))
                del recommender, published  # free a model's memory before training the next
        report("done", n_runs, n_runs)
    if not runs:
        raise DataError(
            "users: newcomers used nothing that had existed at the cut-off before they registered, so that there is "
            "nothing to judge; bring a longer log, or items.added_at."
        )
    return join_runs(
        dataset.name,
        runs,
        protocol=protocol_of(dataset, config),
        divide_by=divide_by,
        against=against,
        precomputed=dataset.precomputed is not None,
        target_days=None if cut_offs is None else cut_offs.target_days,
    )


def default_strategies(dataset: Dataset, config: Config) -> tuple[str, ...]:
    """Return all strategies that a model of a configuration supports; `friends` only if there are friendships."""
    nobody = dataset.friends is None or not dataset.friends.n_entries
    return tuple(name for name in strategies_with(config) if not (nobody and name == FRIENDS.name))


def _names_of(strategies: Sequence[str | Method]) -> list[str]:
    """Return the names of the strategies, after registering the caller's own methods."""
    names: list[str] = []
    for strategy in strategies:
        if isinstance(strategy, str):
            names.append(strategy)
            continue
        register(strategy)
        is_cold_model = isinstance(strategy, ColdModelSpec)
        names += names_of_both_ways(strategy.name) if is_cold_model else [strategy.name]
    return names


def _fit_as_published(dataset: Dataset, split: Split, config: Config) -> tuple[Strategy, Tuning]:
    """Train the paper's own system as published, on the first day ones of a split."""
    published = as_published(config)
    began = perf_counter()
    split = replace(split, warm_day_one=split.warm_day_one[:1])
    split = split.fold(split.folds[0]) if split.folds else split
    model = fit(dataset, split, published, weigh=False).model
    seconds = perf_counter() - began
    precision = model.facts["metrics"]["precision"]["segment"]
    options = published.model_dump(include={"features", "cold_model"}, mode="json")

    def recommend(query: Query) -> Answer:
        answer = SEGMENT.recommend(replace(query, model=model))
        return replace(answer, routes=np.where(answer.routes == "segment", PAPER_SEGMENT, answer.routes))

    return recommend, Tuning({}, options, precision, len(split.validation), seconds, 0.0)


def judge_run(
    query: Query,
    cohort: Cohort,
    strategies: Sequence[str],
    *,
    seed: int,
    n_warm: int,
    fit_seconds: float,
    notes: tuple[str, ...] = (),
    published: Strategy | None = None,
    divide_by: PrecisionRule = "min",
    progress: Progress = no_progress,
) -> Run:
    """Score strategies on the cold users of one trained model.

    Parameters
    ----------
    query
        The cold users, querying the model.
    cohort
        The cold users and the items they went on to use.
    strategies
        Names of strategies, or `PAPER_SEGMENT` for `published`; duplicates count once.
    seed, n_warm, fit_seconds, notes
        See `Run`.
    published
        The paper's own system, trained for this seed.
    divide_by
        See `firstday.metrics.measure`.
    progress
        Called after each strategy.
    """
    names = tuple(dict.fromkeys(strategies))
    scores = {}
    for number, name in enumerate(names):
        progress("lists", number, len(names))
        strategy = published if name == PAPER_SEGMENT and published is not None else name
        scores[name] = score_strategy(query, cohort, strategy, divide_by)
    progress("lists", len(names), len(names))
    model, part = query.model, divide_by_use(query.model)
    return Run(
        seed=seed,
        scores=scores,
        cohort=cohort,
        did_nothing=cohort.did_nothing,
        has_friends=have_friends(query),
        n_warm=n_warm,
        k=query.k,
        fit_seconds=fit_seconds,
        profiles=read_profiles(query.signals, model.catalogue.groups),
        used=count_by_part(cohort.truth.columns, part),
        n_items=np.bincount(part, minlength=N_TENTHS),
        segments=describe_segments(model),
        history=model.cold.history,
        notes=notes,
    )


def join_runs(
    dataset: str,
    runs: Sequence[Run],
    *,
    protocol: str,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    precomputed: bool = False,
    target_days: float | None = None,
) -> Results:
    """Pool runs: means over the users of all runs, with intervals over cohorts, or over users if cohorts are few.

    Parameters
    ----------
    dataset
        Name of the dataset, recorded in the results.
    runs
        One per training run, with the same strategies.
    protocol
        Name of the protocol, recorded in the results.
    divide_by
        See `firstday.metrics.measure`.
    against
        Reference strategies; those not evaluated are ignored.
    precomputed, target_days
        See `Results`.
    """

    def join(column: Callable[[Run], np.ndarray]) -> np.ndarray:
        return np.concatenate([column(run) for run in runs])

    users, seed_of_row = join(lambda run: run.cohort.users), join(lambda run: np.full(len(run.cohort), run.seed))
    cohorts = join(lambda run: np.full(len(run.cohort), -1 if run.cut_off is None else run.cut_off))
    seeds = tuple(dict.fromkeys(run.seed for run in runs))
    moments = {moment: write_moment(moment) for moment in sorted(set(cohorts.tolist()) - {-1})}
    first, firsts = runs[0], [next(run for run in runs if run.seed == seed) for seed in seeds]
    profiles = {name: np.concatenate([run.profiles[name] for run in runs]) for name in first.profiles}
    groups = slice_by_profile(profiles, users)
    figures = make_figures(
        {name: [run.scores[name] for run in runs] for name in first.scores},
        users,
        cohorts,
        slices={
            **slice_by_day_one(
                join(lambda run: run.cohort.day_one_size),
                join(lambda run: run.did_nothing),
                join(lambda run: run.has_friends),
            ),
            **{f"seed={seed}": seed_of_row == seed for seed in seeds},
            **{f"cut_off={text}": cohorts == moment for moment, text in moments.items()},
        },
        groups=groups,
        against=against,
    )
    return Results(
        dataset=dataset,
        protocol=protocol,
        k=runs[-1].k,
        seeds=seeds,
        divide_by=divide_by,
        n_warm=runs[-1].n_warm,
        n_cold=int((seed_of_row == seeds[0]).sum()),
        fit_seconds=float(np.mean([run.fit_seconds for run in runs])),
        figures=figures,
        notes=first.notes,
        tunings={name: tuple(run.tunings[name] for run in firsts) for name in first.tunings},
        groups={column: tuple(labels) for column, labels in groups.items()},
        items_by_popularity=tuple(first.n_items.tolist()),
        used_by_popularity=to_shares(np.sum([run.used for run in runs], axis=0)),
        segments=first.segments,
        history=first.history,
        precomputed=precomputed,
        cut_offs=tuple(
            {"at": text, "users": int(((cohorts == moment) & (seed_of_row == seeds[0])).sum())}
            for moment, text in moments.items()
        ),
        target_days=target_days,
    )
