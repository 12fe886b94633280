"""Evaluate every strategy, tuned baselines and the paper's own settings on datasets by name, for figures in docs.

export PYTHONPATH=benchmarks
python benchmarks/lab/real_data.py --data data                            all sets
python benchmarks/lab/real_data.py --data data --only online-retail --only movietweetings

Datasets with timestamps are evaluated at their cut-offs, the others with several seeds. Options of baselines are chosen
on the validation users of each training, except on `CHOSEN_ONCE`; cold users are used only for the final evaluation.
Renews docs/results/NAME.json and docs/images/NAME-*.svg.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import typer
from result_files import write_results

from firstday.cli.printing import print_results
from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.splits.holdout import protocol_of
from firstday.datasets import dataset_names, load_source
from firstday.evaluation.comparisons import plot_cut_offs, plot_day_one_sizes
from firstday.evaluation.plots import standalone
from firstday.evaluation.results import Results
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import REFERENCE
from firstday.lab.simulate.simulation_settings import SimulationSettings
from firstday.lab.simulate.tables import simulate
from firstday.progress import open_progress
from firstday.recommend.support import searched_names

DOCS = Path(__file__).parents[2] / "docs"
SIMULATED, SERIES = "simulated", "series"
SERVICES = {
    SIMULATED: SimulationSettings(n_users=10_000, n_items=4_000, days=60),
    SERIES: SimulationSettings(n_users=6_000, n_items=8_000, days=150, series=True),
}
"""Simulated services."""
CHOSEN_ONCE = ("deezer-europe",)
"""Datasets on which a search takes an hour: options are chosen with the first seed."""


def main(
    data: list[Path] = [],
    only: list[str] = [],
    seeds: int = 5,
    cut_offs: int | None = None,
    out: Path = DOCS,
) -> None:
    """Evaluate datasets, by default all in `data`."""
    for name, copy in find_sets(only, data).items():
        evaluate_set(name, copy, seeds, cut_offs, out)


def find_sets(names: Sequence[str], data: Sequence[Path]) -> dict[str, Path | None]:
    """Return the datasets named, each with the folder in `data` that has its local copy, or None without one.

    Without names: MovieLens 100K, the simulated service, and every dataset known by name that `data` has a copy of.
    """
    files = {name: file for name in dataset_names() if (file := load_source(name).file)}
    copies = {name: folder for folder in data for name, file in files.items() if (folder / file).exists()}
    names = names or ("movielens-100k", SIMULATED, *copies)
    for name in names:
        if name not in (*dataset_names(), *SERVICES):
            raise typer.BadParameter(f"{name!r} is not one of {', '.join((*dataset_names(), *SERVICES))}")
    return {name: copies.get(name) for name in names}


def open_set(name: str, copy: Path | None) -> tuple[Dataset, Config]:
    """Load a dataset and its settings: its preset, or the defaults."""
    if name in SERVICES:
        with tempfile.TemporaryDirectory() as folder:
            simulate(SERVICES[name], Path(folder) / name)
            return load(Path(folder) / name), Config()
    config = suit_config(name)
    return load(name, path=copy, config=config), config


def evaluate_set(name: str, copy: Path | None, seeds: int, cut_offs: int | None, out: Path) -> None:
    """Evaluate one dataset with its preset; write results and plots."""
    began = perf_counter()
    dataset, config = open_set(name, copy)
    if cut_offs:
        config = config.override("registration.cut_offs", cut_offs)
    has_clock = protocol_of(dataset, config) == "registration"
    with open_progress() as progress:
        results = evaluate(
            dataset,
            config,
            all_strategies=True,
            baselines=True,
            tune_once=name in CHOSEN_ONCE,
            n_seeds=1 if has_clock else seeds,
            against=("auto", REFERENCE, *searched_names()),
            progress=progress,
        )
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print_results(results)
    facts = {"seconds": round(perf_counter() - began, 1), "peak_mib": round(peak_mib)}
    write_set(results, facts, f"{name}-clock" if name == SIMULATED else name, out)


def write_set(results: Results, facts: Mapping[str, Any], stem: str, out: Path) -> None:
    """Write the results of one dataset, with other facts, and plots."""
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "images").mkdir(exist_ok=True)
    write_results({**results.to_json(), **facts}, out / "results" / f"{stem}.json")
    ours = replace(results, figures=tuple(of for of in results.figures if of.strategy not in searched_names()))
    plots = {
        "strategies": ours.plot_strategies(),
        "day-one-size": plot_day_one_sizes(ours),
        "cut-offs": plot_cut_offs(replace(results, reference=results.best_single["precision"])),
    }
    for kind, svg in plots.items():
        if svg is not None:
            (out / "images" / f"{stem}-{kind}.svg").write_text(standalone(svg), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
