"""The log's clock on datasets with times: what it brings, and renewed counts; and what counts of the future cost.

python benchmarks/clock.py --data data --only ciao-dvd --only movietweetings

At each cut-off a model is trained, and its default list is evaluated on the newcomers that follow:

- lists: with the clock, without it, and `recent`;
- weights: those of `blend` as trained, on folds whose other users' later days are counted, and those fitted on the
  newcomers of earlier cut-offs with the models of these cut-offs, which knew nothing later; only newcomers whose target
  window ended before the cut-off;
- age: the model, and with counts renewed up to 1, 7 or 30 days after its training, on newcomers who come then.

Differences are paired by user, with 95 % bootstrap intervals. Renews the requested datasets in docs/results/clock.json.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from real_data import find_sets, open_set
from result_files import RESULTS, read_results, write_results

from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.cut_offs import CutOffs
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.data.splits.registration import collect_newcomers
from firstday.data.splits.snapshot import take_snapshot
from firstday.features.signals import map_columns
from firstday.methods.blend import Blending
from firstday.metrics import Interval, bootstrap_means, measure
from firstday.model.trained_model import TrainedModel
from firstday.recommend.query import Query
from firstday.recommend.recommender import Recommender, answer_query
from firstday.sparse import SparseRows
from firstday.tables.schema import DAY_US
from firstday.training.fit import cohort_query, fit
from firstday.training.renew import renew_counts
from firstday.training.validation import Fold
from firstday.training.weights import choose_blending

LENGTHS = (10, 50)
AGES = {1: 7, 7: 30, 30: 90}
"""Age of the model in days, and the age up to which newcomers are taken."""
MIN_FITTED = 100
"""Number of earlier newcomers below which no weights are fitted."""
Measured = dict[str, list[np.ndarray]]
"""Precision at `LENGTHS` in %, shape (n_users, 2), of each cut-off, by what was measured."""


@dataclass(frozen=True, eq=False)
class Log:
    """A dataset with its cut-offs."""

    dataset: Dataset
    config: Config
    cut_offs: CutOffs


def main(data: list[Path] = [], only: list[str] = [], cut_offs: int | None = None) -> None:
    """Measure datasets, and merge the results with earlier ones."""
    content = read_results(RESULTS / "clock.json")
    for name, copy in find_sets(only, data).items():
        dataset, config = open_set(name, copy)
        if cut_offs:
            config = config.override("registration.cut_offs", cut_offs)
        times = find_cut_offs(dataset, config)
        if times is not None:
            config = config.override({"protocol": "registration", "registration.target_days": times.target_days})
            content[name] = measure_log(Log(dataset, config, times))
            write_results(content, RESULTS / "clock.json")


def measure_log(log: Log) -> dict[str, Any]:
    """Train at each cut-off; return clocks, and precision and differences pooled over the newcomers."""
    clocks = []
    lists: Measured = defaultdict(list)
    weights: Measured = defaultdict(list)
    ages: dict[int, Measured] = {age: defaultdict(list) for age in AGES}
    earlier: list[Fold] = []
    fitted: dict[str, list[Blending]] = defaultdict(list)
    for number, part in enumerate(hold_out(log.dataset, log.config, log.config.seed, log.cut_offs)):
        recommender = fit(part.dataset, part.split, log.config).recommender
        model = recommender.model
        assert model.clock is not None
        clocks.append(model.clock.to_json())
        query = cohort_query(recommender, part.newcomers, part.cold, max(LENGTHS))
        truth = part.cold.truth
        plain = query.ask(model=model.with_clock(None))
        for name, (asked, strategy) in {
            "clock": (query, "auto"),
            "no clock": (plain, "auto"),
            "recent": (query, "recent"),
            "popular": (query, "popular"),
        }.items():
            lists[name].append(measure_query(asked, truth, strategy))
        past = [take_until(fold, log.cut_offs.moments[number], log.cut_offs.histories.target_us) for fold in earlier]
        if sum(fold.query.n_users for fold in past) >= MIN_FITTED:
            fitted["snapshots"].append(choose_blending([fold for fold in past if fold.query.n_users])[0])
            fitted["folds"].append(model.learned["blend"])
            for name, blendings in fitted.items():
                reweighted = query.ask(model=model.with_learned(blend=blendings[-1]))
                weights[name].append(measure_query(reweighted, truth))
        earlier.append(Fold(query, truth, part.cold.day_end_us))
        for age, measured in ages.items():
            measure_age(log, model, number, age, measured)
    return {
        "clocks": clocks,
        "lists": compare(lists, "no clock"),
        "weights": {**compare(weights, "folds"), "mean": {name: mean_weights(of) for name, of in fitted.items()}},
        "age": {str(age): compare(measured, "as trained") for age, measured in ages.items()},
    }


def measure_query(query: Query, truth: SparseRows, strategy: str = "auto") -> np.ndarray:
    """Return the precision of each user's list at `LENGTHS`, in %, shape (n_users, 2)."""
    items = answer_query(query, strategy).items
    return np.stack([100 * measure(items[:, :k], truth).precision for k in LENGTHS], axis=1)


