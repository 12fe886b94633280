"""Evaluation: train per seed or cut-off and score the strategies' lists for cold users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, get_args

import numpy as np
import polars as pl

from firstday.config import Config, as_in_paper
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.splits.cut_offs import CutOffs
from firstday.data.splits.holdout import AllUses, Holdout, find_cut_offs, hold_out, protocol_of
from firstday.data.splits.split import Cohort
from firstday.data.splits.target_uses import AT_TRAINING, BY_DAY_ONE
from firstday.engine.protocol import read_target_uses
from firstday.errors import LOADED, ConfigError, expect
from firstday.evaluation.arrivals import query_cold_users
from firstday.evaluation.evaluation_split import EvaluationSplit, name_cut_off
from firstday.evaluation.figures import (
    Scores,
    make_figures,
    measure_all_uses,
    measure_diversity,
    measure_lists,
    measure_novelty,
)
from firstday.evaluation.own_metrics import OwnMetric, name_metrics
from firstday.evaluation.results import DIVERSITY, JUDGED, MINUS_OLDER, OF_ALL, OLDER_BY, Results
from firstday.evaluation.slices import (
    read_profiles,
    slice_by_profile,
    slice_users,
)
from firstday.features.catalogue import Catalogue
from firstday.features.signal_batch import SignalBatch
from firstday.methods.auto import AUTO
from firstday.methods.people import FRIENDS
from firstday.methods.segments import SEGMENT
from firstday.metrics import PrecisionRule
from firstday.model.trained_model import KNOWLEDGE
from firstday.progress import Progress, no_progress, open_progress
from firstday.recommend.answers import answer_query
from firstday.recommend.batch import read_profile
from firstday.recommend.dataset_query import cohort_query, index_lists
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import find_strategy, is_plugin, register, restored, strategy_names
from firstday.recommend.rules.list_rules import NO_RULES, Rules, check_rules, compile_rules
from firstday.recommend.segment_description import SegmentRow, describe_segments
from firstday.recommend.spec import PAPER_SEGMENT, Method, Strategy, is_own
from firstday.recommend.support import check_strategies, searched_names, strategies_with, with_methods_of
from firstday.segment.segments import ItemCounts
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.fit import fit
from firstday.training.option_search import Tuning

SIMPLE = ("recent", "trending", "latest", "popular", "group", "segment", "edlae")
"""The simple strategies, which are always evaluated."""
COMBINED = ("auto", "blend")
"""Strategies that combine others, and so are no single method."""
DESCRIBED = ("clock", "order")
"""Learned values that results describe."""
OF_CLOCKS = SIMPLE[:3]
"""Simple strategies that need a log with times."""


@dataclass(frozen=True, eq=False)
class Run:
    """One training run, and the scores of every strategy on its cold users.

    `users` has one row per cold user: `user_id`, `day_one_size`, `knowledge` (a class of
    `KNOWLEDGE`), `did_nothing` (but give a profile), `has_friends` (whose habits the model knows), and `model_age`, the
    days from the cut-off to registration, NaN under `sampled`. `items` are the ids of the items of lists;
    `all_items` are those of `Scores.all_lists`. `cut_off` is in UTC, "" under `sampled`. `learned` describes the
    model's clock and order.
    """

    scores: Mapping[str, Scores]
    users: pl.DataFrame
    n_warm: int
    k: int
    profiles: Mapping[str, np.ndarray]
    items: Ids
    seed: int
    segments: tuple[SegmentRow, ...] = ()
    fit_seconds: float = 0.0
    cut_off: str = ""
    learned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tunings: Mapping[str, Tuning] = field(default_factory=dict)
    all_items: Ids | None = None

    def describe_learned(self) -> list[str]:
        """Return `learned`, each sentence with the cut-off, or the seed, of the run."""
        return [f"{self.cut_off[:10] or f'Seed {self.seed}'}: {sentence}" for sentence in self.learned]

    def of_holdout(self, holdout: Holdout) -> Run:
        """Add when users registered, and the items of lists that have those which came by the end of day one."""
        if holdout.all_uses is None:
            return self
        users = self.users.with_columns(model_age=holdout.all_uses.model_age)
        return replace(self, users=users, all_items=holdout.newcomers.items)

    def tabulate_users(self) -> pl.DataFrame:
        """Return one row per strategy and cold user, with the columns of `Results.users`."""
        frames = []
        for name, scores in self.scores.items():
            metrics = {metric: values for metric, values in scores.metrics.items() if MINUS_OLDER not in metric}
            frame = self.users.with_columns(
                pl.lit(name).alias("strategy"),
                pl.lit(self.seed).alias("seed"),
                pl.lit(self.cut_off).alias("cut_off"),
                pl.Series("route", scores.routes, dtype=pl.String),
                pl.Series("is_own", is_own(scores.routes, name)),
                *(pl.Series(metric, values) for metric, values in metrics.items()),
            )
            frames.append(frame)
        return pl.concat(frames, how="diagonal")

    def tabulate_lists(self) -> pl.DataFrame:
        """Return one row per strategy, cold user and place of a list, with the columns of `Results.lists`."""
        users = self.tabulate_users().select("strategy", "seed", "cut_off", "user_id", "route")
        frames = []
        kinds = (AT_TRAINING, "lists", self.items), (BY_DAY_ONE, "all_lists", self.all_items)
        for catalogue, name, items in kinds:
            if items is not None:
                lists = np.concatenate([getattr(scores, name) for scores in self.scores.values()])
                row, position = np.nonzero(lists >= 0)
                item_id = items.take(lists[row, position])
                frames.append(users[row].with_columns(catalogue=pl.lit(catalogue), rank=position + 1, item_id=item_id))
        return pl.concat(frames)

    @property
    def is_evaluated(self) -> np.ndarray:
        """See `Scores`; it is the same for every strategy."""
        return next(iter(self.scores.values())).is_evaluated


def score_strategy(
    query: Query,
    cohort: Cohort,
    strategy: Strategy,
    divide_by: PrecisionRule = "min",
    own_metrics: Mapping[str, OwnMetric] = {},
) -> Scores:
    """Make and score one strategy's lists for a cohort."""
    strategy(query.take(np.arange(1)))  # one-time preparation is not a user's time
    fresh = replace(query)  # without results cached for other strategies
    began = perf_counter()
    answer = strategy(fresh)
    seconds = perf_counter() - began
    model = query.model
    return score_lists(
        answer.items,
        answer.routes,
        cohort.truth,
        model.everyone,
        model.catalogue.items.values,
        divide_by,
        own_metrics,
        vectors=model.fold_in.item_vectors,
        seconds=seconds,
    )


