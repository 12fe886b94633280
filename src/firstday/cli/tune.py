"""firstday tune: search settings for tables within a time limit."""

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
    check_output,
    command_line,
    load_plugins,
    open_tables,
    print_notes,
    program_name,
    read_settings,
    require_libraries,
    write_json,
)
from firstday.config import Config
from firstday.data.left_out import left_out_path, write_left_out
from firstday.files import write_file
from firstday.progress import open_progress
from firstday.recommend.registry import find_strategy
from firstday.tuning.search import SETTINGS, Search, list_completed
from firstday.tuning.search_plot import plot_search, write_value
from firstday.tuning.search_settings import MAX_WARM_USERS, Budget, search_settings

MINUTES = 10.0
"""Time limit if neither --minutes nor --trials is given."""


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
        int, typer.Option(min=2, help="Maximum number of warm users to train on; more are subsampled.")
    ] = MAX_WARM_USERS,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Maximum training runs per side of the final comparison.")
    ] = Budget.seeds,
    json_out: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the trials as JSON to this file; alone or with -, print them instead of the text."
        ),
    ] = None,
) -> None:
    """Search for the best settings on TABLES within a time limit, and write them if they are an improvement.

    The search starts from the file of --config, or else from the defaults (the preset of a built-in name). The best
    settings are compared with the starting ones on users held out from the search. Needs the extra `tune`.

    Example: firstday tune tables --minutes 30 --out tuned.toml
    """
    began = perf_counter()
    load_plugins(plugin)
    if strategy is not None:
        find_strategy(strategy)
    check_output(out, ".toml")
    check_output(json_out)
    require_libraries("tuning", "tune", "optuna", "tomli_w")
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
    base = read_settings(tables, config, overrides)  # other options apply to the search only
    result = base.override(search.best.user_attrs[SETTINGS]) if search.is_gain else base
    sentences = describe_search(search, dataset.name)
    comments = (f"Written by: {command_line()}", *sentences)
    write_file(out, render_settings(result, comments))
    picture = out.with_suffix(".svg")
    plot_search(search, picture)
    write_left_out(left_out_path(out), dataset.left_out)
    if write_json({"dataset": dataset.name, **search.to_json()}, json_out):
        return
    print_notes(search.notes)
    typer.echo("\n".join(sentences))
    if search.is_gain and search.at_edge:
        typer.echo(
            f"At the edge of their range: {', '.join(search.at_edge)}. To continue from there, search again with "
            f"--config {out}."
        )
    typer.echo(f"Settings: {out}   Plot: {picture}")
    if search.is_gain:
        typer.echo(f"Next: {program_name()} train {tables} --config {out} --out model")


def render_settings(config: Config, comments: Iterable[str]) -> str:
    """Format the settings that differ from the defaults as TOML, below comments."""
    import tomli_w

    header = "".join(f"# {line}\n" for comment in comments for line in comment.splitlines())
    return f"{header}\n{tomli_w.dumps(config.model_dump(exclude_defaults=True))}".strip() + "\n"


def describe_search(search: Search, name: str) -> list[str]:
    """Summarise a search in sentences, with advice; `name` is that of the dataset."""
    trials = list_completed(search.study)
    best = search.best
    k = search.start.recommend.k
    changes = ", ".join(f"{setting} {write_value(value)}" for setting, value in best.user_attrs[SETTINGS].items())
    sentences = [
        f"{name}: {len(trials)} trials in {search.seconds / 60:.1f} minutes (ended by {search.ended_by}); lists "
        f"of {search.strategy}, protocol {search.protocol}.",
        f"Trained on {search.n_warm:,} warm users; P@{k} of {search.n_validation:,} validation users: "
        f"{trials[0].value:.2f} % at the start, {best.value:.2f} % in the best trial ({changes or 'the start'}).",
    ]
    comparison = search.comparison
    if comparison is None:
        return [*sentences, "No trial was better on validation users: keep the starting settings."]
    gain = comparison.gain
    verdict = "a significant gain" if search.is_gain else "not significant, keep the starting settings"
    return [
        *sentences,
        f"P@{k} of {search.n_cold:,} test users, {len(comparison.seeds)} training run(s) each: "
        f"{comparison.start.mean:.2f} % at the start, {comparison.best.mean:.2f} % with the best settings; gain "
        f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] (95 % interval): {verdict}.",
    ]
