"""Training pipeline: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.apart import set_apart
from firstday.data.splits.histories import MIN_LEARNED_ITEMS, write_moment
from firstday.data.splits.split import Split
from firstday.display import readable
from firstday.embed.embeddings import Embeddings, select_uses
from firstday.embed.kept_users import WarmUsers, keep_warm_users
from firstday.embed.methods import collect_warm_logs
from firstday.engine.everyone import (
    Everyone,
    StatisticsTask,
    count_groups,
    describe_encoder,
    describe_segments,
)
from firstday.engine.local import as_learners, find_learners
from firstday.engine.protocol import LargeDataset, Learners
from firstday.errors import LOADED, DataError, expect
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder, collect_features, fit_encoder
from firstday.features.signal_batch import SignalBatch
from firstday.impressions.counts import add_shown, count_shown
from firstday.methods.calibrate import calibrate_run
from firstday.methods.precision import measure_folds
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress, no_progress, open_progress
from firstday.ranking import unit_rows
from firstday.recommend.fold import Fold, TrainingRun
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.spec import LearningData, SharedValueSpec, StrategySpec
from firstday.recommend.support import describe_absent, learners_of, with_methods_of
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows, union_rows
from firstday.training.learn import (
    check_training,
    choose_values,
    learn_cold_model,
    learn_methods,
)
from firstday.training.option_search import Tuning, learn_with, search_options
from firstday.training.validation import ObjectiveHistory, ObjectiveWrapper, Validation, draw_evaluated

REPORTED = ("popular", "segment")
"""Strategies whose precision is reported for comparison with those chosen on the folds."""


def train(
    dataset: Dataset | LargeDataset, config: Config | None = None, *, progress: Progress | bool | None = True
) -> Recommender:
    """Train on users with interactions; choose settings on validation users, held out or in folds.

    Parameters
    ----------
    dataset
        Return value of `load`. For tables on a cluster, `training.most_users` users are collected for training; counts
        cover all users.
    config
        Settings; the defaults if omitted.
    progress
        True shows progress bars in terminals and notebooks; None shows nothing. A function is called with the stage
        name, the steps done and the total number of steps.

    Returns
    -------
    Recommender
        Its ``model.facts["metrics"]["precision"]`` is the precision on the validation users. It is slightly optimistic,
        because settings were chosen on the same users; results of `evaluate` are not.

    Raises
    ------
    DataError
        There are too few users.
    ConfigError
        A setting does not fit the data.
    MissingExtraError
        The training libraries are not installed.
    """
    expect("dataset", dataset, (Dataset, LargeDataset), LOADED)
    config = Config.of(config)
    config = with_methods_of(config, [config.recommend.strategy])
    with open_progress(progress) as report:
        learners = find_learners(dataset, config, report)
        return fit(learners, learners.split(config), config, progress=report).recommender


@readable
@dataclass(frozen=True, eq=False)
class FitResult:
    """A trained model, and the search results of the methods in `config.methods`, by name."""

    model: TrainedModel
    tunings: Mapping[str, Tuning]

    @property
    def recommender(self) -> Recommender:
        """The model, ready to recommend."""
        return Recommender(self.model)


def fit(
    dataset: Dataset | Learners,
    split: Split,
    config: Config,
    *,
    choose_settings: bool = True,
    begin_at: Mapping[str, Mapping[str, Any]] = {},
    moment_us: int | None = None,
    progress: Progress = no_progress,
) -> FitResult:
    """Run every stage on the warm users of a split; cold users are never used.

    With too few validation users for a holdout, settings are cross-fitted: each fold is scored by a model trained
    without it. The final model is trained on all users, and gets the settings chosen on the folds. Without
    `choose_settings`, all methods keep their default settings, and there are no weights or calibrations. `dataset` is
    complete, or has the users to train on that an engine found. For `begin_at`, see `search_options`.

    Lists of past newcomers have the items that had not expired by then, recommendable now or not. Those of the result
    have the items that may be listed at a time (`moment_us`, in microseconds since 1970 UTC; None: now, also in
    training if day ones are sampled).

    Raises ConfigError if a setting does not fit the data or requires another engine, or the device is not available.
    """
    check_training(config)
    learners = as_learners(dataset)
    dataset = learners.dataset
    unlisted = dataset.find_unlisted(moment_us)
    in_training = unlisted if split.protocol == "sampled" else dataset.items_without_vector
    source = _Source(dataset, config, learners, in_training)
    folds, trained, stage = _learn_folds(source, split, progress)
    model = trained.model
    tunings: dict[str, Tuning] = {}
    apart: Fold | None = None
    if choose_settings:
        model, folds, tunings = search_options(folds, model, progress, dataset, split, begin_at)
        apart = _learn_apart(source, split, tunings, progress)
    run = TrainingRun(
        folds=folds,
        model=model,
        dataset=dataset,
        split=stage.split,
        uses=stage.uses,
        first_uses=learners.count_first_uses(split, config),
        apart=apart,
    )
    methods = learners_of(config)
    if choose_settings:
        finished, figures = choose_values(run, methods, progress)
        measured = finished.with_learned(clock=None)
    else:
        shared = [method for method in methods if isinstance(method, SharedValueSpec)]
        finished, figures = choose_values(replace(run, folds=()), shared, progress)
        measured = run
    model = replace(
        finished.model,
        unlisted=unlisted,
        segments=finished.model.segments.without(unlisted),
        calibrations=calibrate_run(finished),
    )
    metrics = measure_strategies(measured) | figures
    tunings = {name: tuning for name, tuning in tunings.items() if name in config.methods}
    if tunings:
        metrics["options"] = {name: tuning.to_json() for name, tuning in tunings.items()}
    facts = {"data": describe_data(run, model, learners.summary()), "metrics": metrics}
    return FitResult(replace(model, facts=facts), tunings)


def _learn_folds(source: _Source, split: Split, progress: Progress) -> tuple[list[Fold], Fold, _WarmStage]:
    """Train on each fold, then on everyone; return the folds, the final model, and what this was learned from.

    Without cross-fitting, the holdout is the only fold.
    """
    history = ObjectiveHistory()
    folds = []
    for number, rows in enumerate(split.folds, 1):
        in_fold = _prefix(progress, f"fold {number} of {len(split.folds)}: ")
        fold, _ = _learn(source, split.fold(rows), history.record, in_fold, is_fold=True)
        folds.append(fold)
    trained, stage = _learn(source, split, history.replay if folds else history.record, progress)
    return folds or [trained], trained, stage


def _learn_apart(source: _Source, split: Split, tunings: Mapping[str, Tuning], progress: Progress) -> Fold | None:
    """Train on all warm users but those set apart, with the options chosen; see `set_apart`."""
    apart = set_apart(split, source.dataset.users, source.config.signals)
    if apart is None:
        return None
    fold, _ = _learn(source, apart, ObjectiveHistory().record, _prefix(progress, "order: "), is_fold=True)
    return learn_with(fold, apart, source.dataset, tunings)


def _prefix(progress: Progress, prefix: str) -> Progress:
    """Prepend a prefix to the stage names of progress."""
    return lambda stage, done, total: progress(f"{prefix}{stage}", done, total)


@dataclass(frozen=True, eq=False)
class _Source:
    """What every run of the stages starts from."""

    dataset: Dataset
    config: Config
    learners: Learners
    unlisted: np.ndarray  # items that are in no list while training


@dataclass(frozen=True, eq=False)
class _WarmStage:
    """Result of the stages before day one.

    `split` has the training users as its only warm users, and `uses` the items that each of them uses, shape
    (n_training, n_items). `everyone` has counts of all warm users: on a cluster, or with more than
    `training.most_users` possible learners, also the sums of their vectors, and the sizes and items of segments.
    """

    split: Split
    uses: SparseRows
    embeddings: Embeddings
    segments: Segments
    everyone: Everyone


def _learn(
    source: _Source, split: Split, wrap: ObjectiveWrapper, progress: Progress, *, is_fold: bool = False
) -> tuple[Fold, _WarmStage]:
    """Train a model with default settings; return it with its validation users, and what it was learned from.

    There are three kinds of runs: on a fold (`is_fold`); on a split with a single holdout; and, after the folds, on the
    whole split. The last also trains on the validation users, and stops at the median of the folds' best epochs.
    """
    stage = _learn_segments(source, split, progress)
    fold = _learn_methods(source, stage, wrap, progress)
    if is_fold:
        return fold, stage
    model = fold.model
    shown = stage.everyone.shown
    if shown is not None:
        counted = split.warm if stage.everyone.sums else stage.split.warm
        others = source.learners.count_shown_to_others(split, model, counted)
        model = replace(model, shown_counts=add_shown([shown, others]))
    return replace(fold, query=fold.query.ask(model=model)), stage


def _learn_segments(source: _Source, split: Split, progress: Progress) -> _WarmStage:
    """Choose the warm users to train on, learn embeddings and segments, and count the items of all warm users."""
    dataset = source.dataset
    config = source.config
    learners = source.learners
    all_uses = warm_uses(dataset, split, config)
    rows, are_all = _choose_warm(dataset, split, all_uses, config)
    trained = split.keep_warm(rows)
    uses = all_uses.take(rows)
    progress("embeddings", 0, 1)
    logs = collect_warm_logs(dataset, trained, config, uses)
    embeddings = learners.fit_embeddings(logs, split, config)
    progress("embeddings", 1, 1)
    progress("segments", 0, 1)
    vectors = unit_rows(embeddings.user_vectors)
    n_segments = config.segments.resolve(len(rows))
    segments = fit_segments(vectors.__getitem__, uses, n_segments, config.segments, seed=config.seed)
    held_out = split.held_out_ids(dataset.users)
    task = StatisticsTask.of(dataset, embeddings.fold_in, segments.centroids, config.signals, held_out)
    if are_all and not learners.is_sample:
        counts = count_groups(dataset, split.warm, all_uses, task.n_values)
        nearest = segments.assign(vectors)
        shown = count_shown(dataset, trained.warm, nearest, len(segments), config.signals, split.warm_window)
        everyone = Everyone(counts, {}, shown)
    else:
        everyone = learners.describe_everyone(split, task)
        segments = describe_segments(segments, everyone, config.segments)
        everyone = everyone.without_empty_segments()
    progress("segments", 1, 1)
    return _WarmStage(trained, uses, embeddings, segments.without(source.unlisted), everyone)


def _choose_warm(dataset: Dataset, split: Split, uses: SparseRows, config: Config) -> tuple[np.ndarray, bool]:
    """Return the rows of the warm users to train on, at most `training.most_users`, and whether these are all."""
    rows = np.flatnonzero(uses.lengths() >= MIN_LEARNED_ITEMS)
    if len(rows) <= config.training.most_users:
        return rows, True
    numbers = stable_numbers(Ids(dataset.users.take(split.warm[rows])), config.seed)
    smallest = np.argsort(numbers, kind="stable")[: config.training.most_users]
    return np.sort(rows[smallest]), False


def _learn_methods(source: _Source, stage: _WarmStage, wrap: ObjectiveWrapper, progress: Progress) -> Fold:
    """Fit the feature encoder, and train the cold model and the methods."""
    dataset = source.dataset
    config = source.config
    split = stage.split
    embeddings = stage.embeddings
    stored = _keep_warm(source, stage)
    catalogue = Catalogue.of(dataset, config.signals.names, None if stored is None else stored.ids)
    warm_days = [catalogue.translate(dataset, split.warm, day_one)[0] for day_one in split.warm_day_one]
    encoder = _fit_encoder(source, stage, warm_days[0], stored)
    cohort = split.validation
    days, _ = catalogue.translate(dataset, cohort.users, cohort.day_one)
    excluded = days.excluded_items(config.signals, encoder.members_of_items)
    if cohort.unavailable is not None:
        excluded = union_rows([excluded, cohort.unavailable])
    rows = draw_evaluated(days.n_users, days.n_items)
    validation = Validation(
        excluded.take(rows), cohort.truth.take(rows), config.recommend.k, stage.segments, embeddings.scoring_vectors
    )
    data = _join_learning_data(source, stage, encoder, warm_days, days.take(rows), validation.excluded)
    model = TrainedModel(
        config=config,
        catalogue=catalogue,
        signal_encoder=encoder,
        fold_in=embeddings.fold_in,
        similarity=embeddings.similarity,
        cold=learn_cold_model(data, validation, wrap, progress),
        segments=stage.segments,
        everyone=stage.everyone.items,
        profile_groups=stage.everyone.groups,
        learned=learn_methods(data, validation, wrap, progress),
        warm=stored,
        unlisted=source.unlisted,
        updated=dataset.updated_items,
    )
    query = Query(model, days, config.recommend.k, excluded_override=excluded, moments=cohort.day_end_us)
    return Fold(query, cohort.truth, cohort.day_end_us)


def _keep_warm(source: _Source, stage: _WarmStage) -> WarmUsers | None:
    """Return the warm users to store; None if disabled."""
    n_kept = source.config.recommend.warm_users
    if not n_kept:
        return None
    ids = Ids(source.dataset.users.take(stage.split.warm))
    return keep_warm_users(ids, unit_rows(stage.embeddings.user_vectors), stage.uses, n_kept, seed=source.config.seed)


def _join_learning_data(
    source: _Source,
    stage: _WarmStage,
    encoder: Encoder,
    warm_days: Sequence[SignalBatch],
    evaluated: SignalBatch,
    excluded: SparseRows,
) -> LearningData:
    """Return the data of methods: day ones of warm users, and of validation users with the items `excluded`."""
    signals = source.config.signals
    uses = stage.uses
    return LearningData(
        config=source.config,
        features=collect_features(encoder, warm_days),
        liked=[day.affinity(signals) for day in warm_days],
        uses=uses,
        embeddings=stage.embeddings,
        validation_features=encoder.encode(evaluated),
        validation_liked=evaluated.affinity(signals),
        validation_excluded=excluded,
        profile=warm_days[0].profile,
        day_one_uses=[select_uses(day, signals, uses.n_rows, uses.n_columns) for day in stage.split.warm_day_one],
        day_one_excluded=[day.excluded_items(signals, encoder.members_of_items) for day in warm_days],
        unlisted=source.unlisted,
        members_of_items=encoder.members_of_items,
        item_columns=source.dataset.columns,
    )


def _fit_encoder(source: _Source, stage: _WarmStage, day_one: SignalBatch, stored: WarmUsers | None) -> Encoder:
    """Fit the encoder on the training users' first day-one sample; group means come from `everyone.sums`, if any."""
    config = source.config
    encoder = fit_encoder(
        stage.embeddings,
        day_one,
        {name: entity.items for name, entity in source.dataset.entities.items()},
        {name: len(group.values) for name, group in source.dataset.groups.items()},
        config.features,
        config.signals,
        None if stored is None or not config.features.friends else stored.vectors,
    )
    if not encoder.n_inputs:
        raise DataError(
            "interactions: warm users have no day-one interactions and no profile values; add profile columns to users."
        )
    return describe_encoder(encoder, stage.everyone) if stage.everyone.sums else encoder


