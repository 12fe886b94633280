"""Baselines: every combination of their options is fitted on warm users and judged on validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Split
from firstday.embed.embeddings import compute_affinity, select_uses
from firstday.errors import MissingExtraError
from firstday.metrics import PrecisionRule, measure
from firstday.progress import Progress, no_progress
from firstday.recommend.query import Answer, Query
from firstday.recommend.recommender import Recommender, answer_all
from firstday.recommend.spec import BaselineData, BaselineSpec, ItemScorer, Strategy, find_baseline
from firstday.training.fit import cohort_query

MOST_USERS = 2_000
"""Validation users that are looked at, at most."""


@dataclass(frozen=True)
class Tuning:
    """How the options of a baseline were chosen, on validation users alone.

    Parameters
    ----------
    grid
        Values of each option; every combination was fitted.
    options
        What was chosen.
    precision
        Precision of that on the validation users, in %.
    n_users
        How many validation users.
    fit_seconds
        Time to fit with the options chosen, from the start.
    tune_seconds
        Time to fit and judge the whole grid.
    n_items
        How many items the baseline ranks; None: all that warm users use.
    """

    grid: Mapping[str, tuple[Any, ...]]
    options: Mapping[str, Any]
    precision: float
    n_users: int
    fit_seconds: float
    tune_seconds: float
    n_items: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what differs from seed to seed as JSON values."""
        return {
            "options": dict(self.options),
            "validation_precision": round(self.precision, 4),
            "n_validation": self.n_users,
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
            "n_items": self.n_items,
        }


@dataclass(frozen=True, eq=False)
class TunedBaseline:
    """A fitted baseline as a strategy, and how it was tuned."""

    recommend: Strategy
    tuning: Tuning


def tune_baselines(
    dataset: Dataset,
    split: Split,
    recommender: Recommender,
    names: Sequence[str],
    k: int,
    *,
    divide_by: PrecisionRule = "min",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Progress = no_progress,
) -> dict[str, TunedBaseline]:
    """Fit baselines on warm users, with the options that are best for validation users; cold users take no part.

    Parameters
    ----------
    dataset, split
        The data, and who is warm, for validation and cold.
    recommender
        A model trained on the split; its fallbacks answer where a baseline has nothing to go on.
    names
        Of the baselines.
    k
        Length of the lists.
    divide_by
        See `firstday.metrics.measure`.
    options
        Options of baselines that are not to be chosen anew, by name.
    progress
        Called with the baseline's name, combinations done, and combinations in all.

    Returns
    -------
    dict
        By name; among combinations that are equally good the first is kept.

    Raises
    ------
    MissingExtraError
        Libraries for training are not installed.
    """
    try:
        specs = [find_baseline(name).with_options((options or {}).get(name)) for name in names]
    except ModuleNotFoundError:
        raise MissingExtraError("training", "train") from None
    config, n_warm, n_items = recommender.model.config, len(split.warm), len(dataset.items)
    query = cohort_query(recommender, dataset, split.validation, k)
    rows = np.arange(min(query.n_users, MOST_USERS))
    query, truth = query.take(rows), split.validation.truth.take(rows)

    def validate(scorer: ItemScorer) -> float:
        lists = answer_all(query, as_strategy("baseline", scorer)).items
        return 100 * float(measure(lists, truth, divide_by=divide_by).precision.mean())

    data = BaselineData(
        select_uses(split.warm_actions, config.signals, n_warm, n_items),
        compute_affinity(split.warm_actions, config.signals, n_warm, n_items),
        validate,
        config.seed,
        config.threads,
        config.device,
    )
    return {spec.name: tune(spec, data, len(rows), progress) for spec in specs}


def tune(spec: BaselineSpec, data: BaselineData, n_users: int, progress: Progress = no_progress) -> TunedBaseline:
    """Choose the options of one baseline, then fit it with them from the start, to tell how long that takes.

    Parameters
    ----------
    spec
        The baseline, with the options to try.
    data
        What it learns from, and the judge of its lists.
    n_users
        How many validation users the judge looks at, for the record.
    progress
        See `tune_baselines`.
    """
    began = perf_counter()
    fit = spec.prepare(data)
    combinations = [dict(zip(spec.grid, values, strict=True)) for values in product(*spec.grid.values())]
    best, chosen = -1.0, combinations[0]
    for n_done, trial in enumerate(combinations):
        progress(spec.name, n_done, len(combinations))
        precision = data.validate(fit(**trial))
        if precision > best:
            best, chosen = precision, trial
    progress(spec.name, len(combinations), len(combinations))
    del fit  # what it shares is as large as a baseline
    tuned_at = perf_counter()
    scorer = spec.prepare(data)(**chosen)
    fit_seconds = perf_counter() - tuned_at
    n_items = _count_ranked(data) if spec.is_restricted else None
    return TunedBaseline(
        as_strategy(spec.name, scorer), Tuning(spec.grid, chosen, best, n_users, fit_seconds, tuned_at - began, n_items)
    )


def as_strategy(name: str, scorer: ItemScorer) -> Strategy:
    """Make a strategy of a fitted baseline; it answers for users for whom it ranks an item."""

    def recommend(query: Query) -> Answer:
        everyone = np.ones(query.n_users, dtype=bool)
        answer = query.rank_scores(lambda rows: scorer.score(query.liked.take(rows)), name, everyone)
        return Answer.where(answer.items[:, 0] >= 0, name, answer.items, answer.scores)

    return recommend


def _count_ranked(data: BaselineData) -> int:
    """Count the items that a restricted baseline ranks."""
    from firstday.baselines.matrices import most_used_items

    return len(most_used_items(data.uses))
