"""Cold users x strategies x seeds: who gets how good a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from firstday.config import Config, as_published
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Cohort, Split
from firstday.errors import ConfigError
from firstday.evaluation.results import REFERENCE, Results, Scores, make_figures, measure_novelty
from firstday.evaluation.slices import (
    SeedFacts,
    count_by_part,
    divide_by_use,
    join_profiles,
    look_at_seed,
    slice_by_day_one,
    slice_by_profile,
    to_shares,
)
from firstday.metrics import PrecisionRule, measure
from firstday.progress import Progress, no_progress, open_progress
from firstday.recommend.nearest_segment import SEGMENT
from firstday.recommend.neighbors import FRIENDS
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.spec import (
    PAPER_SEGMENT,
    ColdModelSpec,
    Method,
    Strategy,
    baseline_names,
    check_judged,
    check_strategies,
    names_of_both_ways,
    register,
    strategies_with,
    with_methods_of,
)
from firstday.training.fit import choose_protocol, cohort_query, fit, split_for
from firstday.training.tune_baselines import TunedBaseline, Tuning, tune_baselines

ENOUGH_SECONDS, MOST_PASSES = 0.2, 5
"""Lists are made until they took so long, but no oftener than that, and the quickest pass is their time."""


@dataclass(frozen=True, eq=False)
class SeedRun:
    """One seed: every strategy's lists for its cold users, judged.

    Parameters
    ----------
    seed
        The seed.
    scores
        By strategy.
    cohort
        The cold users.
    did_nothing
        Whether each left nothing but a profile on day one, bool, shape (n_cold,).
    has_friends
        Whether each has a friend whose habits the model knows, bool, shape (n_cold,).
    n_warm
        How many users the model was trained on.
    k
        Length of the lists.
    fit_seconds
        Time to train.
    facts
        What a report tells of the model and the users.
    notes
        What was decided about the data.
    tunings
        How the baselines fitted for this seed were tuned, by name.
    """

    seed: int
    scores: Mapping[str, Scores]
    cohort: Cohort
    did_nothing: np.ndarray
    has_friends: np.ndarray
    n_warm: int
    k: int
    fit_seconds: float
    facts: SeedFacts
    notes: tuple[str, ...] = ()
    tunings: Mapping[str, Tuning] = field(default_factory=dict)


def score_strategy(query: Query, cohort: Cohort, strategy: str | Strategy, divide_by: PrecisionRule) -> Scores:
    """Make one strategy's lists for a cohort and measure them."""
    answer, seconds = _time_lists(query, strategy)
    metrics = measure(answer.items, cohort.truth, divide_by=divide_by)
    reached = len(np.unique(answer.items[answer.items >= 0])) / query.model.n_items
    novelty = measure_novelty(answer.items, query.model.everyone)
    places = count_by_part(answer.items, divide_by_use(query.model))
    return Scores(metrics, Counter(answer.routes.tolist()), seconds, novelty, reached, places)


