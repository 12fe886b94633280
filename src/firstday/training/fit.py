"""The stages in order: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from firstday.artifact.trained_model import TrainedModel
from firstday.cold.cold_model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import Peer
from firstday.cold.ranker import Ranker
from firstday.config import Config, PeerName
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.splits.registration import split_registration
from firstday.data.splits.sampled import split_sampled
from firstday.data.splits.split import Cohort, Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.embeddings import Embeddings
from firstday.embed.kept_users import WarmUsers, add_light_users, find_light_users, keep_warm_users
from firstday.embed.methods import collect_warm_logs, fit_embeddings
from firstday.errors import DataError, MissingExtraError
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import N_AGES, FeatureRows, collect_features, fit_encoder
from firstday.features.signals import SignalBatch
from firstday.metrics import PrecisionRule, measure
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.strategies import (
    TUNED_PEERS,
    answer_all,
    peers_of,
)
from firstday.segment.kmeans import fit_segments, fit_segments_by_parts
from firstday.segment.segments import ItemCounts, Segments, count_items
from firstday.sparse import SparseRows
from firstday.training.tune import TunedPeer
from firstday.training.validation import Validation
from firstday.training.weights import choose_weights

MOST_CLUSTERED_INPUTS = 30_000
"""Users among whom the centroids of input vectors are sought, which are twenty times as wide as users' vectors."""


def count_groups(warm: SignalBatch, catalogue: Catalogue, uses: SparseRows) -> dict[str, ItemCounts]:
    """Count what each profile group uses."""
    counted = {name: count_items(warm.groups[name], uses, len(values)) for name, values in catalogue.groups.items()}
    if warm.ages is not None:
        counted["age"] = count_items(warm.ages, uses, N_AGES)
    return counted


