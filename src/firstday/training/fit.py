"""Training pipeline: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids, stable_numbers
from firstday.data.splits.histories import MIN_LEARNED_ITEMS
from firstday.data.splits.holdout import split_for_training
from firstday.data.splits.split import Cohort, Split
from firstday.embed.embeddings import select_uses
from firstday.embed.kept_users import keep_warm_users
from firstday.embed.methods import collect_warm_logs, fit_embeddings, fold_in_users
from firstday.engine.everyone import AGE, Question, codes_of, describe_encoder, describe_segments, summarise_part
from firstday.engine.large import LargeDataset, Learners
from firstday.engine.shown_to_others import count_shown_to_others
from firstday.errors import LOADED, ConfigError, DataError, expect
from firstday.features.encoder import N_AGES, collect_features, fit_encoder
from firstday.features.impressions import collect_passed_over
from firstday.features.signals import Catalogue
from firstday.progress import Progress, no_progress, open_progress
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.registry import with_methods_of
from firstday.recommend.spec import LearningData
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import ItemCounts, count_items
from firstday.segment.shown_counts import add_shown, count_shown
from firstday.sparse import SparseRows, union_rows
from firstday.tables.rules import MAX_NAMED_ITEMS
from firstday.training.calibrate import calibrate
from firstday.training.networks import check_device, cluster_inputs, learn_methods, train_networks
from firstday.training.option_search import learn_with_options
from firstday.training.selection import choose_selection
from firstday.training.trend import measure_trend
from firstday.training.validation import Fold, Stops, Validation, measure_folds
from firstday.training.weights import choose_weights


def train(
    dataset: Dataset | LargeDataset, config: Config | None = None, *, progress: Progress | bool | None = True
) -> Recommender:
    """Train on all users with interactions; choose settings on past newcomers, by holdout or cross-fitting.

    Parameters
    ----------
    dataset
        From `load`: local tables, or tables on a cluster. From a cluster, `training.most_users` users are brought to
        this machine to train on; counts cover all users.
    config
        Settings; the defaults if omitted.
    progress
        True shows progress bars in terminals and notebooks; None shows nothing. A function is called with the stage
        name, the steps done and the total number of steps.

    Returns
    -------
    Recommender
        Its ``model.facts["metrics"]["precision"]`` is the precision on the validation users. It is slightly optimistic,
        because settings were chosen on the same users; `evaluate` is not.

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
        if isinstance(dataset, Dataset):
            split = split_for_training(dataset, config, config.seed)
            return fit(dataset, split, config, progress=report)
        report("learners", 0, 1)
        learners = dataset.find_learners(config)
        report("learners", 1, 1)
        split = split_for_training(learners.dataset, config, config.seed)
        return fit(learners.dataset, split, config, learners=learners, progress=report)


def fit(
    dataset: Dataset,
    split: Split,
    config: Config,
    *,
    weigh: bool = True,
    learners: Learners | None = None,
    progress: Progress = no_progress,
) -> Recommender:
    """Run every stage on the warm users of a split; cold users are never used.

    With too few validation users for a holdout, settings are cross-fitted: each fold is scored by a model trained
    without it. The final model is then trained on all users with the settings chosen on the folds.

    Parameters
    ----------
    dataset, split, config
        The data, the roles of its users, and all settings.
    weigh
        Whether to choose the weights of `soft_segments`, `neighbors`, `friends` and `blend`; otherwise defaults apply.
    learners
        For data on a cluster: how to query all users. None: the dataset holds all users.
    progress
        See `train`.

    Raises
    ------
    ConfigError
        A setting does not fit the data or requires another engine, or the device is not available.
    """
    check_device(config)
    if config.training.factors == "mllib" and (learners is None or learners.factorise is None):
        raise ConfigError("training.factors: 'mllib' requires the Spark engine; train with it, or set it to 'sample'.")
    stops = Stops()
    learn = partial(_learn, dataset, config=config, learners=learners, stops=stops)
    judged = [
        learn(split.fold(rows), progress=_prefix(progress, f"fold {number} of {len(split.folds)}: "), is_fold=True)
        for number, rows in enumerate(split.folds, 1)
    ]
    trained = learn(split, progress=progress)
    model = trained.query.model
    judged = judged or [trained]
    if weigh:
        progress("weights", 0, 1)
        judged, settings = choose_weights(judged)
        model = replace(model, **settings)
        selection = choose_selection(judged)
        judged = [fold.with_settings(selection=selection) for fold in judged]
        model = replace(model, selection=selection, calibrations=calibrate(judged))
        progress("weights", 1, 1)
    learned, tunings, calibrations = learn_with_options(dataset, split, judged, config, progress)
    model = replace(model, learned={**model.learned, **learned}, calibrations={**model.calibrations, **calibrations})
    model = replace(model, trend=measure_trend(dataset, split, config))
    if "ease" not in model.blending.weights[0]:
        model = replace(model, item_weights=None)
    facts = collect_facts(dataset, split, model, judged, learners)
    if tunings:
        facts["metrics"]["options"] = {name: asdict(tuning) for name, tuning in tunings.items()}
    return Recommender(replace(model, facts=facts))