def _time_lists(query: Query, strategy: str | Strategy) -> tuple[Answer, float]:
    """Make lists, and return them with the least time of a few passes; a pass that takes long is the only one."""
    answer_all(query.take(np.arange(1)), strategy)  # what a model prepares once is not a user's time
    passes: list[float] = []
    while not passes or (sum(passes) < ENOUGH_SECONDS and len(passes) < MOST_PASSES):
        fresh = replace(query)  # nothing computed for another strategy, or in another pass, is counted as free
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
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress | bool | None = True,
    tuned_peers: bool = False,
) -> Results:
    """Hold out cold users, train on the others, and judge the strategies on the cold users, once for each seed.

    Parameters
    ----------
    dataset, config, progress
        See `train`.
    strategies
        Names of strategies and baselines, or methods of your own: a `StrategySpec`, a `ColdModelSpec` (judged by both
        of its strategies) or a `BaselineSpec`. What they need is trained. If empty, all that a model of the
        configuration can answer by, see `default_strategies`.
    baselines
        Whether all baselines, and the paper's own system as published, are judged beside them.
    tune_once
        Whether the options chosen on the first seed's validation users serve for every seed: much quicker, and to the
        baselines' advantage, as some of these are cold users of other seeds.
    n_seeds
        How many seeds, from `config.seed` on.
    k
        Length of the lists; `recommend.k` of the configuration if left out.
    divide_by
        What precision is divided by: hits / min(k, items to be found) as in the paper (``min``), or hits / k (``k``).
    against
        Strategies with which the others are compared, by difference and ratio of precision. A method from outside
        firstday is compared with every other by difference.
    options
        Options of baselines that are not to be chosen anew, by name.
    tuned_peers
        The old name of `baselines`.

    Raises
    ------
    ConfigError
        A strategy that does not exist or cannot be asked, or a setting that does not fit.
    """
    names = _names_of(strategies)
    check_judged(names)
    fitted_here = (*baseline_names(), PAPER_SEGMENT)
    held = [name for name in names if name not in fitted_here]
    config = with_methods_of(config or Config(), held)
    check_strategies(held, config)
    for name, number in (("n_seeds", n_seeds), ("k", k)):
        if number is not None and number < 1:
            raise ConfigError(f"{name}: is {number}; give a whole number, at least 1.")
    names = [*(names or default_strategies(dataset, config)), *(fitted_here if baselines or tuned_peers else ())]
    for name in against:
        if name != REFERENCE and name not in names:
            raise ConfigError(f"against: {name} is not among the strategies; add it to them.")
    to_tune = [name for name in baseline_names() if name in names]

    k = k or config.recommend.k
    chosen = dict(options or {})
    runs = []
    with open_progress(progress) as report:
        for number, seed in enumerate(range(config.seed, config.seed + n_seeds)):
            report(f"seed {seed}", number, n_seeds)
            split = split_for(dataset, config, seed, with_cold=True)
            seed_config = config.override("seed", seed)
            began = perf_counter()
            recommender = fit(dataset, split, seed_config, progress=report)
            fit_seconds = perf_counter() - began
            fitted = tune_baselines(
                dataset, split, recommender, to_tune, k, divide_by=divide_by, options=chosen, progress=report
            )
            if tune_once:
                chosen.update({name: baseline.tuning.options for name, baseline in fitted.items()})
            if PAPER_SEGMENT in names:
                fitted[PAPER_SEGMENT] = _fit_as_published(dataset, split, seed_config)
            run = judge_seed(
                cohort_query(recommender, dataset, split.cold, k),
                split.cold,
                names,
                seed=seed,
                n_warm=len(split.warm),
                fit_seconds=fit_seconds,
                notes=split.notes,
                fitted=fitted,
                describe_model=number == 0,
                divide_by=divide_by,
                progress=report,
            )
            runs.append(run)
            del recommender, fitted  # a model less in memory while the next is trained
        report("done", n_seeds, n_seeds)
    return join_seeds(
        dataset.name,
        runs,
        protocol=choose_protocol(dataset, config),
        divide_by=divide_by,
        against=against,
        precomputed=dataset.precomputed is not None,
    )


def default_strategies(dataset: Dataset, config: Config) -> tuple[str, ...]:
    """Return all strategies that a model of a configuration can answer by; `friends` only where somebody has any."""
    nobody = dataset.friends is None or not dataset.friends.n_entries
    return tuple(name for name in strategies_with(config) if not (nobody and name == FRIENDS.name))


def _names_of(strategies: Sequence[str | Method]) -> list[str]:
    """Return the names to judge, after making the caller's own methods known."""
    names: list[str] = []
    for strategy in strategies:
        if isinstance(strategy, str):
            names.append(strategy)
            continue
        register(strategy)
        is_cold_model = isinstance(strategy, ColdModelSpec)
        names += names_of_both_ways(strategy.name) if is_cold_model else [strategy.name]
    return names


def _fit_as_published(dataset: Dataset, split: Split, config: Config) -> TunedBaseline:
    """Train the paper's own system as it is published, on the first day ones of a split."""
    published = as_published(config)
    began = perf_counter()
    model = fit(dataset, replace(split, warm_day_one=split.warm_day_one[:1]), published, weigh=False).model
    seconds = perf_counter() - began
    precision = model.facts["metrics"]["precision"]["segment"]
    options = published.model_dump(include={"features", "cold_model"}, mode="json")

    def recommend(query: Query) -> Answer:
        answer = SEGMENT.recommend(replace(query, model=model))
        return replace(answer, routes=np.where(answer.routes == "segment", PAPER_SEGMENT, answer.routes))

    return TunedBaseline(recommend, Tuning({}, options, precision, len(split.validation), seconds, 0.0))


