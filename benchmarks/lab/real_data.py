"""Evaluate every strategy, tuned baselines and the paper's own settings on datasets by name, for figures in docs.

export PYTHONPATH=benchmarks
python benchmarks/lab/real_data.py --data data                            all sets
python benchmarks/lab/real_data.py --data data --only online-retail --only movietweetings

Datasets with timestamps are evaluated at their cut-offs, the others with several seeds. Options of baselines are chosen
on the validation users of each training; cold users are used only for the final evaluation.
Renews docs/results/NAME.json and docs/images/NAME-*.svg, and with timestamps the dataset's part of
docs/results/motion.json: what existed when, and figures by age of the model. For the simulated series, which
`--only series` names, this part alone is renewed, of `auto` and the simple strategies.
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
from result_files import read_results, write_results

from firstday.cli.printing import print_results
from firstday.config import Config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.load import load
from firstday.data.splits.holdout import protocol_of
from firstday.datasets import dataset_names, load_source
from firstday.evaluation.comparisons import plot_cut_offs, plot_day_one_sizes
from firstday.evaluation.plots import standalone
from firstday.evaluation.results import COMPARED, MINUS_OLDER, Figure, Results
from firstday.evaluation.run import evaluate
from firstday.evaluation.slices import ALL, REFERENCE
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
SIMPLE_RULES = ("latest", "trending", "recent", "popular")
"""Strategies that docs/motion.md compares with `auto`."""
PICTURES = ("ciao-dvd-cut-offs", "movielens-100k-day-one-size")
"""Those of docs/quality.md."""


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
            all_strategies=name != SERIES,
            baselines=name != SERIES,
            n_seeds=1 if has_clock else seeds,
            against=("auto",) if name == SERIES else ("auto", REFERENCE, *searched_names()),
            progress=progress,
        )
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print_results(results)
    facts = {"seconds": round(perf_counter() - began, 1), "peak_mib": round(peak_mib)}
    stem = f"{name}-clock" if name == SIMULATED else name
    if name != SERIES:
        write_set(results, facts, stem, out)
    if has_clock:
        write_motion(results, stem, out / "results" / "motion.json")


def write_set(results: Results, facts: Mapping[str, Any], stem: str, out: Path) -> None:
    """Write the results of one dataset, with other facts, and plots."""
    (out / "results").mkdir(parents=True, exist_ok=True)
    (out / "images").mkdir(exist_ok=True)
    write_results({**results.to_json(), **facts}, out / "results" / f"{stem}.json")
    ours = replace(results, figures=tuple(of for of in results.figures if of.strategy not in searched_names()))
    plots = {
        "day-one-size": plot_day_one_sizes(ours),
        "cut-offs": plot_cut_offs(replace(results, reference=results.best_single["precision"])),
    }
    for kind, svg in plots.items():
        if svg is not None and f"{stem}-{kind}" in PICTURES:
            (out / "images" / f"{stem}-{kind}.svg").write_text(standalone(svg), encoding="utf-8")


def write_motion(results: Results, stem: str, target: Path) -> None:
    """Write what existed when one dataset's newcomers used it, and figures by age of the model."""
    assert results.later_uses is not None
    record: dict[str, Any] = {
        "newcomers": sum(cut_off["newcomers"] for cut_off in results.cut_offs),
        "days_between": round(results.get("auto", "older_by_days").mean, 1),
        "later_uses": results.later_uses.shares(),
        "figures": [{**vars(figure), **round_ends(figure)} for figure in results.figures if is_of_motion(figure)],
    }
    write_results({**read_results(target), stem: record}, target)


def round_ends(figure: Figure) -> dict[str, float | None]:
    """Return the mean and the interval of a figure, rounded."""
    ends = {"mean": figure.mean, "low": figure.low, "high": figure.high}
    return {name: None if end is None else round(end, 4) for name, end in ends.items()}


def is_of_motion(figure: Figure) -> bool:
    """Return whether docs/motion.md may use a figure."""
    metrics = (f"{metric}{kind}" for metric in COMPARED for kind in ("", "_minus:auto", MINUS_OLDER))
    is_of_slice = figure.slice == ALL or figure.slice.startswith("model_age")
    return is_of_slice and figure.metric in metrics and figure.strategy in ("auto", *SIMPLE_RULES)


if __name__ == "__main__":
    typer.run(main)
