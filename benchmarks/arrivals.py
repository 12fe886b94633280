"""A simulated service with arriving users and new items: regret by registration day; writes docs/results/arrivals.json.

python benchmarks/arrivals.py [--seeds 3] [--keep FOLDER]        about a quarter of an hour on one thread

With a folder, what was run before is taken from there. A picture is written, too: docs/images/arrivals-regret.svg.

For each seed a world is simulated and a model is trained on its warm users, who know nothing of the items that are to
come. Then newcomers arrive for ten days (`simulated_arrivals`), and every policy meets the same of them. Regret
is what the oracle's lists lead to, by true tastes, and the policy's do not. Differences are user by user, with 95 %
intervals by bootstrap over users.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from simulated_arrivals import (
    ORACLE,
    ArrivalSettings,
    Course,
    TrueTastes,
    describe_arrivals,
    draw_arrivals,
    draw_new_items,
    run_service,
)

from firstday.artifact.trained_model import TrainedModel
from firstday.config import Config
from firstday.data.load import load
from firstday.evaluation.plots import draw_lines, drawing, standalone
from firstday.metrics import Interval, bootstrap_means
from firstday.segment.new_items import PRIOR_IGNORED, PRIOR_USED
from firstday.simulate.simulation_settings import SimulationSettings
from firstday.simulate.tables import make_world_and_catalogue, simulate
from firstday.training.fit import train

DOCS = Path(__file__).parents[1] / "docs"
N_USERS, N_ITEMS, LOG_DAYS = 3_000, 1_800, 60
POLICIES = (ORACLE, "segment@once", "segment", "blend", "auto", "explore", "explore+new")
WITHOUT_NEW = (ORACLE, "segment@once", "segment", "blend", "explore")
OF_NEW = (ORACLE, "explore", "explore+new")
KINDS: Mapping[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "service": (POLICIES, {}),
    "still": (WITHOUT_NEW, {"drift": 0.0}),
    "drifting": (WITHOUT_NEW, {"drift": 0.1}),
    "larger": (OF_NEW, {"newcomers": 500}),
    "longer": (OF_NEW, {"newcomers": 500, "days": 20}),
}
"""Services by name: the one that is set, with standing and with fast drifting tastes, and larger ones in which it is
seen what new items bring; their policies and changed settings."""


def main() -> None:
    """Simulate, train, let users arrive, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    content: dict[str, Any] = {"seeds": arguments.seeds, "warm_users": N_USERS, "items": N_ITEMS, **describe_settings()}
    for kind in KINDS:
        runs = [keep_run(seed, kind, arguments.keep) for seed in range(arguments.seeds)]
        content[kind] = {**KINDS[kind][1], **describe(runs)}
    (DOCS / "results" / "arrivals.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    picture = standalone(plot_arrivals(content["service"]["cohorts"]))
    (DOCS / "images" / "arrivals-regret.svg").write_text(picture, encoding="utf-8")


def plot_arrivals(cohorts: Sequence[Mapping[str, Any]]) -> str:
    """Draw the regret of policies on the first day, by the day on which users registered, with 95 % intervals.

    Parameters
    ----------
    cohorts
        For each day of registration: ``day`` and ``first_day_regret``, by policy the mean and the ends of its interval.
    """
    names = [name for name in cohorts[0]["first_day_regret"] if any(of["first_day_regret"][name][0] for of in cohorts)]
    lines = {name: [(of["day"] + 1, Interval(*of["first_day_regret"][name])) for of in cohorts] for name in names}
    with drawing("arrivals", 3.3) as (figure, out):
        axes = draw_lines(figure, lines, "", {})
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("day of registration")
        axes.set_ylabel("regret on the first day, uses")
    return out[0]


@dataclass(frozen=True, eq=False)
class Run:
    """What became of the policies with one seed.

    Parameters
    ----------
    day, visits, new_since
        See `Arrivals`.
    appeal
        How likely users use each item that is seen on the last day, on average, shape (n_items,).
    courses
        By policy.
    """

    day: np.ndarray
    visits: np.ndarray
    new_since: np.ndarray
    appeal: np.ndarray
    courses: dict[str, Course]


def keep_run(seed: int, kind: str, folder: Path | None) -> Run:
    """Run a service, or read what became of it from a folder."""
    path = None if folder is None else folder / f"arrivals-{kind}-{seed}.pickle"
    if path is not None and path.exists():
        kept: Run = pickle.loads(path.read_bytes())  # noqa: S301 - written by this script
        return kept
    run = run_kind(seed, kind)
    if path is not None:
        path.write_bytes(pickle.dumps(run))
    return run


def run_kind(seed: int, kind: str) -> Run:
    """Simulate a world, train, and let users arrive in a service."""
    begun = time.perf_counter()
    policies, changes = KINDS[kind]
    settings = ArrivalSettings(**changes, seed=seed)
    simulation = SimulationSettings(N_USERS, N_ITEMS, days=LOG_DAYS, seed=seed)
    world, catalogue = make_world_and_catalogue(simulation)
    arrivals = draw_arrivals(world, catalogue, simulation, settings)
    model = train_on_old_items(seed, settings.days)
    tastes = TrueTastes.of(arrivals, catalogue, simulation, settings)
    signals = describe_arrivals(arrivals, model, simulation, seed)
    courses: dict[str, Course] = {}
    for policy in policies:
        courses.update(run_service(model, signals, tastes, [policy]))
        print(f"{kind}, seed {seed}, {policy}: {time.perf_counter() - begun:.0f} s", flush=True)
    some = np.arange(min(1_000, len(arrivals.day)))
    appeal = tastes.of_day(some, settings.days - 1).mean(axis=0)
    return Run(arrivals.day, arrivals.visits, arrivals.new_since, appeal, courses)


def describe_settings() -> dict[str, Any]:
    """Return the settings of the arrivals."""
    values = {name: value for name, value in vars(ArrivalSettings()).items() if name != "seed"}
    return {"settings": {**values, "meeting": vars(values["meeting"])}}


@lru_cache(maxsize=8)
def train_on_old_items(seed: int, days: int) -> TrainedModel:
    """Train on the simulator's tables without what was done with items that are still to come in so many days."""
    simulation = SimulationSettings(N_USERS, N_ITEMS, days=LOG_DAYS, seed=seed)
    new_since = draw_new_items(N_ITEMS, ArrivalSettings(days=days, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tables"
        simulate(simulation, out)
        names = ("users", "items", "collections", "friends")
        tables = {name: pl.read_parquet(out / f"{name}.parquet") for name in names}
        interactions = pl.read_parquet(out / "interactions" / "*.parquet")
    new = pl.Series(np.flatnonzero(new_since >= 0).astype(np.int32) + 1)
    is_old = pl.col("item_id").is_null() | ~pl.col("item_id").is_in(new.implode())
    dataset = load({"interactions": interactions.filter(is_old), **tables})
    return train(dataset, Config().override("seed", seed).override("threads", 1)).model


def describe(runs: list[Run]) -> dict[str, Any]:
    """Return hits and regret by policy and by cohort, and what was found of new items."""
    names = list(runs[0].courses)
    hits: dict[str, list[np.ndarray]] = {name: [] for name in names}
    expected, regret, first_regret, later_regret = ({name: list(of) for name, of in hits.items()} for _ in range(4))
    for run in runs:
        is_first = np.arange(len(run.visits))[:, None] == run.day
        for name, course in run.courses.items():
            lacking = run.courses[ORACLE].expected - course.expected
            hits[name].append(course.hits.sum(axis=0))
            expected[name].append(course.expected.sum(axis=0))
            regret[name].append(lacking.sum(axis=0))
            first_regret[name].append((lacking * is_first).sum(axis=0))
            later_regret[name].append((lacking * ~is_first).sum(axis=0))
    days = [run.day for run in runs]
    users = [number * len(run.day) + np.arange(len(run.day)) for number, run in enumerate(runs)]
    n_lists = [run.visits.sum(axis=0) for run in runs]
    day, user = np.concatenate(days), np.concatenate(users)

    def means(of: Mapping[str, list[np.ndarray]], rows: np.ndarray | None = None) -> dict[str, Any]:
        table = np.stack([np.concatenate(of[name]) for name in names], axis=1).astype(np.float64)
        chosen = slice(None) if rows is None else rows
        return dict(zip(names, map(write, bootstrap_means(table[chosen], user[chosen])), strict=True))

    hit_table = {name: np.concatenate(hits[name]).astype(np.float64) for name in names}
    pairs = [(a, b) for a in names for b in names if a != b and ORACLE not in (a, b)]
    differences = np.stack([hit_table[a] - hit_table[b] for a, b in pairs], axis=1)
    compared = {f"{a} - {b}": write(of) for (a, b), of in zip(pairs, bootstrap_means(differences, user), strict=True)}
    gains: dict[int, list[float]] = {}
    if "explore+new" in names:
        gain = np.concatenate(first_regret["explore"]) - np.concatenate(first_regret["explore+new"])
        gains = {int(of): write(bootstrap_means(gain[day == of][:, None], user[day == of])[0]) for of in np.unique(day)}
    cohorts = [
        {
            "day": int(cohort),
            "users": int((day == cohort).sum()),
            "lists": round(float(np.concatenate(n_lists)[day == cohort].mean()), 3),
            "hits": means(hits, day == cohort),
            "regret": means(regret, day == cohort),
            "first_day_regret": means(first_regret, day == cohort),
            "later_regret": means(later_regret, day == cohort),
            "gain_of_new": gains.get(int(cohort)),
        }
        for cohort in np.unique(day)
    ]
    return {
        "users": len(user),
        "lists": round(float(np.concatenate(n_lists).mean()), 3),
        "hits": means(hits),
        "expected": means(expected),
        "regret": means(regret),
        "hits_compared": compared,
        "cohorts": cohorts,
        "new_items": {name: describe_new(runs, name) for name in names},
    }


def describe_new(runs: list[Run], name: str) -> dict[str, Any]:
    """Return what a policy showed of new items, and how many of the best tenth it knows after the last day."""
    n_new = n_best = n_found = n_tried = 0
    shown, used, old = [], [], []
    for run in runs:
        course, is_new = run.courses[name], run.new_since >= 0
        appeal = run.appeal[is_new]
        total_shown, total_used = course.shown.sum(axis=0)[is_new], course.used.sum(axis=0)[is_new]
        best = max(1, len(appeal) // 10)
        truly = np.argsort(-appeal, kind="stable")[:best]
        rates = (PRIOR_USED + total_used) / (PRIOR_USED + PRIOR_IGNORED + total_shown)
        believed = np.argsort(-rates, kind="stable")[:best]
        n_new, n_best = n_new + len(appeal), n_best + best
        n_tried += int((total_used[truly] > 0).sum())
        n_found += len(np.intersect1d(truly, believed)) if total_used.any() else 0
        shown.append(course.shown[:, is_new].sum(axis=1))
        used.append(course.used[:, is_new].sum(axis=1))
        old.append((course.used[:, ~is_new].sum(axis=1), course.shown[:, ~is_new].sum(axis=1)))
    old_used, old_shown = np.array(old).sum(axis=0)
    return {
        "items": n_new,
        "best": n_best,
        "best_used": n_tried,
        "best_found": n_found,
        "shown": np.sum(shown, axis=0).tolist(),
        "used": np.sum(used, axis=0).tolist(),
        "old_shown": old_shown.tolist(),
        "old_used": old_used.tolist(),
    }


def write(value: Interval) -> list[float]:
    """Return a mean and the ends of its interval."""
    return [round(float(number), 4) for number in (value.mean, value.low, value.high)]


if __name__ == "__main__":
    main()
