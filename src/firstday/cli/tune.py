"""firstday tune: settings that suit the tables, searched for within a time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from firstday.cli.options import (
    ConfigOption,
    DropOption,
    PathOption,
    PluginOption,
    ProtocolOption,
    SetOption,
    TablesArgument,
    check_outputs,
    command_line,
    load_plugins,
    open_tables,
    print_notes,
    read_settings,
    write_json,
)
from firstday.cli.printing import print_rows
from firstday.config import Config
from firstday.data.left_out import left_out_beside, write_left_out
from firstday.errors import ConfigError, needs_extra
from firstday.evaluation.plots import standalone
from firstday.files import write_file
from firstday.progress import open_progress
from firstday.recommend.registry import find_strategy
from firstday.tuning.search import Search
from firstday.tuning.search_plot import plot_search, write_value
from firstday.tuning.search_settings import MOST_USERS, Budget, search_settings

MINUTES = 10.0
"""Where neither a time nor a number of trials is given."""


def tune(
    tables: TablesArgument,
    out: Annotated[Path, typer.Option(metavar="CONFIG.toml", help="Settings file to write, for --config.")],
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help=f"Time limit, in minutes (default: {MINUTES:g}, or none with --trials)."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=2, help="Maximum number of trials, including the starting settings (default: no limit)."),
    ] = None,
    path: PathOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    strategy: Annotated[
        str | None, typer.Option(help="Strategy to optimize (default: the setting recommend.strategy).")
    ] = None,
    plugin: PluginOption = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    most_users: Annotated[
        int, typer.Option(min=2, help="Maximum number of warm users to learn from; more are subsampled.")
    ] = MOST_USERS,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Maximum training runs per side of the final comparison.")
    ] = Budget.seeds,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="OUT.svg", help="Plot of the trials (default: next to CONFIG.toml)."),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the trials as JSON to this file; alone or with -, print them instead of the text."
        ),
    ] = None,
) -> None:
    """Search settings on TABLES within a time limit, and write the best if they are an improvement.

    The search starts from the file of --config, or else the defaults (the preset of a built-in name). Its result is
    compared with these on users held out from the search. Needs the extra `tune`.

    Example: firstday tune tables --minutes 30 --out tuned.toml
    """
    began = perf_counter()
    load_plugins(plugin)
    if strategy is not None:
        find_strategy(strategy)
    picture = out.with_suffix(".svg") if picture is None else picture
    if picture.suffix.lower() != ".svg":
        raise ConfigError(f"{picture}: the picture is SVG; give it a name that ends in .svg.")
    check_outputs(out, picture, json_out)
    if picture.resolve() == out.resolve():
        raise ConfigError(f"{out}: settings and picture cannot be one file; give a name that ends in .toml.")
    render_settings(Config(), ())  # what writes settings is there
    dataset, settings = open_tables(tables, path, config, overrides, protocol, drop_bad_rows)
    minutes = MINUTES if minutes is None and trials is None else minutes
    budget = Budget(math.inf if minutes is None else 60 * minutes, trials, seeds, began)
    with open_progress() as progress:
        search = search_settings(
            dataset,
            settings,
            budget=budget,
            strategy=strategy,
            most_users=most_users,
            progress=progress,
            say=lambda sentence: typer.echo(sentence, err=True),
        )
    base = read_settings(tables, config, overrides)  # what else the command line says is of this search alone
    start = str(config) if config is not None else "the defaults" if base == Config() else f"the preset of {tables}"
    chosen = base.override(search.best.settings) if search.is_gain else base
    sentences = tell_search(search, dataset.name, start)
    comments = (f"Written by: {command_line()}", *sentences, tell_result(search, start))
    write_file(out, render_settings(chosen, comments))
    write_file(picture, standalone(plot_search(search)))
    write_left_out(left_out_beside(out), dataset.left_out)
    if write_json({"dataset": dataset.name, **search.to_json()}, json_out):
        return
    print_notes(search.notes)
    typer.echo("\n".join(sentences))
    if best := search.best.settings:
        rows = [
            (choice.name, write_value(choice.values[choice.start]), write_value(best[choice.name]))
            for choice in search.choices
            if choice.name in best
        ]
        print_rows("Settings of the best trial", ("setting", start, "best"), rows)
    typer.echo(tell_result(search, start))
    if search.is_gain and search.at_edge:
        typer.echo(
            f"At the edge of what was tried: {', '.join(search.at_edge)}. Another search with --config {out} goes on "
            "from there."
        )
    typer.echo(f"Settings: {out}   What was tried: {picture}")
    if search.is_gain:
        typer.echo(f"Next: firstday train {tables} --config {out} --out model")


def render_settings(config: Config, comments: Iterable[str]) -> str:
    """Write what differs from the defaults as TOML, below comments.

    Raises
    ------
    MissingExtraError
        The library that writes TOML is not installed.
    """
    with needs_extra("tuning", "tune"):
        import tomli_w
    head = "".join(f"# {line}\n" for comment in comments for line in comment.splitlines())
    return f"{head}\n{tomli_w.dumps(config.model_dump(exclude_defaults=True))}".strip() + "\n"


def tell_search(search: Search, name: str, start: str) -> tuple[str, ...]:
    """Return sentences on what was tried, on whom.

    Parameters
    ----------
    search
        What was tried.
    name
        Of the tables.
    start
        What it started from, in words.
    """
    ended = {
        "time": "",
        "trials": "",
        "repeats": ", until nothing new was proposed",
        "interruption": ", until it was interrupted",
    }[search.ended_by]
    return (
        f"{name}: {len(search.trials)} trials in {search.seconds / 60:.1f} minutes{ended}; lists of "
        f"{search.strategy}, protocol {search.protocol}.",
        f"Learned from {search.n_warm:,} warm users, judged by {search.n_validation:,} validation users: "
        f"P@{search.start.recommend.k} {search.trials[0].precision:.2f} % with {start}, {search.best.precision:.2f} % "
        "with the best trial.",
    )


def tell_result(search: Search, start: str) -> str:
    """Return a sentence on what was gained over the start, and what to do.

    Parameters
    ----------
    search
        What was tried.
    start
        What it started from, in words.
    """
    compared = search.comparison
    if compared is None:
        return f"No trial was better for validation users than {start}: keep {start}."
    figures = (
        f"On {compared.n_users:,} users who took no part, {len(compared.seeds)} training(s) of each: "
        f"{compared.start.mean:.2f} % with {start}, {compared.best.mean:.2f} % with the best, "
        f"{compared.gain.mean:+.2f} [{compared.gain.low:+.2f}, {compared.gain.high:+.2f}] (95 % interval)"
    )
    if search.is_gain:
        return f"{figures}: a gain beyond chance."
    return f"{figures}: no gain beyond chance; keep {start}."