def _prefix(progress: Progress, prefix: str) -> Progress:
    """Prepend a prefix to the stage names of progress."""
    return lambda stage, done, total: progress(f"{prefix}{stage}", done, total)


def _learn(
    dataset: Dataset,
    split: Split,
    *,
    config: Config,
    learners: Learners | None,
    stops: Stops,
    progress: Progress,
    is_fold: bool = False,
) -> Fold:
    """Run the stages up to a model whose settings are not chosen yet; return its validation users.

    After folds, training includes the validation users and stops where it stopped in the folds.
    """
    is_final = bool(split.folds)
    describe_everyone = None if learners is None else learners.describe_everyone
    counted, counted_uses = split.warm, use_of_warm(dataset, split, config)
    rows = find_learners(counted_uses)
    if learners is None and len(rows) > config.training.most_users:
        describe_everyone = partial(summarise_part, dataset, split.warm, split.warm_actions, window=split.warm_window)
        rows = choose_learners(dataset, split.warm, rows, config)
    split, uses = split.keep_warm(rows), counted_uses.take(rows)
    held_out_users = split.cold.users if is_final else np.concatenate([split.validation.users, split.cold.users])
    held_out_ids = Ids(dataset.users.take(held_out_users))
    n_warm, n_items = len(split.warm), len(dataset.items)

    progress("embeddings", 0, 1)
    logs = collect_warm_logs(dataset, split, config, uses)
    if config.training.factors == "mllib" and logs.precomputed is None:
        assert learners is not None
        assert learners.factorise is not None
        d = config.embedding.resolve_dimensions(n_warm, n_items)
        item_vectors = learners.factorise(held_out_ids, d)
        embeddings = fold_in_users(logs.affinity, item_vectors, config.embedding)
    else:
        embeddings = fit_embeddings(logs, config.embedding, seed=config.seed, threads=config.threads)
    progress("embeddings", 1, 1)

    progress("segments", 0, 1)
    users = unit_rows(embeddings.user_vectors)
    n_segments = config.segments.resolve(n_warm)
    segments = fit_segments(users.__getitem__, uses, n_segments, config.segments, seed=config.seed)
    everyone = None
    if describe_everyone is None:
        shown_counts = count_shown(
            dataset, split.warm, segments.assign(users), len(segments), config.signals, split.warm_window
        )
    else:
        everyone = describe_everyone(
            Question.of(dataset, embeddings.fold_in, segments.centroids, config.signals, held_out_users)
        )
        segments = describe_segments(segments, everyone, config.segments)
        shown_counts = everyone.shown
        if shown_counts is not None:
            shown_counts = shown_counts.keep_segments(np.flatnonzero(everyone.segments.sizes))
    segments = segments.without(dataset.unlisted)
    progress("segments", 1, 1)

    warm = None
    if config.recommend.warm_users:
        ids = Ids(dataset.users.take(split.warm))
        warm = keep_warm_users(ids, users, uses, config.recommend.warm_users, seed=config.seed)
    catalogue = Catalogue.of(dataset, config.signals.known, None if warm is None else warm.ids)
    warm_days = [catalogue.translate(dataset, split.warm, day_one)[0] for day_one in split.warm_day_one]
    encoder = fit_encoder(
        embeddings,
        warm_days[0],
        {name: entity.items for name, entity in dataset.entities.items()},
        {name: len(values) for name, values in catalogue.groups.items()},
        config.features,
        config.signals,
        None if warm is None or not config.features.friends else warm.vectors,
    )
    if not encoder.n_inputs:
        raise DataError(
            "interactions: warm users have no day-one interactions and no profile values; add profile columns to users."
        )
    if everyone is not None:
        encoder = describe_encoder(encoder, everyone)
    features = collect_features(encoder, warm_days)
    input_clusters = cluster_inputs(features, uses, config).without(dataset.unlisted)

    held_out, _ = catalogue.translate(dataset, split.validation.users, split.validation.day_one)
    closed = held_out.closed_items(config.signals)
    if split.validation.unborn is not None:
        closed = union_rows([closed, split.validation.unborn])
    validation = Validation(
        excluded=closed,
        truth=split.validation.truth,
        k=config.recommend.k,
        segments=segments,
        item_vectors=embeddings.scoring_vectors,
    )
    item_weights = None
    if config.recommend.item_weights:
        from firstday.baselines.ease import learn_item_weights

        on_day = [select_uses(day, config.signals, n_warm, n_items) for day in split.warm_day_one]
        item_weights = learn_item_weights(uses, on_day)
    learning_data = LearningData(
        config=config,
        features=features,
        liked=[day.affinity(config.signals) for day in warm_days],
        uses=uses,
        embeddings=embeddings,
        validation_features=encoder.encode(held_out),
        validation_liked=held_out.affinity(config.signals),
        profile={**warm_days[0].groups, **({} if warm_days[0].ages is None else {"age": warm_days[0].ages})},
    )
    watch = stops.repeat if is_final else stops.watch
    day_ones = [day.closed_items(config.signals) for day in warm_days]
    cold, ranker = train_networks(learning_data, day_ones, validation, watch, progress)
    model = TrainedModel(
        config=config,
        catalogue=catalogue,
        signal_encoder=encoder,
        fold_in=embeddings.fold_in,
        similarity=embeddings.similarity,
        cold=cold,
        segments=segments,
        input_clusters=input_clusters,
        everyone=count_items(np.zeros(len(counted), dtype=np.int64), counted_uses, 1)
        if everyone is None
        else everyone.items,
        profile_groups=count_groups(dataset, counted, counted_uses, catalogue) if everyone is None else everyone.groups,
        learned=learn_methods(learning_data, validation, watch, progress),
        ranker=ranker,
        item_weights=item_weights,
        warm=warm,
        unlisted=dataset.unlisted,
    )
    if shown_counts is not None and not is_fold:
        if learners is not None and learners.count_others is not None:
            others = learners.count_others(model, held_out_ids)
        else:
            window, shown_to = split.warm_window, split.warm if everyone is None else counted
            actions = dataset.all_actions() if window is None else dataset.actions(window)[0]
            others = count_shown_to_others(dataset, model, shown_to, actions, held_out_ids, window)
        model = replace(model, shown_counts=add_shown([shown_counts, others]))
    return Fold(Query(model, held_out, config.recommend.k, closed=closed), split.validation.truth)