def cluster_inputs(features: FeatureRows, uses: SparseRows, config: Config) -> Segments:
    """Cluster warm users by the features of their first day one, scaled to length 1, and count what each cluster uses.

    Parameters
    ----------
    features
        Day-one features of the warm users.
    uses
        Which items each uses, shape (n_warm, n_items).
    config
        Number of clusters (`recommend.input_clusters`) and settings of k-means.
    """
    return fit_segments_by_parts(
        lambda rows: unit_rows(features.take(rows)),
        features.n_users,
        uses,
        min(config.recommend.input_clusters, max(1, features.n_users // 10)),
        config.segments,
        seed=config.seed,
        max_vectors=MOST_CLUSTERED_INPUTS,
    )


def keep_people(
    dataset: Dataset, split: Split, config: Config, embeddings: Embeddings, uses: SparseRows
) -> WarmUsers | None:
    """Choose the people to compare new ones with: warm users, and light ones who may be friends; None for nobody.

    Parameters
    ----------
    dataset, split, config
        See `firstday.training.fit.fit`.
    embeddings
        Vectors of the warm users and items; those of light users are solved from their items.
    uses
        Which items each warm user uses, shape (n_warm, n_items).
    """
    most = config.recommend
    if not most.warm_users:
        return None
    ids = Ids(dataset.users.take(split.warm))
    warm = keep_warm_users(ids, unit_rows(embeddings.user_vectors), uses, most.warm_users, seed=config.seed)
    if not (len(split.light) and most.light_users and config.features.friends):
        return warm
    return add_light_users(warm, find_light_users(dataset, split, config, embeddings))


def train_network(
    features: FeatureRows,
    user_vectors: np.ndarray,
    validation: Query,
    truth: SparseRows,
    *,
    later: tuple[SparseRows, Sequence[SparseRows]],
    progress: Progress = no_progress,
) -> ColdModel:
    """Train the cold model, stopping by precision on validation users (`cold_model.stop_by`).

    Parameters
    ----------
    features
        Day-one features of the warm users.
    user_vectors
        Their mature vectors, float32, shape (n_warm, d).
    validation
        Validation users, asking a model that is complete but for the network; its configuration is followed.
    truth
        What they used afterwards, shape (n_validation, n_items).
    later
        See `train_cold_model`.
    progress
        Called as passes are done.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    try:
        from firstday.cold.train_cold_model import train_cold_model
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    config = validation.model.config
    judge = Validation(validation, truth)
    stops = {"both": judge.precision_of_both_ways, "segment": judge.precision_of_segments}
    progress("cold model", 0, config.cold_model.epochs)
    return train_cold_model(
        features,
        user_vectors,
        validation.features,
        stops[config.cold_model.stop_by],
        config.cold_model,
        later=later if config.recommend.warm_users else None,  # else nobody can be a neighbour
        seed=config.seed,
        threads=config.threads,
        progress=lambda done, total: progress("cold model", done, total),
    )


def train_ranker_of(
    features: FeatureRows,
    day_ones: Sequence[SparseRows],
    uses: SparseRows,
    validation: Query,
    truth: SparseRows,
    *,
    progress: Progress = no_progress,
) -> Ranker | None:
    """Train the ranker, stopping by the precision of `direct` on validation users; None where it is not enabled.

    Parameters
    ----------
    features, validation, truth, progress
        See `train_network`.
    day_ones
        Items used on day one in each sample of the warm users, each of shape (n_warm, n_items).
    uses
        Items that each uses in all, shape (n_warm, n_items).
    """
    config = validation.model.config
    if not config.ranker.enabled:
        return None
    from firstday.cold.train_ranker import train_ranker

    progress("ranker", 0, config.ranker.epochs)
    judge = Validation(validation, truth)
    return train_ranker(
        features,
        day_ones,
        uses,
        judge.features_ranked,
        judge.precision_of_ranker,
        config.ranker,
        seed=config.seed,
        threads=config.threads,
        progress=lambda done, total: progress("ranker", done, total),
    )


def train_peers_of(
    data: PeerData, validation: Query, truth: SparseRows, *, progress: Progress = no_progress
) -> dict[PeerName, Peer]:
    """Train the peers that the configuration asks for, stopping by the mean precision of both of their strategies.

    Parameters
    ----------
    data
        What they learn from.
    validation, truth, progress
        See `train_network`.
    """
    config = validation.model.config
    if not config.cold_model.peers:
        return {}
    from firstday.cold.train_peers import train_peers

    return train_peers(data, Validation(validation, truth).precision_of_both_ways, config, progress=progress)


def cohort_query(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int) -> Query:
    """Ask a model for lists for the users of a cohort, from their profile and day one alone."""
    batch, _ = recommender.model.catalogue.translate(dataset, cohort.users, cohort.day_one)
    return Query(recommender.model, batch, k)


def tune_peers_for(
    dataset: Dataset,
    split: Split,
    recommender: Recommender,
    strategies: Sequence[str],
    k: int,
    *,
    divide_by: PrecisionRule = "min",
    chosen: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = no_progress,
) -> Mapping[str, TunedPeer]:
    """Fit the tuned peers that are among some strategies: on warm users, options chosen on validation users.

    Parameters
    ----------
    dataset, split
        The data, and who is warm, for validation and cold; cold users take no part.
    recommender
        A model trained on the split; its fallbacks answer where a peer has nothing to go on.
    strategies
        Names; those of peers that no model holds are fitted.
    k
        Length of the lists.
    divide_by, progress
        See `evaluate_strategies`.
    chosen
        Options of peers that are not to be chosen anew, by name.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    names = [name for name in TUNED_PEERS if name in strategies]
    if not names:
        return {}
    try:
        from firstday.training.tune import KINDS, tune_peers
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    config, n_warm, n_items = recommender.model.config, len(split.warm), len(dataset.items)
    return tune_peers(
        names,
        select_uses(split.warm_actions, config.signals, n_warm, n_items),
        compute_affinity(split.warm_actions, config.signals, n_warm, n_items),
        cohort_query(recommender, dataset, split.validation, k),
        split.validation.truth,
        divide_by=divide_by,
        kinds={name: kind.with_options((chosen or {}).get(name)) for name, kind in KINDS.items()},
        progress=progress,
    )


def collect_facts(dataset: Dataset, split: Split, recommender: Recommender, query: Query) -> dict[str, Any]:
    """Return what people want to know of a model: data counts and validation metrics."""
    precision = {
        name: round(100 * float(measure(answer_all(query, name).items, split.validation.truth).precision.mean()), 4)
        for name in ("popular", "segment", "blend")
    }
    return {
        "data": {
            "dataset": dataset.name,
            **dataset.summary(),
            "warm_users": len(split.warm),
            "light_users": 0 if recommender.model.warm is None else recommender.model.warm.n_light,
            "validation_users": len(split.validation),
            "segments": len(recommender.model.segments),
            "protocol": split.protocol,
            "notes": list(split.notes),
        },
        "metrics": {"users": "validation", "k": query.k, "precision": precision},
    }


def train(dataset: Dataset, config: Config | None = None, *, progress: Progress = no_progress) -> Recommender:
    """Train on all users with enough history; a tenth of them is held out to stop at the right moment.

    Parameters
    ----------
    dataset
        From `load`.
    config
        Settings; the defaults if left out.
    progress
        Called as stages advance.

    Returns
    -------
    Recommender
        Its facts hold the precision on the held-out users, who chose the moment to stop: slightly flattering, where
        `evaluate_strategies` is not.

    Raises
    ------
    DataError
        Too few users.
    ConfigError
        A setting that does not fit the data.
    MissingExtraError
        Libraries for training are not installed.
    """
    config = config or Config()
    config = with_peers_of(config, [config.recommend.strategy])
    split = split_for(dataset, config, config.seed, with_cold=False)
    return fit(dataset, split, config, progress=progress)


def with_peers_of(config: Config, strategies: Sequence[str]) -> Config:
    """Return the configuration that trains the peers of some strategies too."""
    peers = tuple(sorted({*config.cold_model.peers, *peers_of(strategies)}))
    if peers == config.cold_model.peers:
        return config
    return config.model_copy(update={"cold_model": config.cold_model.model_copy(update={"peers": peers})})


def split_for(dataset: Dataset, config: Config, seed: int, *, with_cold: bool) -> Split:
    """Split by the configured protocol, or the one that suits the data.

    Parameters
    ----------
    dataset, config
        See `train`.
    seed
        Of who is cold, and of the day ones that are drawn.
    with_cold
        Whether to hold out users to report on, or only those who decide when training stops.
    """
    if choose_protocol(dataset, config) == "registration":
        return split_registration(
            dataset, config.signals, config.registration, config.sampled, seed=seed, with_cold=with_cold
        )
    return split_sampled(dataset, config.signals, config.sampled, seed=seed, with_cold=with_cold)


def choose_protocol(dataset: Dataset, config: Config) -> Literal["sampled", "registration"]:
    """Return the configured protocol; under ``auto``, `registration` where registrations and times are known."""
    if config.protocol != "auto":
        return config.protocol
    dated = dataset.registered_at is not None and bool((dataset.registered_at >= 0).any())
    return "registration" if dated and dataset.events.first is not None else "sampled"


def fit(
    dataset: Dataset, split: Split, config: Config, *, weigh: bool = True, progress: Progress = no_progress
) -> Recommender:
    """Run every stage on the warm users of a split; cold users take part in nothing.

    Parameters
    ----------
    dataset, split, config
        The data, who is warm and who decides when training stops, and all settings.
    weigh
        Whether to choose what `soft_segments`, `neighbors`, `friends` and `blend` weigh; else they have their defaults.
    progress
        See `train`.
    """
    n_warm, n_items = len(split.warm), len(dataset.items)

    progress("embeddings", 0, 1)
    uses = select_uses(split.warm_actions, config.signals, n_warm, n_items)
    embeddings = fit_embeddings(
        collect_warm_logs(dataset, split, config, uses), config.embedding, seed=config.seed, threads=config.threads
    )
    progress("embeddings", 1, 1)

    progress("segments", 0, 1)
    users = unit_rows(embeddings.user_vectors)
    n_segments = config.segments.resolve(n_warm)
    segments = fit_segments(users, uses, n_segments, config.segments, seed=config.seed)
    progress("segments", 1, 1)

    warm = keep_people(dataset, split, config, embeddings, uses)
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
            "interactions: warm users have neither a day-one interaction nor a profile value to learn from; add "
            "profile columns to users, or ask for more items of warm users (min_items)."
        )
    features = collect_features(encoder, warm_days)

    input_clusters = cluster_inputs(features, uses, config)
    everyone = count_items(np.zeros(n_warm, dtype=np.int64), uses, 1)

    validation, _ = catalogue.translate(dataset, split.validation.users, split.validation.day_one)
    model = TrainedModel(
        config=config,
        catalogue=catalogue,
        encoder=encoder,
        similarity=embeddings.similarity,
        cold=ColdModel(b""),
        segments=segments,
        input_clusters=input_clusters,
        everyone=everyone,
        profile_groups=count_groups(warm_days[0], catalogue, uses),
        warm=warm,
    )
    truth = split.validation.truth
    query = Query(model, validation, config.recommend.k)
    day_ones = [day.closed_items(config.signals) for day in warm_days]
    cold = train_network(features, embeddings.user_vectors, query, truth, later=(uses, day_ones), progress=progress)
    ranker = train_ranker_of(features, day_ones, uses, query, truth, progress=progress)
    peer_data = PeerData(
        features, [day.affinity(config.signals) for day in warm_days], uses, embeddings, query.features, query.liked
    )
    peers = train_peers_of(peer_data, query, truth, progress=progress)
    model = replace(model, cold=cold, peers=peers, ranker=ranker)
    if weigh:
        progress("weights", 0, 1)
        model = choose_weights(Query(model, validation, query.k), truth)
        progress("weights", 1, 1)
    facts = collect_facts(dataset, split, Recommender(model), Query(model, validation, query.k))
    return Recommender(replace(model, facts=facts))