def take_until(fold: Fold, moment: int, target_us: int) -> Fold:
    """Return the users whose target window ended before a moment."""
    assert fold.day_end_us is not None
    return fold.take(np.flatnonzero(fold.day_end_us + target_us <= moment))


def measure_age(log: Log, model: TrainedModel, number: int, age: int, measured: Measured) -> None:
    """Measure a model as trained and with renewed counts, on newcomers of days after its training."""
    cut_off = log.cut_offs.moments[number]
    start, end = (cut_off + days * DAY_US for days in (age, AGES[age]))
    histories = log.cut_offs.histories
    registered_us = histories.registered_us
    comes = histories.can_be_evaluated & (registered_us >= start) & (registered_us < end)
    cohort = collect_newcomers(log.dataset, log.config, histories, np.flatnonzero(comes))
    truth = map_columns(cohort.truth, log.dataset.items, model.catalogue.items)
    rows = np.flatnonzero(truth.lengths())
    if not len(rows):
        return
    snapshot = take_snapshot(log.dataset, registered_us, start)
    renewed = renew_counts(model, snapshot, np.zeros(len(snapshot.users), dtype=bool))
    for name, of in (("as trained", model), ("renewed", renewed)):
        query = cohort_query(Recommender(of), log.dataset, cohort.take(rows), max(LENGTHS))
        measured[name].append(measure_query(query, truth.take(rows)))


def compare(measured: Measured, reference: str) -> dict[str, Any]:
    """Return the number of users, mean precision, and differences to a reference, with intervals."""
    if not measured:
        return {"users": 0}
    pooled = {name: np.concatenate(parts) for name, parts in measured.items()}
    of_reference = pooled[reference]
    users = np.arange(len(of_reference))
    others = {name: values for name, values in pooled.items() if name != reference}
    return {
        "users": len(users),
        "precision": {name: values.mean(axis=0).round(2).tolist() for name, values in pooled.items()},
        "difference": {
            name: [write_interval(interval) for interval in bootstrap_means(values - of_reference, users)]
            for name, values in others.items()
        },
    }


def write_interval(interval: Interval) -> list[float]:
    """Return mean, low and high, rounded."""
    return [round(value, 2) for value in (interval.mean, interval.low, interval.high)]


def mean_weights(blendings: list[Blending]) -> dict[str, float]:
    """Return the mean weight of each component, over cut-offs and numbers of known interactions."""
    names = sorted({name for blending in blendings for name in blending.names})
    return {
        name: round(float(np.mean([knot.get(name, 0.0) for of in blendings for knot in of.weights])), 3)
        for name in names
    }


if __name__ == "__main__":
    typer.run(main)
