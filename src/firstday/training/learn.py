"""Training of the cold model and of every method, with early stopping on the precision of validation users' lists."""

from __future__ import annotations

from typing import Any

from firstday.cold.cold_model import ColdModel
from firstday.config import Config
from firstday.errors import needs_extra
from firstday.progress import Progress
from firstday.recommend.fold import TrainingRun
from firstday.recommend.spec import ColdModelSpec, LearningData, SharedValueSpec, StrategySpec
from firstday.recommend.support import is_component, learners_of
from firstday.training.validation import ObjectiveWrapper, Validation

METHOD_STAGE = "method "
"""Prefix of the progress stages of methods."""


def check_training(config: Config) -> None:
    """Raise ConfigError or MissingExtraError immediately for a wrong method, its settings or an unavailable device."""
    for spec in learners_of(config):
        if spec.settings is not None:
            spec.settings_in(config)
    check_device(config)


def check_device(config: Config) -> None:
    """Raise ConfigError or MissingExtraError immediately if networks cannot be trained on `config.device`."""
    if config.device in ("auto", "cpu"):
        return  # always available: skip importing torch
    with needs_extra("training", "train"):
        from firstday.cold.device import choose_device
    choose_device(config.device)


def learn_cold_model(
    data: LearningData, validation: Validation, wrap: ObjectiveWrapper, progress: Progress, **options: bool
) -> ColdModel:
    """Train the cold model; for `options` see `train_cold_model`.

    `wrap` is `ObjectiveHistory.record`, or `ObjectiveHistory.replay` to stop at the median of the folds' best epochs.
    """
    with needs_extra("training", "train"):
        from firstday.cold.train_cold_model import train_cold_model
    config = data.config
    by_segments = config.cold_model.stop_by == "segment"
    objective = wrap("cold model", validation.precision_of_segments if by_segments else validation.precision_of_vectors)
    return train_cold_model(
        data.features, data.embeddings.user_vectors, data.validation_features, objective, config, progress, **options
    )


def learn_methods(
    data: LearningData, validation: Validation, wrap: ObjectiveWrapper, progress: Progress
) -> dict[str, Any]:
    """Return what each method learns, by name; those that only choose options get their defaults.

    Methods that learn during their search (`OptionSearch.prepare`) are left out. Raises ConfigError if a name is not
    that of a trainable method, and FirstdayError if a third-party method raised an error, or returned something other
    than its `value`.
    """
    learned = {}
    for spec in learners_of(data.config):
        if spec.fit is not None:
            objective = validation.precision_of_vectors if isinstance(spec, ColdModelSpec) else validation.precision
            progress(f"{METHOD_STAGE}{spec.name}", 0, 1)
            learned[spec.name] = spec.fit(data, wrap(spec.name, objective), progress)
            progress(f"{METHOD_STAGE}{spec.name}", 1, 1)
        elif isinstance(spec, StrategySpec) and not spec.learns_in_search:
            assert spec.value is not None
            learned[spec.name] = spec.value()
    return learned


def choose_values(
    run: TrainingRun, kind: type[StrategySpec | SharedValueSpec], progress: Progress
) -> tuple[TrainingRun, dict[str, Any]]:
    """Learn the methods of a kind that choose after the folds; return the run with their values, and figures.

    Components come before the lists that combine them, and these before what is based on them.
    """
    figures: dict[str, Any] = {}
    methods = [method for method in learners_of(run.model.config) if isinstance(method, kind)]
    for method in sorted(methods, key=lambda method: (method.based_on is not None, not is_component(method))):
        if method.choose is not None:
            progress(method.name, 0, 1)
            value, figures_of_value = method.choose(run)
            run = run.with_learned(**{method.name: value})
            figures |= figures_of_value
            progress(method.name, 1, 1)
    return run, figures
