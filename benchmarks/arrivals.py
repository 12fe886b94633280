"""Simulate a service with arriving users and new items: regret by registration day; writes docs/results/arrivals.json.

python benchmarks/arrivals.py [--seeds 3]        about a quarter of an hour on one thread

Also writes the plot docs/images/arrivals-regret.svg.

For each seed, a world is simulated and a model is trained on its warm users, before any of the new items exist.
Newcomers then arrive for ten days (`simulated_arrivals`); every policy meets the same newcomers. Regret is the
difference in expected uses between the oracle's lists and the policy's, by true tastes. Differences are paired by user,
with 95 % bootstrap intervals over users.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import typer
from result_files import RESULTS, write_results
from simulated_arrivals import (
    ORACLE,
    ArrivalSettings,
    Course,
    TrueTastes,
    describe_arrivals,
    draw_arrivals,
    draw_new_items,
    make_service,
    run_service,
)

from firstday.config import Config
from firstday.data.load import load
from firstday.evaluation.plots import draw, draw_lines, standalone
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate
from firstday.metrics import Interval, bootstrap_means
from firstday.model.trained_model import TrainedModel
from firstday.training.fit import train

PRIOR_USED, PRIOR_IGNORED = 1, 99
"""Pseudo-impressions by which observed use rates are shrunk, to rank new items."""
N_USERS = 3_000
N_ITEMS = 1_800
LOG_DAYS = 60
COUNTING = "explore+new"
POLICIES = (ORACLE, "segment@once", "segment", "blend", "auto", "explore", COUNTING)
WITHOUT_NEW = (ORACLE, "segment@once", "segment", "blend", "explore")
OF_NEW = (ORACLE, "explore", COUNTING)
KINDS: Mapping[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "service": (POLICIES, {}),
    "still": (WITHOUT_NEW, {"drift": 0.0}),
    "drifting": (WITHOUT_NEW, {"drift": 0.1}),
    "larger": (OF_NEW, {"newcomers": 500}),
    "longer": (OF_NEW, {"newcomers": 500, "days": 20}),
}
"""Services by name, with their policies and changed settings: the default, static and fast drifting tastes, and larger
services that show what new items bring."""


def main(seeds: int = 3) -> None:
    """Simulate, train, run the service and write the results."""
    settings = {name: value for name, value in vars(ArrivalSettings()).items() if name != "seed"}
    settings["meeting"] = vars(settings["meeting"])
    content: dict[str, Any] = {"seeds": seeds, "warm_users": N_USERS, "items": N_ITEMS, "settings": settings}
    for kind in KINDS:
        content[kind] = {**KINDS[kind][1], **describe([run_kind(seed, kind) for seed in range(seeds)])}
    write_results(content, RESULTS / "arrivals.json")
    picture = standalone(plot_arrivals(content["service"]["cohorts"]))
    (RESULTS.parent / "images" / "arrivals-regret.svg").write_text(picture, encoding="utf-8")


def plot_arrivals(cohorts: Sequence[Mapping[str, Any]]) -> str:
    """Plot first-day regret of each policy by registration day, with 95 % intervals."""
    names = [name for name in cohorts[0]["first_day_regret"] if any(of["first_day_regret"][name][0] for of in cohorts)]
    lines = {name: [Interval(*of["first_day_regret"][name]) for of in cohorts] for name in names}

    def paint(axes: Any) -> None:
        draw_lines(axes, lines, [of["day"] + 1 for of in cohorts])
        axes.set_xlabel("day of registration")
        axes.set_ylabel("regret on the first day, uses")

    return draw("arrivals", 3.3, paint)


@dataclass(frozen=True, eq=False)
class Run:
    """Results of all policies with one seed.

    Parameters
    ----------
    day, new_since
        See `Arrivals`.
    appeal
        Mean probability that users use each item if seen on the last day, shape (n_items,).
    courses
        Results by policy.
    """

    day: np.ndarray
    new_since: np.ndarray
    appeal: np.ndarray
    courses: Mapping[str, Course]


def run_kind(seed: int, kind: str) -> Run:
    """Simulate a world, train, and run the service."""
    policies, changes = KINDS[kind]
    settings = ArrivalSettings(**changes, seed=seed)
    simulation = SimulationSettings(N_USERS, N_ITEMS, days=LOG_DAYS, seed=seed)
    world, catalogue = make_service(simulation)
    arrivals = draw_arrivals(world, catalogue, simulation, settings)
    model = train_on_old_items(seed, settings.days)
    tastes = TrueTastes.of(arrivals, catalogue, settings)
    signals = describe_arrivals(arrivals, model, seed)
    courses = run_service(model, signals, tastes, policies)
    print(f"{kind}, seed {seed}: done", flush=True)
    some = np.arange(min(1_000, len(arrivals.day)))
    appeal = tastes.of_day(some, settings.days - 1).mean(axis=0)
    return Run(arrivals.day, arrivals.new_since, appeal, courses)


@lru_cache(maxsize=8)
def train_on_old_items(seed: int, days: int) -> TrainedModel:
    """Train on the simulator's tables, without interactions with items that appear in the next `days` days."""
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
    """Return hits and regret by policy, first-day regret by cohort, and results on new items."""
    names = list(runs[0].courses)
    day = np.concatenate([run.day for run in runs])
    user = np.arange(len(day))

    def join(values_of: Callable[[Run, Course], np.ndarray]) -> np.ndarray:
        """Sum values of shape (days, n_users) over days, per user and policy."""
        return np.column_stack(
            [np.concatenate([values_of(run, run.courses[name]).sum(axis=0) for run in runs]) for name in names]
        ).astype(np.float64)

    def lacking(run: Run, course: Course) -> np.ndarray:
        regret: np.ndarray = run.courses[ORACLE].expected - course.expected
        return regret

    def lacking_at_first(run: Run, course: Course) -> np.ndarray:
        return np.where(np.arange(len(course.hits))[:, None] == run.day, lacking(run, course), 0)

    def means(table: np.ndarray, rows: np.ndarray | slice = slice(None)) -> list[list[float]]:
        return [
            [round(float(number), 4) for number in (of.mean, of.low, of.high)]
            for of in bootstrap_means(table[rows], user[rows])
        ]

    hits = join(lambda _, course: course.hits)
    first = join(lacking_at_first)
    cohorts = [
        {"day": int(cohort), "first_day_regret": dict(zip(names, means(first, day == cohort), strict=True))}
        for cohort in np.unique(day)
    ]
    found: dict[str, Any] = {
        "hits": dict(zip(names, means(hits), strict=True)),
        "regret": dict(zip(names, means(join(lacking)), strict=True)),
        "cohorts": cohorts,
    }
    if COUNTING in names:
        counting = names.index(COUNTING)
        others = [name for name in ("explore", "blend") if name in names]
        gained = hits[:, [counting]] - hits[:, [names.index(name) for name in others]]
        pairs = [f"{COUNTING} - {name}" for name in others]
        found |= {"hits_compared": dict(zip(pairs, means(gained), strict=True)), "new_items": describe_new(runs)}
    return found


