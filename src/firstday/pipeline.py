"""The stages in order: tables -> split -> embeddings -> segments -> features -> cold model -> recommender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

from firstday.artifact.model import TrainedModel
from firstday.cold.model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.config import Config, as_published
from firstday.data.dataset import Dataset
from firstday.data.registration import split_registration
from firstday.data.sampled import split_sampled
from firstday.data.split import Split
from firstday.embed.affinity import select_uses
from firstday.embed.fit import fit_embeddings
from firstday.embed.warm_logs import collect_warm_logs
from firstday.errors import ConfigError, DataError
from firstday.evaluate.benchmark import run_benchmark
from firstday.evaluate.blending import choose_weights
from firstday.evaluate.metrics import PrecisionRule
from firstday.evaluate.results import REFERENCE, Results
from firstday.evaluate.tuning import TunedPeer, Tuning
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import fit_encoder
from firstday.features.rows import collect_features
from firstday.ranking import unit_rows
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.segment import recommend_segment
from firstday.recommend.strategies import (
    EVALUATED_ALONE,
    PAPER_SEGMENT,
    check_strategies,
    peers_of,
    strategies_with,
)
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import count_items
from firstday.stages import (
    Progress,
    cluster_inputs,
    collect_facts,
    count_groups,
    keep_people,
    no_progress,
    train_network,
    train_peers_of,
    train_ranker_of,
    tune_peers_for,
)


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


def evaluate_strategies(
    dataset: Dataset,
    config: Config | None = None,
    *,
    strategies: Sequence[str] = (),
    tuned_peers: bool = False,
    tune_once: bool = False,
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
        Whether all of `EVALUATED_ALONE` are judged beside them.
    tune_once
        Whether the options chosen on the first seed's validation users serve for every seed: much quicker, and to the
        peers' advantage, as some of these are cold users of other seeds.
    n_seeds
        How many seeds, from `config.seed` on.
    k, divide_by
        See `firstday.evaluate.metrics.measure`.
    against
        Strategies with which the others are compared, by difference and ratio of precision.
    """
    config = with_peers_of(config or Config(), [name for name in strategies if name not in EVALUATED_ALONE])
    check_strategies([name for name in strategies if name not in EVALUATED_ALONE], config)
    if n_seeds < 1:
        raise ConfigError(f"n_seeds: is {n_seeds}; give at least 1.")
    asked = [*(strategies or strategies_with(config)), *(EVALUATED_ALONE if tuned_peers else ())]
    for name in against:
        if name != REFERENCE and name not in asked:
            raise ConfigError(f"against: {name} is not among the strategies; add it to them.")

    chosen: dict[str, Mapping[str, Any]] = {}

    def tune(split: Split, recommender: Recommender) -> dict[str, TunedPeer]:
        length = k or config.recommend.k
        mine = recommender.model.config
        found = tune_peers_for(
            dataset, split, recommender, asked, length, divide_by=divide_by, chosen=chosen, progress=progress
        )
        if tune_once:
            chosen.update({name: peer.tuning.options for name, peer in found.items()})
        published = {PAPER_SEGMENT: _fit_as_published(dataset, split, mine)} if PAPER_SEGMENT in asked else {}
        return {**found, **published}

    return run_benchmark(
        dataset,
        lambda seed: split_for(dataset, config, seed, with_cold=True),
        lambda split, seed: fit(dataset, split, config.model_copy(update={"seed": seed}), progress=progress),
        asked,
        k=k or config.recommend.k,
        seeds=range(config.seed, config.seed + n_seeds),
        protocol=choose_protocol(dataset, config),
        divide_by=divide_by,
        against=against,
        tune=tune,
        progress=progress,
    )


def _fit_as_published(dataset: Dataset, split: Split, config: Config) -> TunedPeer:
    """Train the paper's system as it is published on the first day ones of a split."""
    published = as_published(config)
    began = perf_counter()
    model = fit(dataset, replace(split, warm_day_one=split.warm_day_one[:1]), published, weigh=False).model
    seconds = perf_counter() - began
    precision = model.facts["metrics"]["precision"]["segment"]
    options = published.model_dump(include={"features", "cold_model"}, mode="json")
    tuning = Tuning({}, options, precision, len(split.validation), seconds, 0.0)
    return TunedPeer(lambda query: _ask_published(model, query), tuning)


def _ask_published(model: TrainedModel, query: Query) -> Answer:
    """Ask the model of the paper's system, which has the same names, under the name of the strategy."""
    answer = recommend_segment(replace(query, model=model))
    return replace(answer, routes=np.where(answer.routes == "segment", PAPER_SEGMENT, answer.routes))


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
