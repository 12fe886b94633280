"""Evaluate the default list and simple rules on logs with a clock, over all later uses, for docs/motion.md.

export PYTHONPATH=benchmarks
python benchmarks/lab/motion.py --data data
python benchmarks/lab/motion.py --data data --only series --only ciao-dvd

Renews the datasets' parts of docs/results/motion.json: what existed when, figures by age of the model, and paired
differences.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from real_data import DOCS, SERIES, find_sets, open_set
from result_files import read_results, write_results

from firstday.cli.printing import print_results
from firstday.evaluation.results import Figure
from firstday.evaluation.run import evaluate
from firstday.progress import open_progress

TIMED = ("online-retail", "movietweetings", "complete-journey", "x-wines", "ciao-dvd", SERIES)
RIVALS = ("latest", "trending", "recent", "popular")


def main(data: list[Path] = [], only: list[str] = [], cut_offs: int = 3, out: Path = DOCS / "results") -> None:
    """Evaluate datasets, by default all with a clock."""
    for name, copy in find_sets(only or TIMED, data).items():
        dataset, config = open_set(name, copy)
        config = config.override("registration.cut_offs", cut_offs)
        with open_progress() as progress:
            results = evaluate(dataset, config, against=RIVALS, progress=progress)
        print_results(results)
        assert results.later_uses is not None
        shown = [figure for figure in results.figures if is_shown(figure)]
        record: dict[str, Any] = {
            "users": results.n_cold,
            "newcomers": sum(cut_off["newcomers"] for cut_off in results.cut_offs),
            "days_between": round(results.get("auto", "older_by_days").mean, 1),
            "later_uses": results.later_uses.shares(),
            "figures": [{**vars(figure), **round_ends(figure)} for figure in shown],
        }
        target = out / "motion.json"
        write_results({**read_results(target), name: record}, target)


def round_ends(figure: Figure) -> dict[str, float | None]:
    """Return the mean and the interval of a figure, rounded."""
    ends = {"mean": figure.mean, "low": figure.low, "high": figure.high}
    return {name: None if end is None else round(end, 4) for name, end in ends.items()}


def is_shown(figure: Figure) -> bool:
    """Return whether the documentation may use a figure."""
    metric, _, other = figure.metric.partition("_minus")
    is_precision = metric in ("precision", "precision_at_10", "precision_all", "precision_all_at_10")
    is_of_slice = figure.slice.startswith("model_age") or (figure.slice == "all" and ":" not in other)
    return is_precision and is_of_slice and figure.strategy in (("auto",) if other else ("auto", *RIVALS))


if __name__ == "__main__":
    typer.run(main)
