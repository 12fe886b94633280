"""Training of networks and other methods, with early stopping on the precision of validation users' lists."""

from __future__ import annotations

from collections.abc import Sequence
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
from firstday.training.validation import ObjectiveWrapper, Validation

MAX_CLUSTERED_USERS = 10_000
"""Maximum number of users whose features are clustered; features are about twenty times as wide as user vectors."""
METHOD_STAGE = "method "
"""Prefix of the progress stages of trained methods."""


def check_device(config: Config) -> None:
    """Raise ConfigError or MissingExtraError immediately if networks cannot be trained on `config.device`."""
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
        max_vectors=MAX_CLUSTERED_USERS,
    )


def train_networks(
    data: LearningData,
    day_ones: Sequence[SparseRows],
    validation: Validation,
    wrap: ObjectiveWrapper,
    progress: Progress,
) -> tuple[ColdModel, Ranker | None]:
    """Train the cold model, and the ranker if it is enabled.

    `day_ones` has the items used or banned (`SignalBatch.excluded_items`) in each day-one sample of the warm users,
    each of shape (n_warm, n_items), empty for the released data. `wrap` is `ObjectiveHistory.record`, or
    `ObjectiveHistory.replay` to stop at the median of the folds' best epochs.
    """
    with needs_extra("training", "train"):
        from firstday.cold.train_cold_model import train_cold_model
        from firstday.cold.train_ranker import train_ranker
    config = data.config
    features = data.features
    held_out = data.validation_features
    by_segments = config.cold_model.stop_by == "segment"
    objective = wrap("cold model", validation.precision_of_segments if by_segments else validation.precision_of_vectors)
    cold = train_cold_model(features, data.embeddings.user_vectors, held_out, objective, config, progress)
    if not config.ranker.enabled:
        return cold, None
    objective = wrap("item ranker", validation.precision_of_scores)
    return cold, train_ranker(features, day_ones, data.uses, held_out, objective, config, progress)


def learn_methods(
    data: LearningData, validation: Validation, wrap: ObjectiveWrapper, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train the methods named in `config.methods`, in order, except those with options to search.

    Return what each method learned, by name. Raises ConfigError if a name is not that of a trainable method, and
    FirstdayError if a third-party method raised an error, or returned something other than its `value`.
    """
    learned = {}
    for name in data.config.methods:
        spec = find_learner(name)
        if spec.fit is not None:
            objective = validation.precision_of_vectors if isinstance(spec, ColdModelSpec) else validation.precision
            progress(f"{METHOD_STAGE}{name}", 0, 1)
            learned[name] = spec.fit(data, wrap(name, objective), progress)
            progress(f"{METHOD_STAGE}{name}", 1, 1)
    return learned
