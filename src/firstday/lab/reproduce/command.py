"""firstday lab reproduce: our version of the paper's Table 1 next to the original, from the released data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from firstday.cli.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    KOption,
    PluginOption,
    ReportOption,
    SeedsOption,
    SetOption,
    StrategiesOption,
    check_output,
    command_line,
    load_plugins,
    print_notes,
    read_settings,
    write_json,
)
from firstday.cli.printing import print_line, print_table
from firstday.evaluation.report.render import render_evaluation
from firstday.files import write_file
from firstday.lab.reproduce.deezer_kdd21 import NAME, Space, read_paper_data
from firstday.lab.reproduce.paper_figures import compare_with_paper
from firstday.lab.reproduce.released_code import DEPARTURES
from firstday.lab.reproduce.table import PROTOCOL_TEXT, choose_strategies, configure, reproduce_table
from firstday.progress import open_progress
from firstday.recommend.registry import find_strategy

PRESET = Path(__file__).with_name("deezer-kdd21.toml")
NAMES = ", ".join(DEPARTURES)


def parse_departure(name: str) -> str:
    """Return the name of a departure; refuse any other."""
    if name not in DEPARTURES:
        raise typer.BadParameter(f"{name!r} is not a departure; give one of {NAMES}")
    return name


def reproduce(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the paper's released files.")],
    space: Annotated[Space, typer.Option(help="Embedding: TT-SVD or UT-ALS.")] = "svd",
    segments: Annotated[
        int | None, typer.Option(min=1, help="Number of segments (default: training users / 70, at most 1,000).")
    ] = None,
    input_clusters: Annotated[
        int | None, typer.Option(min=1, help="Number of input clusters (default: 100, at most training users / 10).")
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published",
            help="Follow the authors' released code in all departures, and skip its column. The default departs from "
            "the code to show what train would do with this data, in a tenth of the time.",
        ),
    ] = False,
    like_code: Annotated[
        list[str] | None,
        typer.Option(
            parser=parse_departure,
            metavar="DEPARTURE",
            help=f"Follow the authors' code in one departure, repeatable: {NAMES}; see docs/reproduce.md.",
        ),
    ] = None,
    without_code: Annotated[
        bool, typer.Option("--without-code", help="Skip the column of the authors' code, which takes most of the time.")
    ] = False,
    strategies: StrategiesOption = None,
    plugin: PluginOption = None,
    without_baselines: Annotated[
        bool,
        typer.Option(
            "--without-baselines",
            help="Skip DropoutNet and MeLU, which take minutes to train.",
        ),
    ] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
    seeds: SeedsOption = 1,
    k: KOption = None,
    device: DeviceOption = None,
    json_out: JsonOption = None,
    report: ReportOption = None,
) -> None:
    """Train on the paper's released data, like train and like the authors' code, and print both next to the paper's.

    Example: firstday lab reproduce deezer-kdd21 --space svd --json table.json --report table.html
    """
    began = perf_counter()
    load_plugins(plugin)
    for name in strategies or ():
        find_strategy(name)
    check_output(json_out)
    check_output(report, ".html")
    settings = read_settings(NAME, config or PRESET, overrides, device=device)
    settings = settings if k is None else settings.override("recommend.k", k)
    with open_progress() as progress:
        data = read_paper_data(folder, space, progress=progress)
        reading_s = perf_counter() - began
        settings = configure(settings, len(data.train), segments, input_clusters)
        make_table = partial(reproduce_table, data, settings, n_seeds=seeds, progress=progress)
        methods = choose_strategies(strategies or (), with_baselines=not (without_baselines or as_published))
        table = make_table(methods, like_code=DEPARTURES if as_published else like_code or ())
        if not (as_published or without_code):
            methods = choose_strategies(strategies or (), with_baselines=False)
            table = replace(table, code=make_table(methods, like_code=DEPARTURES))
    table = replace(table, seconds={"reading": reading_s, **table.seconds})
    comparison = compare_with_paper(table.results, space, table.code.results if table.code else None)
    if not write_json(table.to_json(), json_out):
        print_notes(table.results.notes)
        print_table(comparison)
        print_line(
            f"{table.results.describe_users()} Precision is hits / min(k, relevant). ±: standard deviation over random "
            "fifths of the cold users, as in the paper."
        )
    if report is not None:
        page = render_evaluation(
            table.results,
            dataset_summary={
                "warm_users": table.results.n_warm,
                "validation_users": table.summary["n_validation"],
                "items": table.summary["items"],
            },
            command=command_line(),
            protocol=PROTOCOL_TEXT,
            paper=comparison,
        )
        write_file(report, page)
