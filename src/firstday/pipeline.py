"""The stages in order: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from firstday.artifact.model import TrainedModel
from firstday.cold.model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import Peer
from firstday.config import Config, PeerName
from firstday.data.dataset import Dataset
from firstday.data.registration import split_registration
from firstday.data.rows import SparseRows
from firstday.data.sampled import split_sampled
from firstday.data.split import Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.fit import fit_embeddings
from firstday.embed.warm_logs import collect_warm_logs
from firstday.errors import ConfigError, DataError, MissingExtraError
from firstday.evaluate.benchmark import cohort_query, run_benchmark
from firstday.evaluate.metrics import PrecisionRule, measure
from firstday.evaluate.mixing import choose_mixing
from firstday.evaluate.results import REFERENCE, Results
from firstday.evaluate.tuning import TunedPeer
from firstday.evaluate.validation import Validation
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import N_AGES, fit_encoder
from firstday.features.rows import FeatureRows, collect_features
from firstday.features.signals import SignalBatch
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import TUNED_PEERS, Recommender, answer_all, peers_of, strategies_with
from firstday.segment.kmeans import fit_segments, fit_segments_by_parts
from firstday.segment.segments import ItemCounts, Segments, count_items

MOST_CLUSTERED_INPUTS = 100_000
"""Users among whom the centroids of input vectors are sought, which are twenty times as wide as users' vectors."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done, and what there is in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""


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
    split = _split(dataset, config, config.seed, with_cold=False)
    return fit(dataset, split, config, progress=progress)


def evaluate_strategies(
    dataset: Dataset,
    config: Config | None = None,
    *,
    strategies: Sequence[str] = (),
    tuned_peers: bool = False,
    n_seeds: int = 1,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
    against: Sequence[str] = (REFERENCE,),
    progress: Progress = no_progress,
) -> Results:
    """Hold out cold users, train on the others, and judge the strategies on the cold users, once for each seed.

    Parameters
    ----------
    dataset, config, progress
        See `train`.
    strategies
        Names; the peers that they need are trained. If empty, all but those of peers that the configuration does not
        train.
    tuned_peers
        Whether all of `TUNED_PEERS` are judged beside them.
    n_seeds
        How many seeds, from `config.seed` on.
    k, divide_by
        See `firstday.evaluate.metrics.measure`.
    against
        Strategies with which the others are compared, by difference and ratio of precision.
    """
    config = with_peers_of(config or Config(), [name for name in strategies if name not in TUNED_PEERS])
    if n_seeds < 1:
        raise ConfigError(f"n_seeds: is {n_seeds}; give at least 1.")
    asked = [*(strategies or strategies_with(config.cold_model.peers)), *(TUNED_PEERS if tuned_peers else ())]
    for name in against:
        if name != REFERENCE and name not in asked:
            raise ConfigError(f"against: {name} is not among the strategies; add it to them.")
    return run_benchmark(
        dataset,
        lambda seed: _split(dataset, config, seed, with_cold=True),
        lambda split, seed: fit(dataset, split, config.model_copy(update={"seed": seed}), progress=progress),
        asked,
        k=k or config.recommend.k,
        seeds=range(config.seed, config.seed + n_seeds),
        protocol=choose_protocol(dataset, config),
        divide_by=divide_by,
        against=against,
        tune=lambda split, recommender: tune_peers_for(
            dataset, split, recommender, asked, k or config.recommend.k, divide_by=divide_by, progress=progress
        ),
        progress=progress,
    )


def tune_peers_for(
    dataset: Dataset,
    split: Split,
    recommender: Recommender,
    strategies: Sequence[str],
    k: int,
    *,
    divide_by: PrecisionRule = "min",
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

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    names = [name for name in TUNED_PEERS if name in strategies]
    if not names:
        return {}
    try:
        from firstday.peers.tune import tune_peers
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
        progress=progress,
    )


def with_peers_of(config: Config, strategies: Sequence[str]) -> Config:
    """Return the configuration that trains the peers of some strategies too."""
    peers = tuple(sorted({*config.cold_model.peers, *peers_of(strategies)}))
    if peers == config.cold_model.peers:
        return config
    return config.model_copy(update={"cold_model": config.cold_model.model_copy(update={"peers": peers})})


