"""What it brings that near years of age share their users (`features.age_users`): docs/results/ages-NAME.json.

python benchmarks/ages.py movielens-100k --seeds 5
firstday simulate small --users 6000 --items 3000 --days 60 && python benchmarks/ages.py small --seeds 5

Three forms of the same data: ages as they are; everyone's age stored as the nearest of 18, 25, 35 and 45; and as the
first year of a band (1, 18, 25, 35, 45, 50, 56, as MovieLens 1M has them). Those who are judged always tell their exact
age. They are known by all of day one, by their profile alone, or by their age alone: day one and other columns are
hidden, of everyone alike. How many users a year gathers is chosen on validation users; test users took part in nothing.
Differences are user by user over the same users and day ones, with a 95 % interval by bootstrap over users.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.dataset import Dataset
from firstday.data.splits.split import Cohort
from firstday.evaluate.run import score_strategy
from firstday.features.signals import SignalBatch
from firstday.metrics import bootstrap_mean
from firstday.recommend.query import Query
from firstday.training.fit import cohort_query, fit, split_for

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STRATEGIES = ("popular", "group", "segment", "blend")
NUMBERS = (0, 12, 25, 50, 100, 200)
NEAREST = np.array([18, 25, 35, 45])
BANDS = np.array([1, 18, 25, 35, 45, 50, 56])
Key = tuple[str, str, str]
"""Cohort, what is known, strategy."""


def to_nearest(ages: np.ndarray) -> np.ndarray:
    """Return the nearest of the stored ages; among equals the younger."""
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


def main() -> None:
    """Train with every form and number, and write the figures."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--numbers", type=float, nargs="+", default=NUMBERS, help="users that a year gathers; 0 first")
    parser.add_argument("--out", type=Path, help="where the figures go; docs/results if left out")
    arguments = parser.parse_args()
    dataset, preset = open_tables(arguments.tables, arguments.path, None)
    out = arguments.out or RESULTS / f"ages-{dataset.name}.json"
    rows: list[dict[str, Any]] = []
    for form in FORMS:
        plain: dict[Key, np.ndarray] = {}
        for number in arguments.numbers:
            config = preset.override("features.age_users", number)
            users, unseen, found = judge(dataset, form, config, arguments.seeds)
            plain = plain or found
            rows += [{"ages": form, "age_users": number, **row} for row in compare(users, unseen, found, plain)]
            content = {"dataset": dataset.name, "k": preset.recommend.k, "seeds": arguments.seeds, "rows": rows}
            out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            Console(stderr=True).print(f"{form}, {number:g}: done")


def judge(
    dataset: Dataset, form: str, config: Config, n_seeds: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[Key, np.ndarray]]:
    """Return users and whether no warm user has their age, by cohort, and their precision in %, for all seeds."""
    assert dataset.ages is not None
    stored = np.where(dataset.ages >= 0, FORMS[form](dataset.ages), -1).astype(dataset.ages.dtype)
    users: dict[str, list[np.ndarray]] = {}
    unseen: dict[str, list[np.ndarray]] = {}
    found: dict[Key, list[np.ndarray]] = {}
    for seed in range(n_seeds):
        split = split_for(dataset, config, seed, with_cold=True)
        recommender = fit(replace(dataset, ages=stored), split, config.override("seed", seed))
        cohorts: dict[str, Cohort] = {"validation": split.validation, "test": split.cold}
        for name, cohort in cohorts.items():
            query = cohort_query(recommender, dataset, cohort, config.recommend.k)
            ages = dataset.ages[cohort.users]
            users.setdefault(name, []).append(cohort.users)
            unseen.setdefault(name, []).append((ages >= 0) & ~np.isin(ages, stored[split.warm]))
            for known, hide in KNOWN.items():
                asked = Query(query.model, hide(query.signals), query.k)
                for strategy in STRATEGIES:
                    metrics = score_strategy(asked, cohort, strategy, "min").metrics
                    found.setdefault((name, known, strategy), []).append(100 * metrics.precision)
    return (
        {name: np.concatenate(parts) for name, parts in users.items()},
        {name: np.concatenate(parts) for name, parts in unseen.items()},
        {key: np.concatenate(parts) for key, parts in found.items()},
    )


def compare(
    users: dict[str, np.ndarray],
    unseen: dict[str, np.ndarray],
    found: dict[Key, np.ndarray],
    plain: dict[Key, np.ndarray],
) -> list[dict[str, Any]]:
    """Return mean precision of all users, and of those whose age no warm user has, and the gains over plain years."""
    rows = []
    for (cohort, known, strategy), precision in found.items():
        for of, members in (("all", np.ones(len(precision), bool)), ("age unseen", unseen[cohort])):
            if not members.any():
                continue
            gain = precision[members] - plain[cohort, known, strategy][members]
            difference = bootstrap_mean(gain, users[cohort][members])
            rows.append(
                {
                    "cohort": cohort,
                    "known": known,
                    "users": of,
                    "n": int(members.sum()),
                    "strategy": strategy,
                    "precision": round(float(precision[members].mean()), 2),
                    "minus_plain": round(difference.mean, 2),
                    "minus_plain_ci": [round(difference.low, 2), round(difference.high, 2)],
                }
            )
    return rows


if __name__ == "__main__":
    main()