def use_of_warm(dataset: Dataset, split: Split, config: Config) -> SparseRows:
    """Return the items each warm user uses, shape (n_warm, n_items)."""
    return select_uses(split.warm_actions, config.signals, len(split.warm), len(dataset.items))


def find_learners(uses: SparseRows) -> np.ndarray:
    """Return the rows of users with at least `MIN_LEARNED_ITEMS` items, ascending."""
    return np.flatnonzero(uses.lengths() >= MIN_LEARNED_ITEMS)


def choose_learners(dataset: Dataset, warm: np.ndarray, rows: np.ndarray, config: Config) -> np.ndarray:
    """Return the rows of the users to train on, ascending: the `training.most_users` with the smallest stable numbers.

    Parameters
    ----------
    dataset, config
        See `firstday.training.fit.fit`.
    warm
        `user_ix` of warm users, shape (n_warm,).
    rows
        Eligible rows, from `find_learners`.
    """
    numbers = stable_numbers(Ids(dataset.users.take(warm[rows])), config.seed)
    return np.sort(rows[np.argsort(numbers, kind="stable")[: config.training.most_users]])


def count_groups(dataset: Dataset, users: np.ndarray, uses: SparseRows, catalogue: Catalogue) -> dict[str, ItemCounts]:
    """Count the items used by each profile group, given `user_ix` and one row of `uses` per user."""
    sizes = {name: len(values) for name, values in catalogue.groups.items()}
    sizes |= {} if dataset.ages is None else {AGE: N_AGES}
    return {name: count_items(codes_of(dataset, name, users), uses, n) for name, n in sizes.items()}


