"""Comparison of a new model with the current one, by the precision of their default lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firstday.data.dataset import Dataset
from firstday.data.splits.cut_offs import choose_target_days
from firstday.data.splits.histories import read_histories
from firstday.data.splits.holdout import log_of
from firstday.data.splits.registration import collect_newcomers, find_newest
from firstday.data.splits.snapshot import take_snapshot
from firstday.data.splits.split import Cohort
from firstday.metrics import Interval, bootstrap_ratios, measure
from firstday.recommend.answers import answer_query
from firstday.recommend.dataset_query import cohort_query, index_lists
from firstday.recommend.recommender import Recommender
from firstday.training.held_out_users import MIN_COMPARED, hash_users
from firstday.training.renew import renew_counts


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
        New divided by current precision, with its 95 % interval over users; None if the current model has no hits, in
        which case the new model passes every gate.
    """

    users: int
    k: int
    precision_before: float
    precision: float
    ratio: Interval | None

    def passes(self, gate: float) -> bool:
        """Whether the ratio reaches the gate, or is undefined."""
        return self.ratio is None or self.ratio.mean >= gate

    def describe(self, gate: float) -> str:
        """Describe the comparison in words."""
        ratio = self.ratio
        by = "" if ratio is None else f", ratio {ratio.mean:.3f} (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"
        return (
            f"P@{self.k} on {self.users:,} users new to both models: new model {self.precision:.1f} %, current model "
            f"{self.precision_before:.1f} %{by}, {'at or above' if self.passes(gate) else 'below'} the gate of {gate:g}"
        )


def measure_precision(recommender: Recommender, dataset: Dataset, cohort: Cohort, k: int | None = None) -> np.ndarray:
    """Return the precision of each user's list of length `k` by the default strategy, from 0 to 1, shape (n_users,)."""
    model = recommender.model
    query = cohort_query(recommender, dataset, cohort, k or model.config.recommend.k)
    answer = answer_query(query, model.config.recommend.strategy)
    return measure(index_lists(query, dataset, answer.items), cohort.truth).precision


def compare_models(current: Recommender, new: Recommender, dataset: Dataset, cohort: Cohort) -> ModelComparison:
    """Compare two models, each with its default strategy and the signals it supports, on a cohort new to both.

    Listed items that are missing from `dataset` are misses.
    """
    k = new.model.config.recommend.k
    precision = [measure_precision(recommender, dataset, cohort, k) for recommender in (current, new)]
    old_mean, new_mean = (float(values.mean()) for values in precision)
    ratio = bootstrap_ratios(precision[1][:, None], precision[0], np.arange(len(cohort)))[0] if old_mean else None
    return ModelComparison(len(cohort), k, round(100 * old_mean, 4), round(100 * new_mean, 4), ratio)


def compare_counts(current: Recommender, dataset: Dataset) -> ModelComparison | None:
    """Compare the current counts with newer ones, on users who registered after both; None if there are too few.

    The newer ones are as of the median registration of the newcomers since the current counts.
    """
    model = current.model
    log = log_of(dataset, model.config)
    if log is None:
        return None
    histories = choose_target_days(read_histories(dataset, model.config, log), model.config)
    data = model.facts["data"]
    counted_until = np.datetime64(data.get("counted_until", data["last_interaction"])) + np.timedelta64(1, "D")
    registered_us = histories.registered_us
    is_counted = registered_us < counted_until.astype("datetime64[us]").astype(np.int64)
    users = find_newest(histories, np.flatnonzero(is_counted))
    if len(users) < 2 * MIN_COMPARED:
        return None
    moment = int(np.median(registered_us[users]))
    snapshot = take_snapshot(dataset, registered_us, moment)
    is_held_out = hash_users(snapshot)[0] < data.get("held_out_share", 0.0)
    newer = Recommender(renew_counts(model, snapshot, is_held_out))
    cohort = collect_newcomers(dataset, model.config, histories, users[registered_us[users] >= moment])
    return compare_models(current, newer, dataset, cohort)
