"""Training on the paper's released data: the stages after the computation of features."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import polars as pl

from firstday.config import Config
from firstday.data.ids import Ids
from firstday.embed.embeddings import Embeddings, FoldIn
from firstday.embed.kept_users import WarmUsers, keep_warm_users
from firstday.features.catalogue import Catalogue
from firstday.features.encoder import FeatureRows, hold_features
from firstday.features.signal_batch import SignalBatch
from firstday.lab.reproduce.deezer_kdd21 import PaperData, PaperUsers
from firstday.lab.reproduce.released_code import fit_by_scikit_learn
from firstday.methods.segments import cluster_inputs
from firstday.model.trained_model import TrainedModel
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.query import ComputedDays, Query
from firstday.recommend.spec import LearningData
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import count_items
from firstday.sparse import SparseRows
from firstday.training.learn import check_training, learn_cold_model, learn_methods
from firstday.training.validation import ObjectiveHistory, Validation, draw_evaluated

DAY_ONE_BLOCK = "streamed_songs"
"""Feature block with the mean vector of the songs streamed on day one."""


def fit_paper_model(
    data: PaperData, config: Config, *, like_code: Collection[str] = (), progress: Progress = no_progress
) -> TrainedModel:
    """Train on the paper's training users and their features, for some `DEPARTURES` like the authors' code.

    The model has no encoder, and answers only queries with precomputed day ones.
    """
    check_training(config)
    uses = data.train.songs
    progress("segments", 0, 1)
    users = unit_rows(data.user_vectors)
    n_segments = config.segments.resolve(len(users))
    fit_centroids = fit_by_scikit_learn if "scikit-learn" in like_code else None
    segments = fit_segments(
        users.__getitem__, uses, n_segments, config.segments, seed=config.seed, fit_centroids=fit_centroids
    )
    progress("segments", 1, 1)
    features = hold_features(data.train.features)
    embeddings = Embeddings(
        data.user_vectors, data.item_vectors, FoldIn(data.item_vectors, "mean"), choose_similarity(data, config)
    )
    n_items = len(data.items)
    rows = draw_evaluated(len(data.validation), n_items)
    validation = Validation(
        # No songs are excluded, since the data does not list those streamed on day one.
        excluded=SparseRows.empty(len(rows), n_items),
        truth=data.validation.songs.take(rows),
        k=min(config.recommend.k, n_items),
        segments=segments,
        item_vectors=embeddings.scoring_vectors,
    )
    learning_data = _join_learning_data(data, features, embeddings, rows, config)
    wrap = ObjectiveHistory().record
    last_epoch = ObjectiveHistory({"cold model": [[*range(config.cold_model.epochs)]]})
    cold = learn_cold_model(
        learning_data,
        validation,
        last_epoch.replay if "last-epoch" in like_code else wrap,
        progress,
        unit_targets="raw-targets" not in like_code,
        freezes="frozen-statistics" in like_code,
    )
    learned = learn_methods(learning_data, validation, wrap, progress)
    if fit_centroids is not None:
        learned["input_clusters"] = cluster_inputs(learning_data, validation.precision, progress, fit_centroids)
    return TrainedModel(
        config=config,
        catalogue=Catalogue(data.items, {}, {}, has_ages=False, signals=config.signals.names),
        signal_encoder=None,
        fold_in=embeddings.fold_in,
        similarity=embeddings.similarity,
        cold=cold,
        segments=segments,
        everyone=count_items(np.zeros(len(users), dtype=np.int64), uses, 1),
        profile_groups={},
        learned=learned,
        warm=_keep_warm(data, users, config),
    )


def _keep_warm(data: PaperData, users: np.ndarray, config: Config) -> WarmUsers | None:
    """Return the training users to store for `neighbors`, with row numbers as ids; None if disabled."""
    if not config.recommend.warm_users:
        return None
    ids = Ids.of(pl.int_range(len(users), eager=True))
    return keep_warm_users(ids, users, data.train.songs, config.recommend.warm_users, seed=config.seed)


def _join_learning_data(
    data: PaperData, features: FeatureRows, embeddings: Embeddings, rows: np.ndarray, config: Config
) -> LearningData:
    """Return the learning data, with mean vectors in place of day-one songs, which the data does not list.

    `rows` are those of the validation users to evaluate.
    """
    train_days, train_means = _days_of(data.train).stand_in(embeddings.similarity)
    validation = _days_of(data.validation).take(rows)
    validation_days, validation_means = validation.stand_in(embeddings.similarity)
    n_items = len(data.items)
    n_warm = len(data.train)
    uses = data.train.songs
    width = n_items + n_warm + len(validation_means)
    return LearningData(
        config=config,
        features=features,
        liked=[SparseRows(train_days.starts, train_days.columns + n_items, train_days.weights, width)],
        uses=SparseRows(uses.starts, uses.columns, uses.weights, width),
        embeddings=embeddings,
        validation_features=validation.features,
        validation_liked=SparseRows(
            validation_days.starts, validation_days.columns + n_items + n_warm, validation_days.weights, width
        ),
        stand_ins=np.concatenate([train_means, validation_means]),
        day_one_excluded=[SparseRows.empty(n_warm, n_items)],
        validation_excluded=SparseRows.empty(len(rows), n_items),
    )


def _days_of(users: PaperUsers) -> ComputedDays:
    return ComputedDays(users.features, users.block(DAY_ONE_BLOCK))


def choose_similarity(data: PaperData, config: Config) -> Literal["dot", "cosine"]:
    """Return the configured similarity; by default cosine in the SVD space and dot product in the ALS space."""
    if config.embedding.similarity != "auto":
        return config.embedding.similarity
    return "cosine" if data.space == "svd" else "dot"


def ask_for(model: TrainedModel, users: PaperUsers) -> Query:
    """Build the query for users of the paper's data."""
    days = _days_of(users)
    return Query(
        model, SignalBatch(len(users), model.n_items), min(model.config.recommend.k, model.n_items), computed=days
    )
