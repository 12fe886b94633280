"""Training of networks and other methods, with early stopping on the precision of validation users' lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from firstday.cold.cold_model import ColdModel
from firstday.cold.ranker import Ranker
from firstday.config import Config
from firstday.errors import needs_extra
from firstday.features.encoder import FeatureRows
from firstday.progress import Progress, no_progress
from firstday.ranking import unit_rows
from firstday.recommend.registry import find_learner
from firstday.recommend.spec import ColdModelSpec, LearningData
from firstday.segment.kmeans import fit_segments
from firstday.segment.segments import Segments
from firstday.sparse import SparseRows
from firstday.training.validation import Validation, Watch

MOST_CLUSTERED_INPUTS = 10_000
"""Maximum number of users to cluster input vectors of, which are twenty times as wide as user vectors."""
METHOD = "method "
"""Prefix of the progress stages of trained methods."""


def check_device(config: Config) -> None:
    """Raise immediately if networks cannot be trained on `config.device`.

    Raises
    ------
    ConfigError
        The device is not available.
    MissingExtraError
        The training libraries are not installed.
    """
    if config.device in ("auto", "cpu"):
        return  # always available: skip importing torch
    with needs_extra("training", "train"):
        from firstday.cold.device import choose_device
    choose_device(config.device)


def cluster_inputs(features: FeatureRows, uses: SparseRows, config: Config) -> Segments:
    """Cluster warm users by the unit-length features of their first day-one sample; count each cluster's items."""
    return fit_segments(
        lambda rows: unit_rows(features.take(rows)),
        uses,
        min(config.recommend.input_clusters, max(1, features.n_users // 10)),
        config.segments,
        seed=config.seed,
        max_vectors=MOST_CLUSTERED_INPUTS,
    )


def train_networks(
    data: LearningData,
    day_ones: Sequence[SparseRows],
    validation: Validation,
    watch: Watch,
    progress: Progress = no_progress,
) -> tuple[ColdModel, Ranker | None]:
    """Train the cold model, and the ranker if it is enabled, with early stopping on validation users.

    Parameters
    ----------
    data
        Training data.
    day_ones
        Items used in each day-one sample of the warm users, each of shape (n_warm, n_items); empty if unknown.
    validation
        Scores the lists of validation users: for the cold model as `cold_model.stop_by` says, for the ranker those of
        `direct`.
    watch
        `Stops.watch`, or `Stops.repeat` to stop where earlier training did.
    progress
        Called after each epoch.

    Raises
    ------
    MissingExtraError
        The training libraries are not installed.
    """
    with needs_extra("training", "train"):
        from firstday.cold.train_cold_model import train_cold_model
        from firstday.cold.train_ranker import train_ranker
    config, features, held_out = data.config, data.features, data.validation_features[validation.judged]
    judges = {"both": validation.precision_of_both_ways, "segment": validation.precision_of_segments}
    judge = watch("cold model", judges[config.cold_model.stop_by])
    cold = train_cold_model(features, data.embeddings.user_vectors, held_out, judge, config, progress)
    if not config.ranker.enabled:
        return cold, None
    judge = watch("ranker", validation.precision_of_scores)
    return cold, train_ranker(features, day_ones, data.uses, held_out, judge, config, progress)


def learn_methods(
    data: LearningData, validation: Validation, watch: Watch, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train the methods named in `config.methods`, in order, except those with options to search.

    Parameters
    ----------
    data
        Training data.
    validation
        Scores their lists: a cold model by both of its strategies, a strategy by its own.
    watch
        See `train_networks`.
    progress
        Called as methods advance.

    Returns
    -------
    dict
        What each method learned, by name.

    Raises
    ------
    ConfigError
        A name is not that of a trainable method.
    FirstdayError
        A third-party method raised an error, or returned something other than its `value`.
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