def describe_new(runs: list[Run]) -> dict[str, Any]:
    """Return impressions and uses of new items, and how many of the best tenth are identified after the last day."""
    n_best = n_found = n_tried = 0
    by_day: dict[str, list[np.ndarray]] = {}
    for run in runs:
        course = run.courses[COUNTING]
        is_new = run.new_since >= 0
        appeal = run.appeal[is_new]
        shown = course.shown.sum(axis=0)[is_new]
        used = course.used.sum(axis=0)[is_new]
        best = max(1, len(appeal) // 10)
        truly = np.argsort(-appeal, kind="stable")[:best]
        rates = (PRIOR_USED + used) / (PRIOR_USED + PRIOR_IGNORED + shown)
        believed = np.argsort(-rates, kind="stable")[:best]
        n_best += best
        n_tried += int((used[truly] > 0).sum())
        n_found += len(np.intersect1d(truly, believed)) if used.any() else 0
        for name, table in (("shown", course.shown), ("used", course.used)):
            by_day.setdefault(name, []).append(table[:, is_new].sum(axis=1))
            by_day.setdefault(f"old_{name}", []).append(table[:, ~is_new].sum(axis=1))
    sums = {name: np.sum(of_runs, axis=0).tolist() for name, of_runs in by_day.items()}
    return {"best": n_best, "best_used": n_tried, "best_found": n_found, **sums}


if __name__ == "__main__":
    typer.run(main)