def warm_uses(dataset: Dataset, split: Split, config: Config) -> SparseRows:
    """Return the items each warm user uses, shape (n_warm, n_items)."""
    return select_uses(split.warm_actions, config.signals, len(split.warm), len(dataset.items))


def describe_data(run: TrainingRun, model: TrainedModel, counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about the training data; `counts` are those of `Learners.summary`."""
    dataset = run.dataset
    split = run.split
    facts = {
        "dataset": dataset.name,
        **counts,
        "warm_users": int(model.everyone.sizes[0]),
        "vectors": model.config.embedding.method if dataset.item_vectors is None else "precomputed",
        "validation_users": len(split.validation),
        "folds": len(split.folds),
        "segments": len(model.segments),
        "protocol": split.protocol,
        "notes": [*split.notes, *describe_absent(model)],
    }
    if len(split.warm) < facts["warm_users"]:
        facts["learned_from"] = len(split.warm)
    for name, time_us in (("first_interaction", dataset.events.first), ("last_interaction", dataset.events.last)):
        if time_us is not None:
            facts[name] = write_moment(time_us)[:10]
    n_without_vector = len(dataset.items_without_vector)
    if n_without_vector:
        facts["items_without_vector"] = n_without_vector
    if len(model.unlisted) > n_without_vector:
        facts["items_unlisted"] = len(model.unlisted)
    if (shown := model.shown_counts) is not None:
        facts["impressions"] = int(shown.shown.weights.sum(dtype=np.float64))
        facts["impressions_used"] = int(shown.used.weights.sum(dtype=np.float64))
    return facts


def measure_strategies(run: TrainingRun) -> dict[str, Any]:
    """Return the precision of the lists of validation users, by `REPORTED` strategies and those chosen on the folds."""
    chosen = [spec.name for spec in learners_of(run.model.config) if isinstance(spec, StrategySpec) and spec.choose]
    precision = {name: round(100 * float(measure_folds(run.folds, name).mean()), 4) for name in (*REPORTED, *chosen)}
    return {"users": "validation", "k": run.model.config.recommend.k, "precision": precision}
