"""The stages in order: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from firstday.artifact.model import TrainedModel
from firstday.cold.model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import Peer
from firstday.config import Config, PeerName
from firstday.data.dataset import ITEM, BroughtVectors, Dataset
from firstday.data.rows import SparseRows
from firstday.data.split import Cohort, Split, split_sampled
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.embeddings import Embeddings
from firstday.embed.fit import WarmLogs, fit_embeddings
from firstday.errors import ConfigError, DataError, MissingExtraError
from firstday.evaluate.benchmark import Results, run_benchmark
from firstday.evaluate.metrics import PrecisionRule, measure
from firstday.evaluate.validation import Validation
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import N_AGES, Encoder, fit_encoder
from firstday.features.signals import SignalBatch
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_all, peers_of, strategies_with
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import ItemCounts, count_items

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
    config = _with_peers_of(config, [config.recommend.strategy])
    split = _split(dataset, config, config.seed, with_cold=False)
    return fit(dataset, split, config, progress=progress)


def evaluate_strategies(
    dataset: Dataset,
    config: Config | None = None,
    *,
    strategies: Sequence[str] = (),
    n_seeds: int = 1,
    k: int | None = None,
    divide_by: PrecisionRule = "min",
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
    n_seeds
        How many seeds, from `config.seed` on.
    k, divide_by
        See `firstday.evaluate.metrics.measure`.
    """
    config = _with_peers_of(config or Config(), strategies)
    if n_seeds < 1:
        raise ConfigError(f"n_seeds: is {n_seeds}; give at least 1.")
    return run_benchmark(
        dataset,
        lambda seed: _split(dataset, config, seed, with_cold=True),
        lambda split, seed: fit(dataset, split, config.model_copy(update={"seed": seed}), progress=progress),
        strategies or strategies_with(config.cold_model.peers),
        k=k or config.recommend.k,
        seeds=range(config.seed, config.seed + n_seeds),
        protocol="sampled",
        divide_by=divide_by,
        progress=progress,
    )


def _with_peers_of(config: Config, strategies: Sequence[str]) -> Config:
    """Return the configuration that trains the peers of some strategies too."""
    peers = tuple(sorted({*config.cold_model.peers, *peers_of(strategies)}))
    if peers == config.cold_model.peers:
        return config
    return config.model_copy(update={"cold_model": config.cold_model.model_copy(update={"peers": peers})})


def _split(dataset: Dataset, config: Config, seed: int, *, with_cold: bool) -> Split:
    """Split by the `sampled` protocol."""
    samples = config.cold_model.samples_per_user
    return split_sampled(dataset, config.signals, config.sampled, seed=seed, samples=samples, with_cold=with_cold)


def fit(dataset: Dataset, split: Split, config: Config, *, progress: Progress = no_progress) -> Recommender:
    """Run every stage on the warm users of a split; cold users take part in nothing."""
    n_warm, n_items = len(split.warm), len(dataset.items)

    progress("embeddings", 0, 1)
    uses = select_uses(split.warm_actions, config.signals, n_warm, n_items)
    embeddings = fit_embeddings(
        _warm_logs(dataset, split, config, uses), config.embedding, seed=config.seed, threads=config.threads
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
            "profile columns to users, or raise sampled.min_items."
        )
    features = [encoder.encode(day) for day in warm_days]

    n_clusters = min(config.recommend.input_clusters, max(1, n_warm // 10))
    input_clusters = fit_segments(unit_rows(features[0]), uses, n_clusters, config.segments, seed=config.seed)
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
    cold = _train_cold(features, embeddings, encoder, query, split.validation, config, progress)
    peer_data = PeerData(
        features, [day.affinity(config.signals) for day in warm_days], uses, embeddings, query.features, query.liked
    )
    peers = _train_peers(peer_data, query, split.validation, config, progress)
    recommender = Recommender(replace(model, cold=cold, peers=peers))
    facts = _facts(dataset, split, recommender, Query(recommender.model, validation, config.recommend.k))
    return Recommender(replace(recommender.model, facts=facts))


def _warm_logs(dataset: Dataset, split: Split, config: Config, uses: SparseRows) -> WarmLogs:
    """Collect what step 1 may see."""
    affinity = compute_affinity(split.warm_actions, config.signals, len(split.warm), len(dataset.items))
    brought = dataset.brought
    if brought is not None:
        brought = BroughtVectors(brought.user_vectors[split.warm], brought.item_vectors)
    sequences: list[list[int]] = []
    if config.embedding.method == "word2vec" and brought is None:
        sequences = _sequences(dataset, split, config)
    together = uses
    for entity in config.embedding.svd_collections:
        if entity not in dataset.entities:
            raise ConfigError(f"embedding.svd_collections: {entity!r} is no entity of the tables; remove it.")
        together = _stack(together, dataset.entities[entity].items)
    return WarmLogs(affinity, together, sequences, brought)


def _stack(above: SparseRows, below: SparseRows) -> SparseRows:
    """Put the rows of two matrices under each other."""
    return SparseRows(
        np.concatenate([above.starts, above.starts[-1] + below.starts[1:]]),
        np.concatenate([above.columns, below.columns]),
        np.concatenate([above.weights, below.weights]),
        above.n_columns,
    )


def _sequences(dataset: Dataset, split: Split, config: Config) -> list[list[int]]:
    """Return each warm user's used items, oldest first; without times, in the order of their indexes."""
    position = np.full(len(dataset.users), -1, dtype=np.int64)
    position[split.warm] = np.arange(len(split.warm))
    events = dataset.events
    events = events.filter((events["entity"] == ITEM) & events["signal"].is_in(config.signals.use))
    events = events.sort("timestamp", "target_ix", nulls_last=True, maintain_order=True)
    rows = position[events["user_ix"].to_numpy()]
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] >= 0]
    parts = np.split(events["target_ix"].to_numpy()[order], np.flatnonzero(np.diff(rows[order])) + 1)
    return [part.tolist() for part in parts]


def _count_groups(warm: SignalBatch, catalogue: Catalogue, uses: SparseRows) -> dict[str, ItemCounts]:
    """Count what each profile group uses."""
    counted = {name: count_items(warm.groups[name], uses, len(values)) for name, values in catalogue.groups.items()}
    if warm.ages is not None:
        counted["age"] = count_items(warm.ages, uses, N_AGES)
    return counted


def _train_cold(
    features: list[np.ndarray],
    embeddings: Embeddings,
    encoder: Encoder,
    query: Query,
    cohort: Cohort,
    config: Config,
    progress: Progress,
) -> ColdModel:
    """Train the network, stopping by the precision of `segment` on validation users."""
    try:
        from firstday.cold.train import train_cold_model
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    return train_cold_model(
        features,
        embeddings.user_vectors,
        encoder.encode(query.signals),
        Validation(query, cohort.truth).precision_of_segments,
        config.cold_model,
        seed=config.seed,
        threads=config.threads,
        progress=lambda done, total: progress("cold model", done, total),
    )


def _train_peers(
    data: PeerData, query: Query, cohort: Cohort, config: Config, progress: Progress
) -> dict[PeerName, Peer]:
    """Train the peers that are asked for, stopping by the mean precision of both of their strategies."""
    if not config.cold_model.peers:
        return {}
    from firstday.cold.train_peers import train_peers

    return train_peers(data, Validation(query, cohort.truth).precision_of_both_ways, config, progress=progress)


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
        },
        "metrics": {"users": "validation", "k": query.k, "precision": precision},
    }