def cohort_query(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int) -> Query:
    """Query a model for the users of a cohort with their profile and day one alone.

    Impressions up to the end of day one are included, unless day ones are sampled.
    """
    model, passed_over = recommender.model, None
    if cohort.day_end_us is not None:
        passed_over = collect_passed_over(
            dataset, cohort.users, cohort.day_one, model.config.signals, until=cohort.day_end_us
        )
    batch, _ = model.catalogue.translate(dataset, cohort.users, cohort.day_one, passed_over)
    query = Query(model, batch, k)
    if cohort.unborn is None:
        return query
    columns = model.catalogue.items.lookup(dataset.items.values)[cohort.unborn.columns]
    rows = cohort.unborn.row_of_entry()
    unborn = SparseRows.from_pairs(rows[columns >= 0], columns[columns >= 0], None, len(cohort), model.n_items)
    return replace(query, closed=union_rows([query.excluded, unborn]))


def collect_facts(
    dataset: Dataset, split: Split, model: TrainedModel, judged: Sequence[Fold], learners: Learners | None = None
) -> dict[str, Any]:
    """Return the facts stored with a model: data counts and validation metrics."""
    n_warm, n_learned = int(model.everyone.sizes[0]), int(model.input_clusters.items.sizes.sum())
    optional: dict[str, Any] = {} if n_warm == n_learned else {"learned_from": n_learned}
    for name, us in (("first_interaction", dataset.events.first), ("last_interaction", dataset.events.last)):
        if us is not None:
            optional[name] = str(np.datetime64(us, "us").astype("datetime64[D]"))
    without = () if dataset.precomputed is None else dataset.precomputed.items_without_vector.tolist()
    if without:
        first = [model.catalogue.items[item] for item in without[:MAX_NAMED_ITEMS]]
        optional |= {"items_without_vector": len(without), "first_items_without_vector": first}
    if len(model.unlisted) > len(without):
        optional["items_unlisted"] = len(model.unlisted)
    if (counts := model.shown_counts) is not None:
        optional["impressions"], optional["impressions_used"] = (
            int(rows.weights.sum(dtype=np.float64)) for rows in (counts.shown, counts.used)
        )
    precision = {
        name: round(100 * float(measure_folds(judged, name).mean()), 4)
        for name in ("popular", "segment", "blend", "auto")
    }
    return {
        "data": {
            "dataset": dataset.name,
            **(dataset.summary() if learners is None else learners.facts),
            "warm_users": n_warm,
            "vectors": model.config.embedding.method if dataset.precomputed is None else "precomputed",
            **optional,
            "validation_users": len(split.validation),
            "folds": len(split.folds),
            "segments": len(model.segments),
            "protocol": split.protocol,
            "notes": list(split.notes),
        },
        "metrics": {"users": "validation", "k": model.config.recommend.k, "precision": precision},
    }
