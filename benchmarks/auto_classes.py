"""`auto` beside every single strategy, by how much is known of test users: writes docs/results/auto-NAME.json.

python benchmarks/auto_classes.py movielens-100k --seeds 5                  with the dataset's preset
python benchmarks/auto_classes.py movielens-100k --seeds 5 --defaults       with the defaults, as strangers get them
python benchmarks/auto_classes.py deezer-europe --path deezer_europe.zip --seeds 5
firstday simulate service --users 8000 --items 3000; python benchmarks/auto_classes.py service --seeds 1

Classes are those of `KNOWLEDGE`. Few test users have nothing but a profile, or friends, so the others are asked as
well, with what they did taken away. Differences are user by user, with a 95 % interval by bootstrap over users; the
single strategy that `auto` is compared with is the best one on these very test users, which flatters it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from result_files import RESULTS, to_json, write_results

from firstday.artifact.trained_model import KNOWLEDGE, Selection
from firstday.cli.options import open_tables
from firstday.config import Config
from firstday.data.splits.holdout import find_cut_offs, hold_out
from firstday.metrics import bootstrap_mean, measure
from firstday.recommend.query import Query
from firstday.recommend.recommender import answer_all
from firstday.recommend.registry import strategies_of
from firstday.recommend.spec import BUILT_IN
from firstday.sparse import SparseRows
from firstday.training.fit import cohort_query, fit
from firstday.training.selection import take_class
from firstday.training.validation import Fold

K = 50
Lists = dict[str, dict[str, list[np.ndarray]]]
"""Precision of users by class and strategy."""


def main(tables: str, path: Path | None = None, seeds: int = 5, *, defaults: bool = False) -> None:
    """Judge `auto` and single strategies, and write the figures."""
    dataset, preset = open_tables(tables, path, None)
    config = Config() if defaults else preset
    precision: Lists = {known: {} for known in ("all", *KNOWLEDGE)}
    users: dict[str, list[np.ndarray]] = {known: [] for known in precision}
    chosen: list[list[str]] = []
    for seed in range(seeds):
        seeded = config.override("seed", seed)
        for part in hold_out(dataset, seeded, seed, find_cut_offs(dataset, seeded)):
            recommender = fit(part.dataset, part.split, seeded)
            cold = part.cold
            query = cohort_query(recommender, part.newcomers, cold, K)
            chosen.append([evidence.best for evidence in query.model.selection.classes])
            names = [name for name in BUILT_IN["strategies"] if name in strategies_of(query.model)]
            add(precision["all"], names, query, cold.truth)
            users["all"].append(cold.users)
            for number, known in enumerate(KNOWLEDGE):
                asked, truth = ask_class(query, cold.truth, number)
                add(precision[known], names, asked, truth)
                users[known].append(cold.users[: asked.n_users] if number == 0 else np.arange(asked.n_users))
            print(f"seed {seed}: {chosen[-1]}", flush=True)
    rows = [describe(known, of, users[known]) for known, of in precision.items() if sum(map(len, of["auto"]))]
    name = f"auto-{dataset.name}{'-defaults' if defaults else ''}"
    content = {"dataset": dataset.name, "k": K, "seeds": list(range(seeds)), "chosen": chosen, "rows": rows}
    write_results(content, RESULTS / f"{name}.json")


def ask_class(query: Query, truth: SparseRows, number: int) -> tuple[Query, SparseRows]:
    """Return the users who stand for a class, and what they used; for the first, all of them, with nothing told."""
    if number:
        ((members,), _) = take_class([Fold(query, truth)], number)
        return members.query, members.truth
    signals = replace(query.signals, actions={}, groups={}, ages=None, friends=None)
    return replace(query, signals=signals, closed=query.excluded), truth


def add(of_class: dict[str, list[np.ndarray]], names: list[str], query: Query, truth: SparseRows) -> None:
    """Add the precision of users' lists: `auto` as people get it, single strategies where they can answer."""
    alone = replace(query, model=replace(query.model, selection=Selection()))
    for name in names:
        answer = answer_all(query if name == "auto" else alone, name)
        of_class.setdefault(name, []).append(measure(answer.items, truth).precision)


def describe(known: str, of: dict[str, list[np.ndarray]], users: list[np.ndarray]) -> dict[str, Any]:
    """Return the means of one class, and the differences of `auto` to the best single strategy and to `popular`."""
    joined = {name: 100 * np.concatenate(values) for name, values in of.items()}
    people = np.concatenate(users)
    singles = {name: values.mean() for name, values in joined.items() if name != "auto"}
    best = max(singles, key=lambda name: float(singles[name]))
    row: dict[str, Any] = {"known": known, "n": len(people), "best": best}
    row["precision"] = {name: round(float(values.mean()), 2) for name, values in joined.items()}
    for name, other in (("best", best), ("popular", "popular"), ("segment", "segment")):
        difference = bootstrap_mean(joined["auto"] - joined[other], people)
        row |= to_json(f"minus_{name}", difference)
    return row


if __name__ == "__main__":
    typer.run(main)
