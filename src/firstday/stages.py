"""The stages that the pipeline and the paper's table share: clusters of inputs, networks, and peers to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from firstday.cold.model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.cold.peers import Peer
from firstday.cold.ranker import Ranker
from firstday.config import Config
from firstday.config_networks import PeerName
from firstday.data.dataset import Dataset
from firstday.data.ids import Ids
from firstday.data.rows import SparseRows
from firstday.data.split import Split
from firstday.embed.affinity import compute_affinity, select_uses
from firstday.embed.embeddings import Embeddings
from firstday.embed.light_users import find_light_users
from firstday.embed.warm_users import WarmUsers, add_light_users, keep_warm_users
from firstday.errors import MissingExtraError
from firstday.evaluate.benchmark import cohort_query
from firstday.evaluate.metrics import PrecisionRule, measure
from firstday.evaluate.tuning import TunedPeer
from firstday.evaluate.validation import Validation
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import N_AGES
from firstday.features.rows import FeatureRows
from firstday.features.signals import SignalBatch
from firstday.ranking import unit_rows
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender
from firstday.recommend.strategies import TUNED_PEERS, answer_all
from firstday.segment.kmeans import fit_segments_by_parts
from firstday.segment.segments import ItemCounts, Segments, count_items

MOST_CLUSTERED_INPUTS = 30_000
"""Users among whom the centroids of input vectors are sought, which are twenty times as wide as users' vectors."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done, and what there is in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""


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
        most=MOST_CLUSTERED_INPUTS,
    )


def keep_people(
    dataset: Dataset, split: Split, config: Config, embeddings: Embeddings, uses: SparseRows
) -> WarmUsers | None:
    """Choose the people to compare new ones with: warm users, and light ones who may be friends; None for nobody.

    Parameters
    ----------
    dataset, split, config
        See `firstday.pipeline.fit`.
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
        from firstday.cold.train import train_cold_model
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
        from firstday.peers.tune import KINDS, tune_peers
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
