"""firstday evaluate: strategies side by side on cold users."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from firstday.cli.options import (
    ConfigOption,
    KOption,
    PathOption,
    ProtocolOption,
    ReportOption,
    SeedOption,
    TablesArgument,
    check_file_target,
    open_tables,
    print_notes,
    shown_progress,
    write_file,
)
from firstday.cli.printing import print_results
from firstday.evaluate.report.render import check_report_path, write_report
from firstday.evaluate.results import REFERENCE
from firstday.evaluate.run import evaluate_strategies
from firstday.metrics import PrecisionRule
from firstday.recommend.strategies import EVALUATED_ALONE, STRATEGIES, find_strategy

NAMES = f"Strategies: {', '.join(STRATEGIES)}; fitted for an evaluation alone: {', '.join(EVALUATED_ALONE)}."


def evaluate(
    tables: TablesArgument,
    path: PathOption = None,
    config: ConfigOption = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a strategy, repeatable (default: all but those of peers that the configuration does not "
            "train). The names are below."
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Also fit and tune, on validation users, every peer that is fitted for this alone."
        ),
    ] = False,
    tune_once: Annotated[
        bool, typer.Option(help="Choose the options of such peers with the first seed alone, for all seeds.")
    ] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Name of a strategy to compare the others with, repeatable (default: {REFERENCE}); the table "
            "shows the first, the JSON all."
        ),
    ] = None,
    protocol: ProtocolOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many times to split, train and judge.")] = 1,
    seed: SeedOption = None,
    k: KOption = None,
    divide_by_k: Annotated[
        bool, typer.Option(help="Precision as hits / K instead of the paper's hits / min(K, relevant).")
    ] = False,
    json_out: Annotated[
        Path | None,
        typer.Option("--json", help="Write the results there; alone or with -, print them instead of the table."),
    ] = None,
    report: ReportOption = None,
) -> None:
    """Hold out cold users, train on the others, and judge the lists that each strategy gives the cold ones.

    Example: firstday evaluate movielens-100k --seeds 5 --json results.json --report report.html

    Example: firstday evaluate movielens-100k --strategy segment --strategy personal --peers --against ease
    """
    for name in (*(strategy or ()), *(against or ())):
        if name not in EVALUATED_ALONE:
            find_strategy(name)
    for target in (json_out, report):
        if target is not None and str(target) != "-":
            check_file_target(target)
    if report is not None:
        check_report_path(report)
    dataset, settings = open_tables(tables, path, config, seed, protocol)
    divide_by: PrecisionRule = "k" if divide_by_k else "min"
    references = tuple(dict.fromkeys(against or (REFERENCE,)))
    with shown_progress() as progress:
        results = evaluate_strategies(
            dataset,
            settings,
            strategies=strategy or (),
            tuned_peers=peers,
            tune_once=tune_once,
            n_seeds=seeds,
            k=k,
            divide_by=divide_by,
            against=references,
            progress=progress,
        )
    text = json.dumps(results.to_json(), indent=1, ensure_ascii=False)
    if json_out is not None and str(json_out) == "-":
        typer.echo(text)
    else:
        print_notes(results.notes)
        print_results(results, Console(), references[0])
    if json_out is not None and str(json_out) != "-":
        write_file(json_out, text + "\n")
    if report is not None:
        command = shlex.join(["firstday", *sys.argv[1:]])
        write_report(results, report, dataset_summary=dataset.summary(), config=settings, command=command)
