"""A model of the paper's released data: the pipeline's stages after the features."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from firstday.artifact.trained_model import TrainedModel
from firstday.cold.cold_model import ColdModel
from firstday.cold.peer_data import PeerData
from firstday.config import Config
from firstday.data.ids import Ids
from firstday.data.sources.deezer_kdd21 import PaperData, PaperUsers
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.embed.kept_users import WarmUsers, keep_warm_users
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import Encoder, FeatureRows, hold_features
from firstday.features.signals import SignalBatch
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.query import ComputedDays, Query
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from firstday.training.fit import cluster_inputs, train_network, train_peers_of, train_ranker_of

DAY_ONE_BLOCK = "streamed_songs"
"""The block with the mean vector of the songs streamed on day one."""


def fit_paper_model(data: PaperData, config: Config, *, progress: Progress = no_progress) -> TrainedModel:
    """Run the stages after the features on the paper's training users.

    Returns
    -------
    TrainedModel
        It answers queries with computed day ones. Its encoder holds the items' vectors and no statistics, so that it
        cannot make features of signals.
    """
    uses = data.train.songs
    progress("segments", 0, 1)
    users = unit_rows(data.user_vectors)
    segments = fit_segments(users, uses, config.segments.resolve(len(users)), config.segments, seed=config.seed)
    progress("segments", 1, 1)
    features = hold_features([data.train.features])
    progress("input clusters", 0, 1)
    input_clusters = cluster_inputs(features, uses, config)
    progress("input clusters", 1, 1)
    model = TrainedModel(
        config=config,
        catalogue=Catalogue(data.items, {}, {}, has_ages=False, signals=config.signals.known),
        encoder=_hold_vectors(data, config),
        similarity=choose_similarity(data, config),
        cold=ColdModel(b""),
        segments=segments,
        input_clusters=input_clusters,
        everyone=count_items(np.zeros(len(users), dtype=np.int64), uses, 1),
        profile_groups={},
    )
    validation = ask_for(model, data.validation)
    # Which songs were streamed on day one is not in the data, so that none is left out of what is to be found.
    cold = train_network(features, users, validation, data.validation.songs, later=(uses, []), progress=progress)
    ranker = train_ranker_of(features, [], uses, validation, data.validation.songs, progress=progress)
    model = replace(model, ranker=ranker, warm=_keep_warm(data, users, config))
    if not config.cold_model.peers:
        return replace(model, cold=cold)
    peer_data = _join_peer_data(data, features, users, validation)
    peers = train_peers_of(peer_data, validation, data.validation.songs, progress=progress)
    return replace(model, cold=cold, peers=peers)


def _keep_warm(data: PaperData, users: np.ndarray, config: Config) -> WarmUsers | None:
    """Keep training users for `neighbors`, numbered, since the data does not name them; None where none are wanted."""
    if not config.recommend.warm_users:
        return None
    ids = Ids.of(pl.int_range(len(users), eager=True))
    return keep_warm_users(ids, users, data.train.songs, config.recommend.warm_users, seed=config.seed)


def _join_peer_data(data: PaperData, features: FeatureRows, users: np.ndarray, validation: Query) -> PeerData:
    """Return what the peers learn from; mean vectors of day one stand in for its songs, which are not in the data."""
    model = validation.model
    embeddings = Embeddings(users, data.item_vectors, model.encoder.fold_in, model.similarity)
    warm = ComputedDays(data.train.features, data.train.block(DAY_ONE_BLOCK))
    assert validation.computed is not None
    (of_warm, warm_means), (of_held_out, means) = (
        days.stand_in(model.similarity) for days in (warm, validation.computed)
    )
    n_items, n_warm, uses = model.n_items, len(users), data.train.songs
    width = n_items + n_warm + len(means)
    liked = SparseRows(of_warm.starts, of_warm.columns + n_items, of_warm.weights, width)
    held_out = SparseRows(of_held_out.starts, of_held_out.columns + n_items + n_warm, of_held_out.weights, width)
    return PeerData(
        features,
        [liked],
        SparseRows(uses.starts, uses.columns, uses.weights, width),
        embeddings,
        validation.features,
        held_out,
        np.concatenate([warm_means, means]),
    )


def choose_similarity(data: PaperData, config: Config) -> Literal["dot", "cosine"]:
    """Return how a vector scores items: as set, or by cosine in the SVD's space and by dot product in that of ALS."""
    if config.embedding.similarity != "auto":
        return config.embedding.similarity
    return "cosine" if data.space == "svd" else "dot"


def _hold_vectors(data: PaperData, config: Config) -> Encoder:
    """Return an encoder that holds the items' vectors and makes no features."""
    fold_in = FoldIn(data.item_vectors, "mean")
    bare = config.features.override("fold_in", False)
    return Encoder((), {}, {}, None, 0.0, 1.0, fold_in, bare, config.signals)


def ask_for(model: TrainedModel, users: PaperUsers) -> Query:
    """Ask for lists for users of the paper's data."""
    days = ComputedDays(users.features, users.block(DAY_ONE_BLOCK))
    return Query(
        model, SignalBatch(len(users), model.n_items), min(model.config.recommend.k, model.n_items), computed=days
    )