def score_lists(
    lists: np.ndarray,
    routes: np.ndarray,
    truth: SparseRows,
    everyone: ItemCounts,
    items: pl.Series,
    divide_by: PrecisionRule = "min",
    own_metrics: Mapping[str, OwnMetric] = {},
    *,
    vectors: np.ndarray | None = None,
    seconds: float = np.nan,
) -> Scores:
    """Score one strategy's lists.

    `everyone` has the items of warm users, `items` the ids, and `vectors` the vectors of items, without which lists
    have no diversity. For other arguments see `Scores`.
    """
    is_evaluated = truth.lengths() > 0
    evaluated = lists[is_evaluated]
    of_evaluated = truth.take(np.flatnonzero(is_evaluated))
    metrics = measure_lists(evaluated, of_evaluated, divide_by)
    metrics["novelty_bits"] = measure_novelty(evaluated, everyone)
    if vectors is not None:
        metrics[DIVERSITY] = measure_diversity(evaluated, vectors)
    for metric, measure in own_metrics.items():
        metrics[metric] = measure(evaluated.copy(), of_evaluated, items)
    position = np.where(is_evaluated, is_evaluated.cumsum() - 1, -1)
    metrics = {metric: np.append(values, np.nan)[position] for metric, values in metrics.items()}
    return Scores(metrics, routes, seconds, lists)


