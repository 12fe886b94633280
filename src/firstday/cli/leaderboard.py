"""firstday leaderboard: evaluate all methods on the same cold users of the same datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from firstday.cli.options import DropOption, PluginOption, StrategiesOption, check_output, load_plugins, print_notes
from firstday.cli.printing import print_line, print_table
from firstday.data.left_out import left_out_path, write_left_out
from firstday.data.splits.holdout import protocol_of
from firstday.engine.engines import explain_protocol
from firstday.files import write_file
from firstday.leaderboard.board import (
    Leaderboard,
    add_leaderboard,
    choose_methods,
    evaluate_methods,
    find_sets,
    open_set,
    read_leaderboard,
    read_published,
    tabulate_standings,
    to_json,
    write_leaderboard,
)
from firstday.progress import open_progress

SEEDS = {"sampled": 5, "registration": 1}


def leaderboard(
    sets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SET]...",
            help="Built-in names, `simulated` (a reproducible simulated service), or folders of tables (default: "
            "movielens-100k, simulated, and the datasets in --data).",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Folder with local copies of built-in datasets, repeatable."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Number of seeds, from 0 (default: those of the file, else 5, or 1 with cut-offs)."
        ),
    ] = None,
    strategies: StrategiesOption = None,
    without: Annotated[list[str] | None, typer.Option(help="Method to skip, repeatable.")] = None,
    plugin: PluginOption = None,
    add: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="THEIRS.json",
            help="Add another leaderboard of the same users, repeatable. Without a SET, nothing is evaluated.",
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Add the published results of the same users. Without a SET, nothing is evaluated."
        ),
    ] = False,
    drop_bad_rows: DropOption = 0.0,
    json_out: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT.json", help="Leaderboard file. Its results are not rerun."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="OUT.html", help="Write the leaderboard as one page to this file.")
    ] = None,
) -> None:
    """Evaluate every method on fixed splits of the same datasets, in one table with intervals, times and versions.

    Example: firstday leaderboard movielens-100k --json leaderboard.json --page leaderboard.html

    Example: firstday leaderboard movielens-100k --plugin my_methods --strategy tamed --published --json mine.json
    """
    load_plugins(plugin)
    check_output(json_out, ".json")
    check_output(page, ".html")
    board: Leaderboard = read_leaderboard(json_out) if json_out is not None and json_out.exists() else {}
    others = [(path.name, read_leaderboard(path)) for path in add or ()]
    names = []
    copies = {}
    if sets or not (others or published):
        copies = find_sets(sets or (), data or ())
    for set_name, copy in copies.items():
        dataset, config = open_set(set_name, copy, drop_bad_rows=drop_bad_rows)
        name = dataset.name
        print_notes(f"{name}: {note}" for note in (*dataset.notes, explain_protocol(dataset, config)))
        names.append(name)
        before = board.get(name)
        n_seeds = seeds or (SEEDS[protocol_of(dataset, config)] if before is None else len(before.seeds))
        methods = choose_methods(config, strategies or (), without or ())
        with open_progress() as progress:
            board[name] = evaluate_methods(before, dataset, config, methods, n_seeds=n_seeds, progress=progress)
        if json_out is not None:  # after each dataset, so that an interrupted run loses little
            write_file(json_out, to_json(board))
            write_left_out(left_out_path(json_out), dataset.left_out)
    if published:
        others.append(("the published standings", read_published(*names)))
    for origin, other in others:
        board, notes = add_leaderboard(board, other, origin)
        print_notes(notes)
    if json_out is not None:
        write_file(json_out, to_json(board))
    if page is not None:
        write_leaderboard(board, page)
    for name in names or board:
        standings = board[name]
        table = tabulate_standings(name, standings)
        print_table(table.select(*table.columns[:5]))  # the page and the file have more
        print_line(
            f"{standings.n_warm:,} warm and {standings.n_cold:,} cold users in each of {len(standings.seeds)} seed(s), "
            f"protocol {standings.protocol}, split {standings.split[:12]}. Brackets: 95 % interval."
        )
