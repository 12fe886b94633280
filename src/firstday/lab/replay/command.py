"""firstday lab replay: strategies that show slates to cold users in rounds and learn from the outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from firstday.cli.options import (
    AllowOption,
    CapOption,
    ConfigOption,
    DenyOption,
    DeviceOption,
    DropOption,
    FilterOption,
    JsonOption,
    PathOption,
    PluginOption,
    ProtocolOption,
    SeedsOption,
    SetOption,
    StrategiesOption,
    TablesArgument,
    check_output,
    load_plugins,
    open_tables,
    read_rules,
    write_json,
)
from firstday.cli.printing import print_line, print_table
from firstday.evaluation.plots import standalone
from firstday.files import write_file
from firstday.lab.replay.replay import replay_policies
from firstday.lab.replay.replay_results import ReplayResults, ReplaySettings
from firstday.progress import open_progress
from firstday.recommend.support import with_methods


def replay(
    tables: TablesArgument,
    path: PathOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    strategies: StrategiesOption = None,
    against: Annotated[
        str | None, typer.Option(help="Policy to compare the others with (default: segment@once, or the first).")
    ] = None,
    plugin: PluginOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = ReplaySettings.rounds,
    slate: Annotated[int, typer.Option(min=1, help="Items per round.")] = ReplaySettings.slate,
    visible: Annotated[
        int | None, typer.Option(min=1, help="Positions that users certainly see (default: the whole slate).")
    ] = None,
    persistence: Annotated[
        float,
        typer.Option(min=0, max=1, help="Probability that a user who saw a later position also sees the next one."),
    ] = ReplaySettings.persistence,
    delay: Annotated[int, typer.Option(min=0, help="Delay of feedback on uses, in rounds.")] = 0,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    device: DeviceOption = None,
    seeds: SeedsOption = 1,
    filter: FilterOption = None,  # noqa: A002  the rule's name
    allow: AllowOption = None,
    deny: DenyOption = None,
    cap: CapOption = None,
    json_out: JsonOption = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="OUT.svg", help="Write a plot of the hits by round to this file.")
    ] = None,
) -> None:
    """Show slates to cold users of TABLES, round by round; strategies learn which items they used or passed over.

    NAME@once shows one long list slate by slate; NAME@uses learns only from uses; epsilon and ucb are simple bandit
    baselines.

    Example: firstday lab replay movielens-100k --rounds 10 --slate 12 --visible 3 --json replay.json

    Example: firstday lab replay tables --strategy explore --strategy blend --filter in_stock --picture replay.svg
    """
    trainable = load_plugins(plugin)
    check_output(json_out)
    check_output(picture, ".svg")
    rules = read_rules(filter, allow, deny, cap=cap)
    dataset, settings = open_tables(tables, path, config, overrides, protocol, drop_bad_rows, device)
    with open_progress() as progress:
        results = replay_policies(
            dataset,
            settings if strategies else with_methods(settings, trainable),
            policies=strategies or (),
            settings=ReplaySettings(rounds, slate, visible, persistence, delay),
            n_seeds=seeds,
            against=against,
            rules=rules,
            progress=progress,
        )
    if not write_json(results.to_json(), json_out, dataset.left_out):
        _print(results)
    if picture is not None:
        write_file(picture, standalone(results.plot()))


def _print(results: ReplayResults) -> None:
    """Print a table of policies, most hits first, with an explanation."""
    settings = results.settings
    print_table(results.tabulate())
    sees = "all positions"
    if settings.visible is not None:
        sees = f"{settings.visible} positions, and each further one with probability {settings.persistence:g}"
    print_line(
        f"{settings.rounds} round(s) of {settings.slate} items; users see {sees}; feedback arrives {settings.delay} "
        f"round(s) late. {results.n_users:,} users, {len(results.seeds)} seed(s). Brackets: 95 % interval over users."
    )
