"""Comparison of a new model with the current one, by the precision of their default lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.splits.split import Cohort
from firstday.metrics import Interval, compare_ratio, measure
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query, index_lists
from firstday.recommend.recommender import Recommender

TRAINING_ERROR = 0.02
"""Standard error of the ratio of two equal trainings with other seeds; benchmarks/refresh_gate.py measures it."""


@dataclass(frozen=True)
class ModelComparison:
    """Comparison of the new model with the current one on users who are new to both and used items after day one.

    Parameters
    ----------
    users
        Number of these users.
    k
        Length of the lists.
    precision_before, precision
        Mean precision of the current and the new model, each with its own default strategy, in %.
    ratio
        New divided by current precision, with its 95 % interval over users and trainings and the p-value against 1;
        None if the current model has no hits: then the new model is published.
    product
        Product of this ratio and those since the last publication that was shown to be no worse.
    """

    users: int
    k: int
    precision_before: float
    precision: float
    ratio: Interval | None
    product: float = 1.0

    def describe_loss(self, gate: float) -> str:
        """Describe why the new model is not published; "" if it is."""
        if self.ratio is None:
            return ""
        if self.ratio.high < 1:
            return f"{self.describe()}, so it is worse"
        if self.ratio.mean < gate:
            return f"{self.describe()}, below the gate of {gate:g}"
        if self.product < gate:
            return f"{self.describe()}, {self.product:.3f} with those since the last one no worse, below {gate:g}"
        return ""

    def since_no_worse(self, gate: float) -> float:
        """Return the product of ratios to keep once the model is published: 1 if it was shown to be no worse."""
        is_shown = self.ratio is None or (self.ratio.mean >= 1 and self.ratio.low >= gate)
        return 1.0 if is_shown else self.product

    def describe(self) -> str:
        """Describe the comparison in words, and what it could not tell."""
        ratio = self.ratio
        text = (
            f"P@{self.k} on {self.users:,} users new to both models: new model {self.precision:.1f} %, current model "
            f"{self.precision_before:.1f} %"
        )
        if ratio is None:
            return text
        text += f", ratio {ratio.mean:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f}, p {ratio.p:.2g})"
        if ratio.low < 1 <= ratio.high:
            text += f", whether it is up to {100 * (1 - ratio.low):.1f} % worse cannot be told"
        return text


def measure_precision(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int | None = None) -> np.ndarray:
    """Return the precision of each user's list of length `k` by the default strategy, from 0 to 1, shape (n_users,)."""
    model = recommender.model
    query = cohort_query(recommender, dataset, cohort, k or model.config.recommend.k)
    answer = answer_query(query, model.config.recommend.strategy)
    return measure(index_lists(query, dataset, answer.items), cohort.truth).precision


def compare_models(
    current: Recommender, new: Recommender, dataset: Dataset, cohort: Cohort, product: float = 1.0
) -> ModelComparison:
    """Compare two models, each with its default strategy and the signals it supports, on a cohort new to both.

    Listed items that are missing from `dataset` are misses. `product` has the ratios of earlier comparisons, see
    `ModelComparison`.
    """
    k = new.model.config.recommend.k
    before, now = (measure_precision(recommender, dataset, cohort, k) for recommender in (current, new))
    old_mean, new_mean = (round(100 * float(values.mean()), 4) for values in (before, now))
    ratio = compare_ratio(now, before, TRAINING_ERROR) if old_mean else None
    since = product * ratio.mean if ratio else 1.0
    return ModelComparison(len(cohort), k, old_mean, new_mean, ratio, since)