def judge_seed(
    query: Query,
    cohort: Cohort,
    strategies: Sequence[str],
    *,
    seed: int,
    n_warm: int,
    fit_seconds: float,
    did_nothing: np.ndarray | None = None,
    notes: tuple[str, ...] = (),
    fitted: Mapping[str, TunedBaseline] | None = None,
    describe_model: bool = False,
    divide_by: PrecisionRule = "min",
    progress: Progress = no_progress,
) -> SeedRun:
    """Judge strategies on the cold users of one trained model.

    Parameters
    ----------
    query
        The cold users, asking the model.
    cohort
        Who they are, and what they used afterwards.
    strategies
        Names of strategies, or of baselines in `fitted`; a name given twice counts once.
    seed, n_warm, fit_seconds, notes
        See `SeedRun`.
    did_nothing
        As in `SeedRun`; what the cohort says if left out.
    fitted
        Baselines fitted for this seed, by name.
    describe_model
        Whether this seed's model is the one that a report describes.
    divide_by
        See `firstday.metrics.measure`.
    progress
        Called as strategies are judged.
    """
    fitted = fitted or {}
    names = tuple(dict.fromkeys(strategies))
    scores = {}
    for number, name in enumerate(names):
        progress("lists", number, len(names))
        strategy = fitted[name].recommend if name in fitted else name
        scores[name] = score_strategy(query, cohort, strategy, divide_by)
    progress("lists", len(names), len(names))
    return SeedRun(
        seed=seed,
        scores=scores,
        cohort=cohort,
        did_nothing=cohort.did_nothing if did_nothing is None else did_nothing,
        has_friends=_have_friends(query),
        n_warm=n_warm,
        k=query.k,
        fit_seconds=fit_seconds,
        facts=look_at_seed(query, cohort, is_first=describe_model),
        notes=notes,
        tunings={name: fitted[name].tuning for name in names if name in fitted},
    )


def join_seeds(
    dataset: str,
    runs: Sequence[SeedRun],
    *,
    protocol: str,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    precomputed: bool = False,
) -> Results:
    """Put the seeds together: means over the users of all seeds, with intervals over users.

    Parameters
    ----------
    dataset
        Its name, for the record.
    runs
        One for each seed, of the same strategies.
    protocol
        Its name, for the record.
    divide_by
        See `firstday.metrics.measure`.
    against
        Strategies with which the others are compared; those that were not judged are passed over.
    precomputed
        Whether vectors were brought along, for the record.
    """
    users = np.concatenate([run.cohort.users for run in runs])
    seeds, facts = tuple(run.seed for run in runs), [run.facts for run in runs]
    groups = slice_by_profile(join_profiles([of_seed.profiles for of_seed in facts]), users)
    figures = make_figures(
        {name: [run.scores[name] for run in runs] for name in runs[0].scores},
        users,
        seeds=seeds,
        slices=slice_by_day_one(
            np.concatenate([run.cohort.day_one_size for run in runs]),
            np.concatenate([run.did_nothing for run in runs]),
            np.concatenate([run.has_friends for run in runs]),
        ),
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
        n_cold=len(runs[0].cohort.users),
        fit_seconds=float(np.mean([run.fit_seconds for run in runs])),
        figures=figures,
        notes=runs[0].notes,
        tunings={name: tuple(run.tunings[name] for run in runs) for name in runs[0].tunings},
        groups={column: tuple(labels) for column, labels in groups.items()},
        items_by_popularity=tuple(facts[0].n_items.tolist()),
        used_by_popularity=to_shares(np.sum([of_seed.used for of_seed in facts], axis=0)),
        segments=facts[0].segments,
        history=facts[0].history,
        precomputed=precomputed,
    )


def _have_friends(query: Query) -> np.ndarray:
    """Tell which users have a friend whose habits the model knows, bool, shape (n_users,)."""
    friends = query.signals.friends
    return np.zeros(query.n_users, dtype=bool) if friends is None else np.asarray(friends.lengths() > 0)
