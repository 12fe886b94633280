"""Effect of pooling neighboring years of age (`features.age_users`): docs/results/ages-NAME.json.

python benchmarks/ages.py movielens-100k --seeds 5
firstday simulate small --users 6000 --items 3000 --days 60 && python benchmarks/ages.py small --seeds 5

There are three forms of the same training data: exact ages; ages rounded to the nearest of 18, 25, 35 and 45; and ages
replaced by the first year of a band (1, 18, 25, 35, 45, 50, 56, as in MovieLens 1M). Evaluated users always give their
exact age. Their input is all of day one, the profile alone, or the age alone; the rest is hidden from every strategy.
The number of users pooled per year is chosen on validation users by `group`, which needs no training. All strategies
are then evaluated with the default and without pooling. Test users take part in nothing else. Differences are paired by
user and day one, with a 95 % bootstrap interval over users.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer
from result_files import RESULTS, to_json

from firstday.artifact.trained_model import TrainedModel
from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.evaluation.run import score_strategy
from firstday.features.ages import choose_widths
from firstday.features.signals import SignalBatch
from firstday.metrics import bootstrap_mean
from firstday.recommend.recommender import answer_query
from firstday.training.fit import cohort_query, fit

LEARNED = ("segment", "blend")
NO_NETWORKS: Mapping[str, Any] = {
    "sampled.day_ones": 1,
    "embedding.dimensions": 2,
    "segments.n_segments": 2,
    "cold_model.hidden": (8,),
    "cold_model.epochs": 1,
    "cold_model.day_ones_per_pass": 1,
    "ranker.enabled": False,
    "recommend.warm_users": 0,
}
"""Minimal settings for everything that `group` does not depend on."""
NUMBERS = (0.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0)
"""Values of `features.age_users` to try for `group`."""
NEAREST = np.array([18, 25, 35, 45])
BANDS = np.array([1, 18, 25, 35, 45, 50, 56])
Key = tuple[str, str, str, float]
"""Cohort, visible input, strategy, number of users pooled per year."""


def to_nearest(ages: np.ndarray) -> np.ndarray:
    """Round to the nearest stored age; ties go to the younger."""
    nearest: np.ndarray = NEAREST[np.abs(ages[:, None] - NEAREST).argmin(axis=1)]
    return nearest


def to_bands(ages: np.ndarray) -> np.ndarray:
    """Return the first year of each age's band."""
    first: np.ndarray = BANDS[np.maximum(np.searchsorted(BANDS, ages, side="right") - 1, 0)]
    return first


FORMS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda ages: ages,
    "nearest of 18, 25, 35, 45": to_nearest,
    "bands from 1, 18, 25, 35, 45, 50, 56": to_bands,
}
KNOWN: Mapping[str, Callable[[SignalBatch], SignalBatch]] = {
    "day one": lambda batch: batch,
    "profile alone": lambda batch: replace(batch, actions={}, friends=None),
    "age alone": lambda batch: replace(batch, actions={}, friends=None, groups={}),
}


def main(
    tables: str, path: Path | None = None, seeds: int = 5, *, only_group: bool = False, out: Path | None = None
) -> None:
    """Train on every form (minimally, to evaluate `group` alone), and write the results."""
    dataset, preset = open_tables(tables, path, None)
    rows: list[dict[str, Any]] = []
    for form in FORMS:
        scored = Scored()
        for seed in range(seeds):
            score_seed(scored, dataset, form, preset.override("seed", seed), only_group=only_group)
            print(f"{form}, seed {seed}: done", flush=True)
        rows += [{"ages": form, **row} for row in compare(scored)]
        default = preset.features.age_users
        head = {"dataset": dataset.name, "k": preset.recommend.k, "seeds": seeds, "default": default}
        (out or RESULTS / f"ages-{dataset.name}.json").write_text(write_rows(head, rows), encoding="utf-8")


def write_rows(head: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return JSON with one row per line."""
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    return f'{json.dumps(head)[:-1]}, "rows": [\n{lines}\n]}}\n'


@dataclass(frozen=True)
class Scored:
    """Users of each cohort over all seeds: whether no warm user shares their age, and their precision in %."""

    users: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    unseen: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    precision: dict[Key, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))


def score_seed(scored: Scored, dataset: Dataset, form: str, config: Config, *, only_group: bool) -> None:
    """Train with the default and without pooling; append the results of both cohorts."""
    config = config.override("registration.cut_offs", 1)
    (part,) = hold_out(dataset, config, config.seed, find_cut_offs(dataset, config))
    dataset = part.dataset
    split = part.split
    assert dataset.ages is not None
    stored = np.where(dataset.ages >= 0, FORMS[form](dataset.ages), -1).astype(dataset.ages.dtype)
    config = config.override(dict(NO_NETWORKS)) if only_group else config
    cohorts = {"validation": (dataset, split.validation), "test": (part.newcomers, part.cold)}
    for name, (of, cohort) in cohorts.items():
        assert of.ages is not None
        ages = of.ages[cohort.users]
        scored.users[name].append(cohort.users)
        scored.unseen[name].append((ages >= 0) & ~np.isin(ages, stored[split.warm]))
    for trained_with in (0.0,) if only_group else (0.0, config.features.age_users):
        settings = config.override("features.age_users", trained_with)
        fitted = fit(replace(dataset, ages=stored), split, settings, choose_settings=not only_group)
        for name, (of, cohort) in cohorts.items():
            query = cohort_query(fitted.recommender, of, cohort, config.recommend.k)
            for known, hide in KNOWN.items():
                asked = replace(query, signals=hide(query.signals))
                trials = [] if only_group else [(strategy, trained_with, asked) for strategy in LEARNED]
                if not trained_with:  # this model also has what `group` needs
                    trials += [
                        ("group", number, replace(asked, model=widen(asked.model, number))) for number in NUMBERS
                    ]
                for strategy, number, trial in trials:
                    metrics = score_strategy(trial, cohort, partial(answer_query, strategy=strategy)).metrics
                    scored.precision[name, known, strategy, number].append(metrics["precision"])


def widen(model: TrainedModel, number: float) -> TrainedModel:
    """Return the model with this many users pooled per year of age, for `group`."""
    widths = choose_widths(model.profile_groups["age"].sizes, number) if number else None
    return replace(model, signal_encoder=replace(model.encoder, age_widths=widths))


def compare(scored: Scored) -> list[dict[str, Any]]:
    """Return mean precision and gains over no pooling, for all users and for those whose age no warm user shares."""
    rows = []
    for (cohort, known, strategy, number), of_seeds in scored.precision.items():
        users = np.concatenate(scored.users[cohort])
        unseen = np.concatenate(scored.unseen[cohort])
        precision = np.concatenate(of_seeds)
        plain = np.concatenate(scored.precision[cohort, known, strategy, 0.0])
        for of, members in (("all", np.ones(len(users), bool)), ("age unseen", unseen)):
            if not members.any():
                continue
            difference = bootstrap_mean((precision - plain)[members], users[members])
            rows.append(
                {
                    "cohort": cohort,
                    "known": known,
                    "users": of,
                    "n": int(members.sum()),
                    "strategy": strategy,
                    "age_users": number,
                    "precision": round(float(precision[members].mean()), 2),
                    **to_json("minus_plain", difference),
                }
            )
    return rows


if __name__ == "__main__":
    typer.run(main)