@restored()
def evaluate(
    dataset: Dataset | EvaluationSplit,
    config: Config | None = None,
    *,
    strategies: Sequence[str | Method] = (),
    all_strategies: bool = False,
    baselines: bool = False,
    n_seeds: int = 1,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (),
    rules: Rules | Mapping[str, Any] | None = None,
    metrics: Sequence[OwnMetric] = (),
    progress: Progress | bool | None = True,
) -> Results:
    """Train on warm users and evaluate `auto`, the simple strategies and others on cold users.

    The simple strategies are `recent`, `trending` and `latest` (under `registration`), `popular`, `group`, `segment`
    and `edlae`.

    With registration times, a model is trained at each of several cut-offs on the log before it. It is evaluated on the
    newcomers up to the next cut-off (`registration.cut_offs`): `precision` on what existed when the model was trained,
    `precision_all` on everything that they used, by lists in which items that came by the end of their day one take
    part as new items. Otherwise cold users are sampled, once per seed.

    Parameters
    ----------
    dataset, config, progress
        See `train`. A split, from `split` or `open_split`, takes the place of dataset, configuration and seeds.
    strategies
        Names of further strategies, or methods of your own: a `StrategySpec`, or a `ColdModelSpec` (evaluated with both
        of its strategies). What they need is trained. They stay registered for this call alone.
    all_strategies
        Whether to evaluate all strategies that a model of this configuration supports, in place of `auto` and the
        simple ones; `friends` only if there are friendships.
    baselines
        Whether to add all strategies with options to search, and the paper's own system as in the article. Options are
        chosen at each seed and cut-off; from the second cut-off on, the search begins at those of the cut-off before.
    n_seeds
        Number of seeds, starting at `config.seed`.
    k
        Length of the lists; by default `recommend.k` of the configuration. Choices made on validation users do not
        depend on it: early stopping and the guard of `auto` use lists of `recommend.k`, options of methods those of 10
        and 50.
    divide_by
        Denominator of precision: hits / min(k, number of relevant items) as in the paper, also called capped recall
        (``min``), or hits / k (``k``).
    against
        Reference strategies for differences and ratios of precision, in addition to the best single method
        (`Results.best_single`) at each length. The tables show the first. Third-party methods also get the difference
        to every other strategy.
    rules
        The service's own rules, which all lists obey. Relevant items remain all those that the user went on to use.
    metrics
        Metrics of your own, named after their functions: ``metric(lists, truth, items)`` returns a number for each user
        who went on to use an item that existed at training, shape (n_users,), NaN for users who do not have the metric.
        Results have these numbers as they are, not in %. `lists` are the indexes of the recommended items, best first,
        -1 for an empty place, int32, shape (n_users, k). `truth` has the items that users went on to use, a
        `firstday.sparse.SparseRows` of shape (n_users, n_items): ``truth.row(user)`` are the indexes of one user's,
        ``truth.lengths()`` their numbers, and ``truth.has(lists)`` is the mask of hits. `items` are the ids of items by
        index, a Polars series.

    Raises
    ------
    ConfigError
        A strategy does not exist or is not available, or a setting does not fit.
    DataError
        There are no users to evaluate.
    """
    if isinstance(dataset, EvaluationSplit):
        if config is not None or n_seeds != 1:
            raise ConfigError("config, n_seeds: a split has its own; omit them.")
        config = dataset.config
        n_seeds = dataset.n_seeds
        dataset = dataset.dataset
    expect("dataset", dataset, Dataset, LOADED)
    expect("strategies", strategies, (list, tuple), "a list of names of strategies, or of methods of your own")
    check_arguments(divide_by, n_seeds=n_seeds, k=k)
    config = Config.of(config)
    own_metrics = name_metrics(metrics)
    rules = Rules.of(rules)
    check_rules(rules, dataset.items.values, dataset.columns)
    names, trained = _choose_strategies(dataset, config, strategies, every=all_strategies, baselines=baselines)
    check_against(against, names)
    cut_offs = find_cut_offs(dataset, config)
    with open_progress(progress) as report:
        score = partial(
            _train_and_score,
            names=names,
            k=k,
            divide_by=divide_by,
            own_metrics=own_metrics,
            rules=rules,
            report=report,
        )
        runs = _run_all(dataset, trained, n_seeds, cut_offs, score, report)
    return join_runs(
        runs,
        against,
        divide_by=divide_by,
        own_metrics=tuple(own_metrics),
        **describe_protocol(EvaluationSplit(dataset, config, n_seeds, cut_offs)),
    )


def check_arguments(divide_by: str, **numbers: int | None) -> None:
    """Raise ConfigError for an unknown denominator of precision, or a number below 1."""
    if divide_by not in get_args(PrecisionRule):
        raise ConfigError(f"divide_by: is {divide_by!r}; give 'min' or 'k'.")
    for argument, number in numbers.items():
        if number is not None and number < 1:
            raise ConfigError(f"{argument}: is {number}; give a whole number, at least 1.")


