"""Training of the networks and of other methods, stopped by the precision of lists for validation users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from firstday.cold.cold_model import ColdModel
from firstday.cold.ranker import Ranker
from firstday.config import Config
from firstday.errors import needs_extra
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.registry import find_learner
from firstday.recommend.spec import ColdModelSpec, LearningData
from firstday.segment.kmeans import fit_segments_by_parts
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows
from firstday.training.validation import Validation, Watch

MOST_CLUSTERED_INPUTS = 10_000
"""Users among whom the centroids of input vectors are sought, which are twenty times as wide as users' vectors."""
METHOD = "method "
"""The stage of progress of a method that learns begins so."""


def check_device(config: Config) -> None:
    """Raise at once, not after minutes, where networks cannot be trained on `config.device`.

    Raises
    ------
    ConfigError
        The device is not there.
    MissingExtraError
        Libraries for training are not installed.
    """
    if config.device in ("auto", "cpu"):
        return  # always there: nothing needs to be loaded to tell
    with needs_extra("training", "train"):
        from firstday.cold.device import choose_device
    choose_device(config.device)


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


def train_network(
    features: FeatureRows,
    user_vectors: np.ndarray,
    validation_features: np.ndarray,
    validation: Validation,
    config: Config,
    watch: Watch,
    progress: Progress = no_progress,
) -> ColdModel:
    """Train the cold model, stopping by precision on validation users (`cold_model.stop_by`).

    Parameters
    ----------
    features
        Day-one features of the warm users.
    user_vectors
        Their mature vectors, float32, shape (n_warm, d).
    validation_features
        Features of the validation users, float32, shape (n_validation, n_inputs).
    validation
        Judges their lists.
    config
        The configuration.
    watch
        `Stops.watch`, or `Stops.repeat` to stop where training did before.
    progress
        Called as passes are done.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    with needs_extra("training", "train"):
        from firstday.cold.train_cold_model import train_cold_model
    judges = {"both": validation.precision_of_both_ways, "segment": validation.precision_of_segments}
    progress("cold model", 0, config.cold_model.epochs)
    return train_cold_model(
        features,
        user_vectors,
        validation_features[validation.judged],
        watch("cold model", judges[config.cold_model.stop_by]),
        config.cold_model,
        seed=config.seed,
        threads=config.threads,
        device=config.device,
        progress=lambda done, total: progress("cold model", done, total),
    )


def train_ranker_of(
    features: FeatureRows,
    day_ones: Sequence[SparseRows],
    uses: SparseRows,
    validation_features: np.ndarray,
    validation: Validation,
    config: Config,
    watch: Watch,
    progress: Progress = no_progress,
) -> Ranker | None:
    """Train the ranker, stopping by the precision of `direct` on validation users; None where it is not enabled.

    Parameters
    ----------
    features, validation_features, validation, config, watch, progress
        See `train_network`.
    day_ones
        Items used on day one in each sample of the warm users, each of shape (n_warm, n_items).
    uses
        Items that each uses in all, shape (n_warm, n_items).
    """
    if not config.ranker.enabled:
        return None
    from firstday.cold.train_ranker import train_ranker

    watched = watch("ranker", lambda scored: validation.precision_of_scores(*scored))
    progress("ranker", 0, config.ranker.epochs)
    return train_ranker(
        features,
        day_ones,
        uses,
        validation_features[validation.judged],
        lambda score, items: watched((score, items)),
        config.ranker,
        seed=config.seed,
        threads=config.threads,
        device=config.device,
        progress=lambda done, total: progress("ranker", done, total),
    )


def learn_methods(
    data: LearningData, validation: Validation, watch: Watch, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train what `config.methods` names, in its order, but for methods with options to search.

    Parameters
    ----------
    data
        What methods learn from.
    validation
        Judges their lists: a cold model by both of its strategies, a strategy by its own.
    watch
        See `train_network`.
    progress
        Called as methods advance.

    Returns
    -------
    dict
        What each learned, by name.

    Raises
    ------
    ConfigError
        A name is that of no method that learns.
    FirstdayError
        A method that is not ours raised an error, or returned something other than its `value`.
    """
    data = replace(
        data,
        validation_features=data.validation_features[validation.judged],
        validation_liked=data.validation_liked.take(validation.judged),
    )
    learned = {}
    for name in data.config.methods:
        spec = find_learner(name)
        judge = validation.precision_of_both_ways if isinstance(spec, ColdModelSpec) else validation.precision
        if spec.fit is None:
            continue
        progress(f"{METHOD}{name}", 0, 1)
        learned[name] = spec.fit(data, watch(name, judge), progress)
        progress(f"{METHOD}{name}", 1, 1)
    return learned