def _split(dataset: Dataset, config: Config, seed: int, *, with_cold: bool) -> Split:
    """Split by the configured protocol, or the one that suits the data."""
    if choose_protocol(dataset, config) == "registration":
        return split_registration(
            dataset, config.signals, config.registration, config.sampled, seed=seed, with_cold=with_cold
        )
    samples = config.cold_model.samples_per_user
    return split_sampled(dataset, config.signals, config.sampled, seed=seed, samples=samples, with_cold=with_cold)


def choose_protocol(dataset: Dataset, config: Config) -> Literal["sampled", "registration"]:
    """Return the configured protocol; under ``auto``, `registration` where registrations and times are known."""
    if config.protocol != "auto":
        return config.protocol
    dated = dataset.registered_at is not None and bool((dataset.registered_at >= 0).any())
    return "registration" if dated and dataset.events.first is not None else "sampled"


def fit(dataset: Dataset, split: Split, config: Config, *, progress: Progress = no_progress) -> Recommender:
    """Run every stage on the warm users of a split; cold users take part in nothing."""
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

    catalogue = Catalogue.of(dataset, config.signals.known)
    warm_days = [catalogue.translate(dataset, split.warm, day_one)[0] for day_one in split.warm_day_one]
    encoder = fit_encoder(
        embeddings,
        warm_days[0],
        {name: entity.items for name, entity in dataset.entities.items()},
        {name: len(values) for name, values in catalogue.groups.items()},
        config.features,
        config.signals,
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
        profile_groups=_count_groups(warm_days[0], catalogue, uses),
    )
    query = Query(model, validation, config.recommend.k)
    cold = train_network(features, embeddings.user_vectors, query, split.validation.truth, progress=progress)
    peer_data = PeerData(
        features, [day.affinity(config.signals) for day in warm_days], uses, embeddings, query.features, query.liked
    )
    peers = train_peers_of(peer_data, query, split.validation.truth, progress=progress)
    model = replace(model, cold=cold, peers=peers)
    model = replace(model, mixing=choose_mixing(Query(model, validation, query.k), split.validation.truth))
    recommender = Recommender(model)
    facts = _facts(dataset, split, recommender, Query(recommender.model, validation, config.recommend.k))
    return Recommender(replace(recommender.model, facts=facts))


def _count_groups(warm: SignalBatch, catalogue: Catalogue, uses: SparseRows) -> dict[str, ItemCounts]:
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
        most=MOST_CLUSTERED_INPUTS,
    )


def train_network(
    features: FeatureRows,
    user_vectors: np.ndarray,
    validation: Query,
    truth: SparseRows,
    *,
    progress: Progress = no_progress,
) -> ColdModel:
    """Train the cold model, stopping by the precision of `segment` on validation users.

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
    progress
        Called as passes are done.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    try:
        from firstday.cold.train import train_cold_model
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    config = validation.model.config
    progress("cold model", 0, config.cold_model.epochs)
    return train_cold_model(
        features,
        user_vectors,
        validation.features,
        Validation(validation, truth).precision_of_segments,
        config.cold_model,
        seed=config.seed,
        threads=config.threads,
        progress=lambda done, total: progress("cold model", done, total),
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


def _facts(dataset: Dataset, split: Split, recommender: Recommender, query: Query) -> dict[str, Any]:
    """Return what people want to know of a model: data counts and validation metrics."""
    precision = {
        name: round(100 * float(measure(answer_all(query, name).items, split.validation.truth).precision.mean()), 4)
        for name in ("popular", "segment")
    }
    return {
        "data": {
            "dataset": dataset.name,
            **dataset.summary(),
            "warm_users": len(split.warm),
            "validation_users": len(split.validation),
            "segments": len(recommender.model.segments),
            "protocol": split.protocol,
            "notes": list(split.notes),
        },
        "metrics": {"users": "validation", "k": query.k, "precision": precision},
    }