def check_against(against: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError for a reference that is not among the strategies."""
    if missing := [name for name in against if name not in names]:
        raise ConfigError(f"against: {missing[0]} is not among the strategies; add it to them.")


def describe_protocol(split: EvaluationSplit) -> dict[str, Any]:
    """Return the settings of `Results` that follow from a split."""
    dataset = split.dataset
    cut_offs = split.cut_offs
    return {
        "dataset": dataset.name,
        "config": split.config,
        "protocol": "sampled" if cut_offs is None else "registration",
        "precomputed": dataset.item_vectors is not None,
        "target_days": None if cut_offs is None else cut_offs.target_days,
        "later_uses": None if cut_offs is None else read_target_uses(dataset, split.config, cut_offs),
    }


Previous = tuple[Recommender, int] | None
"""The model of the cut-off before, and this cut-off; None for the first one and under `sampled`."""
Choices = Mapping[str, Mapping[str, Any]]
"""Options chosen at the cut-off before, by method; none for the first one and under `sampled`."""


def _choose_strategies(
    dataset: Dataset, config: Config, strategies: Sequence[str | Method], *, every: bool, baselines: bool
) -> tuple[list[str], Config]:
    """Return the names of the strategies to evaluate, and the configuration that trains what they need."""
    unfit = set() if dataset.friends is not None and dataset.friends.n_entries else {FRIENDS.name}
    unfit |= {*OF_CLOCKS} if protocol_of(dataset, config) == "sampled" else set()
    supported = strategies_with(config)
    names = [name for name in (supported if every else ("auto", *SIMPLE)) if name in supported and name not in unfit]
    for strategy in strategies:
        if not isinstance(strategy, str):
            register(strategy)
        names += [strategy] if isinstance(strategy, str) else strategy.strategies(strategy.name)
    names += (*searched_names(), PAPER_SEGMENT) if baselines else ()
    trained = [name for name in names if name != PAPER_SEGMENT]
    config = with_methods_of(config, trained)
    check_strategies(trained, config)
    return names, config


def _run_all(
    dataset: Dataset,
    config: Config,
    n_seeds: int,
    cut_offs: CutOffs | None,
    train_and_score: Callable[[Holdout, Config, Previous, Choices], tuple[Run, Recommender]],
    report: Progress,
) -> list[Run]:
    """Train and score for each seed and cut-off."""
    runs: list[Run] = []
    n_runs = n_seeds * (1 if cut_offs is None else len(cut_offs.moments))
    for seed in range(config.seed, config.seed + n_seeds):
        previous: Previous = None
        chosen: Choices = {}
        for holdout in hold_out(dataset, config, seed, cut_offs):
            report(f"seed {seed}", len(runs), n_runs)
            run, recommender = train_and_score(holdout, config.override("seed", seed), previous, chosen)
            runs.append(run)
            previous = None if holdout.cut_off is None else (recommender, holdout.cut_off)
            chosen = {name: tuning.options for name, tuning in run.tunings.items() if name != PAPER_SEGMENT}
    report("done", n_runs, n_runs)
    return runs


def _find_best_single(runs: Sequence[Run]) -> dict[str, str]:
    """Return the strategy with the highest precision at each length; see `Results.best_single`."""
    first = next(iter(runs[0].scores.values()))
    singles = [name for name in runs[0].scores if name not in COMBINED and not is_plugin(name)] or [*runs[0].scores]
    best = {}
    for metric in filter(first.metrics.__contains__, JUDGED):
        values = {name: np.concatenate([run.scores[name].metrics[metric] for run in runs]) for name in singles}
        best[metric] = max(singles, key=lambda name: float(np.nanmean(values[name])))
    return best


def _train_and_score(
    holdout: Holdout,
    config: Config,
    previous: Previous,
    chosen: Choices,
    *,
    names: Sequence[str],
    k: int | None,
    divide_by: PrecisionRule,
    own_metrics: Mapping[str, OwnMetric],
    rules: Rules,
    report: Progress,
) -> tuple[Run, Recommender]:
    """Train on a holdout and score strategies on its cold users; also return the model."""
    began = perf_counter()
    fitted = fit(holdout.dataset, holdout.split, config, begin_at=chosen, moment_us=holdout.cut_off, progress=report)
    fit_seconds = perf_counter() - began
    tunings = dict(fitted.tunings)
    fit_seconds -= sum(tuning.tune_seconds + tuning.fit_seconds for tuning in tunings.values())
    profile = partial(read_profile, holdout.newcomers, holdout.cold.users)
    answer = partial(answer_query, layers=[rules], profile=profile)
    strategies: dict[str, Strategy] = {name: partial(answer, strategy=name) for name in names}
    if PAPER_SEGMENT in strategies:
        recommend, tunings[PAPER_SEGMENT] = _fit_as_in_paper(holdout, config)
        strategies[PAPER_SEGMENT] = partial(answer, strategy=recommend)
    notes = holdout.split.notes
    if rules != NO_RULES:
        without_effect = (f"Rules: {note}." for note in compile_rules(fitted.model, [rules], {}).notes)
        text = rules.model_dump_json(exclude_defaults=True)[:200]
        notes = (*notes, f"All lists obey the rules {text}.", *without_effect)
    length = k or config.recommend.k
    run = score_strategies(
        cohort_query(fitted.recommender, holdout.newcomers, holdout.cold, length),
        holdout.cold,
        holdout.newcomers.users,
        strategies,
        divide_by,
        own_metrics=own_metrics,
        progress=report,
        seed=config.seed,
        fit_seconds=fit_seconds,
        cut_off=name_cut_off(holdout),
        notes=notes,
        tunings=tunings,
    )
    if holdout.all_uses is not None:
        run = _add_all_uses(run, holdout, holdout.all_uses, fitted.recommender, previous, strategies, divide_by)
    return run, fitted.recommender


def _add_all_uses(
    run: Run,
    holdout: Holdout,
    all_uses: AllUses,
    recommender: Recommender,
    previous: Previous,
    strategies: Mapping[str, Strategy],
    divide_by: PrecisionRule,
) -> Run:
    """Add metrics over all later uses, and what `auto`, or else the first strategy, gains over the model before."""
    query = query_cold_users(recommender, holdout, all_uses, run.k)
    scores = {}
    for name, strategy in strategies.items():
        lists = index_lists(query, holdout.newcomers, strategy(query).items)
        scores[name] = run.scores[name].with_all_uses(lists, all_uses.truth, divide_by)
    leader = AUTO.name if AUTO.name in scores else next(iter(scores))
    days = np.full(len(holdout.cold), np.nan)
    older = dict.fromkeys(OF_ALL.values(), days)
    if previous is not None:
        query = query_cold_users(previous[0], holdout, all_uses, run.k)
        lists = index_lists(query, holdout.newcomers, strategies[leader](query).items)
        older = measure_all_uses(lists, all_uses.truth, divide_by)
        days = np.full(len(holdout.cold), (all_uses.cut_off - previous[1]) / DAY_US)
    metrics = scores[leader].metrics
    gains = {f"{name}{MINUS_OLDER}": metrics[name] - values for name, values in older.items() if name in metrics}
    scores[leader] = replace(scores[leader], metrics={**metrics, **gains, OLDER_BY: days})
    return replace(run, scores=scores).of_holdout(holdout)


def _fit_as_in_paper(holdout: Holdout, config: Config) -> tuple[Strategy, Tuning]:
    """Train the paper's own system as in the article, on the first day ones of a split."""
    published = as_in_paper(config)
    began = perf_counter()
    split = replace(holdout.split, warm_day_one=holdout.split.warm_day_one[:1])
    split = split.fold(split.folds[0]) if split.folds else split
    model = fit(holdout.dataset, split, published, choose_settings=False, moment_us=holdout.cut_off).model
    seconds = perf_counter() - began
    precision = model.facts["metrics"]["precision"]["segment"]
    options = published.model_dump(include={"features", "cold_model"}, mode="json")

    def recommend(query: Query) -> Answer:
        answer = SEGMENT.recommend(replace(query, model=model))
        return replace(answer, routes=np.where(answer.routes == "segment", PAPER_SEGMENT, answer.routes))

    return recommend, Tuning({}, options, precision, len(split.validation), seconds, 0.0)


def score_strategies(
    query: Query,
    cohort: Cohort,
    users: Ids,
    strategies: Mapping[str, Strategy],
    divide_by: PrecisionRule = "min",
    *,
    own_metrics: Mapping[str, OwnMetric] = {},
    progress: Progress = no_progress,
    **facts: Any,
) -> Run:
    """Score strategies by name on the cold users of one trained model.

    `users` are the ids of the users of the cohort's dataset, and `facts` the other fields of `Run`.
    """
    scores = {}
    for number, (name, strategy) in enumerate(strategies.items()):
        progress("lists", number, len(strategies))
        scores[name] = score_strategy(query, cohort, strategy, divide_by, own_metrics)
    progress("lists", len(strategies), len(strategies))
    model = query.model
    run = describe_run(
        scores,
        cohort,
        users.take(cohort.users),
        query.signals,
        model.catalogue,
        n_warm=int(model.everyone.sizes[0]),
        k=query.k,
        segments=describe_segments(model),
        learned=tuple(model.learned[name].describe() for name in DESCRIBED if model.learned.get(name) is not None),
        **facts,
    )
    return replace(run, users=run.users.with_columns(knowledge=np.array(KNOWLEDGE)[query.knowledge]))


def describe_run(
    scores: Mapping[str, Scores],
    cohort: Cohort,
    user_ids: pl.Series,
    signals: SignalBatch,
    catalogue: Catalogue,
    **facts: Any,
) -> Run:
    """Return the scores of strategies as a run, with what is known about a cohort without a model.

    `signals` are the cohort's, by the indexes of a catalogue, and `facts` are the other fields of `Run`.
    """
    has_friends = np.zeros(len(cohort), dtype=bool) if signals.friends is None else signals.friends.lengths() > 0
    rows = {
        "user_id": user_ids,
        "day_one_size": cohort.day_one_size,
        "knowledge": pl.repeat(None, len(cohort), dtype=pl.String, eager=True),
        "did_nothing": cohort.did_nothing,
        "has_friends": has_friends,
        "model_age": np.full(len(cohort), np.nan),
    }
    return Run(
        scores=scores,
        users=pl.DataFrame(rows),
        profiles=read_profiles(signals, catalogue.groups),
        items=catalogue.items,
        **facts,
    )


def join_runs(runs: Sequence[Run], against: Sequence[str] = (), **settings: Any) -> Results:
    """Pool runs of the same strategies: means over the users of all runs, and the settings of `Results`.

    Strategies are compared with those named in `against`, and with the best single ones.
    """
    best_single = _find_best_single(runs)
    references = tuple(dict.fromkeys((*against, *best_single.values())))
    rows = pl.concat([run.users.with_columns(seed=run.seed, cut_off=pl.lit(run.cut_off)) for run in runs])
    users = rows["user_id"].rank("dense").to_numpy()
    cohorts = rows["cut_off"].rank("dense").to_numpy()
    first = runs[0]
    of_first_seed = [run for run in runs if run.seed == first.seed]
    seeds = sorted({run.seed for run in runs})
    is_evaluated = np.concatenate([run.is_evaluated for run in runs])
    profiles = {name: np.concatenate([run.profiles[name] for run in runs])[is_evaluated] for name in first.profiles}
    groups = slice_by_profile(profiles, users[is_evaluated])
    scores = {name: [run.scores[name] for run in runs] for name in first.scores}
    n_items = [len(run.items) for run in runs]
    figures = make_figures(scores, n_items, users, cohorts, slices=slice_users(rows), groups=groups, against=references)
    return Results(
        k=first.k,
        reference=references[0],
        best_single=best_single,
        seeds=tuple(seeds),
        n_warm=runs[-1].n_warm,
        n_cold=sum(int(run.is_evaluated.sum()) for run in of_first_seed),
        fit_seconds=float(np.mean([run.fit_seconds for run in runs])),
        figures=tuple(figures),
        runs=tuple(runs),
        notes=(*first.notes, *(note for run in of_first_seed for note in run.describe_learned())),
        tunings={name: tuple(run.tunings[name] for run in runs) for name in first.scores if name in first.tunings},
        groups={column: tuple(labels) for column, labels in groups.items()},
        segments=first.segments,
        plugins=tuple(filter(is_plugin, first.scores)),
        about={name: find_strategy(name).describe for name in first.scores if name in strategy_names()},
        cut_offs=tuple(
            {"at": run.cut_off, "users": int(run.is_evaluated.sum()), "newcomers": len(run.users)}
            for run in of_first_seed
            if run.cut_off
        ),
        **settings,
    )
