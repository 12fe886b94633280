"""firstday evaluate: strategies side by side on cold users."""

from __future__ import annotations

from collections.abc import Mapping
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
    KOption,
    PluginOption,
    ProtocolOption,
    ReportOption,
    SeedsOption,
    SetOption,
    check_output,
    command_line,
    load_plugins,
    open_tables,
    print_notes,
    read_rules,
    read_settings,
    split_pairs,
    write_json,
)
from firstday.cli.printing import print_datasets, print_results
from firstday.data.load import load
from firstday.data.splits.holdout import find_cut_offs
from firstday.datasets import dataset_names
from firstday.errors import ConfigError
from firstday.evaluation.evaluation_split import is_split, open_split
from firstday.evaluation.report.render import render_comparison, render_evaluation
from firstday.evaluation.results import Results
from firstday.evaluation.run import evaluate as run_evaluation
from firstday.evaluation.run_folder import write_run
from firstday.files import write_file
from firstday.model.folder import require_empty
from firstday.progress import open_progress
from firstday.recommend.registry import find_strategy, import_own, strategy_names
from firstday.recommend.spec import PAPER_SEGMENT
from firstday.recommend.support import with_methods

PLACE = 3  # in firstday --help
EPILOG = f"Strategies: {', '.join(strategy_names())}; only in evaluations: {PAPER_SEGMENT}."


def evaluate(
    tables: Annotated[
        list[str],
        typer.Argument(
            help="Folders of tables or of a split, or dataset names (see docs/tables.md). Several share one table."
        ),
    ],
    path: Annotated[
        list[str] | None,
        typer.Option(help="With a dataset name: local copy, a zip or a folder; with several datasets, NAME=PATH."),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    strategies: Annotated[
        list[str] | None, typer.Option("--strategy", help="Further strategy, repeatable. Names are listed below.")
    ] = None,
    plugin: PluginOption = None,
    all_strategies: Annotated[
        bool,
        typer.Option(
            "--all", help="Evaluate all strategies that the model supports, not only auto and the simple ones."
        ),
    ] = False,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="Also evaluate all strategies whose options can be tuned, tuned on validation users, and the paper's "
            "system as in the article.",
        ),
    ] = False,
    tune_once: Annotated[
        bool, typer.Option(help="Tune strategy options on the first seed or cut-off only, and reuse them for all.")
    ] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Reference strategy to compare the others with, repeatable (default: the best single method). The "
            "table shows the first, the JSON all."
        ),
    ] = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    device: DeviceOption = None,
    cut_offs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Under the protocol registration: number of cut-offs. At each, train on earlier data and evaluate on "
            "the newcomers up to the next (default: the setting, 6).",
        ),
    ] = None,
    seeds: SeedsOption = 1,
    k: KOption = None,
    filter: FilterOption = None,  # noqa: A002  the rule's name
    allow: AllowOption = None,
    deny: DenyOption = None,
    cap: CapOption = None,
    divide_by_k: Annotated[
        bool,
        typer.Option(
            help="Compute precision as hits / K instead of the paper's hits / min(K, relevant), also called capped "
            "recall."
        ),
    ] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Metric of your own, repeatable: a function of lists, truth and item ids; see docs/protocols.md.",
        ),
    ] = None,
    json_out: JsonOption = None,
    report: ReportOption = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Keep results with the options tried, lists, rows per user, configuration and versions in this new "
            "folder."
        ),
    ] = None,
) -> None:
    """Train on established users and evaluate lists for new users: of auto, of simple strategies, and of others.

    The simple strategies are popular, group, segment, edlae and, if the log has a clock, latest, trending and recent.

    Example: firstday evaluate movielens-100k --seeds 5 --json results.json --report report.html

    Example: firstday evaluate movielens-100k --strategy personal --all --baselines --against ease

    Example: firstday evaluate tables --cut-offs 6 --json results.json

    Example: firstday evaluate movielens-100k tables other-tables --json results.json --report report.html

    Example: firstday evaluate split --run run

    Example: firstday evaluate tables --filter 'in_stock and genre == "jazz"' --cap artist=2
    """
    if cut_offs is not None:
        overrides = [*(overrides or ()), f"registration.cut_offs={cut_offs}"]
    trainable = load_plugins(plugin)
    metrics = [import_own("--metric", path) for path in metric or ()]
    has_settings = bool(config or overrides or protocol or device or path or drop_bad_rows or seeds > 1)
    for name in tables:
        if is_split(name) and has_settings:
            raise ConfigError(
                f"{name}: a split has its own tables, settings and seeds; omit --config, --set, --protocol, "
                "--device, --path, --drop-bad-rows, --seeds and --cut-offs."
            )
        read_settings(name, config, overrides, protocol, device)
        if name not in dataset_names() and not Path(name).is_dir():
            load(name)  # raises the error now, not after hours of evaluating the others
    is_single = len(tables) == 1
    copies: Mapping[str, str] = dict(zip(tables, path or (), strict=False))
    if not is_single:
        copies = split_pairs("--path", path, f"{tables[0]}=DIR")
    check_output(json_out)
    check_output(report, ".html")
    if run is not None:
        if not is_single:
            raise ConfigError("--run: keeps the evaluation of one dataset; give one, or omit --run.")
        require_empty(run)
    rules = read_rules(filter, allow, deny, cap=cap)
    for name in (*(strategies or ()), *(against or ())):
        if name != PAPER_SEGMENT:
            find_strategy(name)
    all_results: list[Results] = []
    left_out: list[str] = []
    for name in tables:
        copy = Path(copies[name]) if name in copies else None
        if is_split(name):
            held_out = open_split(name)
            dataset, settings, n_seeds = held_out.dataset, held_out.config, held_out.n_seeds
        else:
            n_seeds = seeds
            dataset, settings = open_tables(name, copy, config, overrides, protocol, drop_bad_rows, device)
        settings = with_methods(settings, trainable)
        if (moments := find_cut_offs(dataset, settings)) is not None:
            print_notes([f"{name}: evaluation will train {moments.describe()}."])
        elif cut_offs is not None:
            raise ConfigError(
                f"--cut-offs: needs the protocol registration, but that of {name} is sampled; omit --cut-offs, or set "
                "--protocol registration."
            )
        with open_progress() as progress:
            results = run_evaluation(
                dataset,
                settings,
                strategies=strategies or (),
                all_strategies=all_strategies,
                baselines=baselines,
                tune_once=tune_once,
                n_seeds=n_seeds,
                k=k,
                divide_by="k" if divide_by_k else "min",
                against=against or (),
                rules=rules,
                metrics=metrics,
                progress=progress,
            )
        all_results.append(results)
        left_out += dataset.left_out
    values = [results.to_json() for results in all_results]
    if not write_json(values[0] if is_single else {"datasets": values}, json_out, left_out):
        for results in all_results:
            print_notes(results.notes)
        if is_single:
            print_results(results)
        else:
            print_datasets(all_results)
    command = command_line()
    if run is not None:
        write_run(run, results, settings, command)
    if report is not None:
        if is_single:
            summary = dataset.summary()
            write_file(report, render_evaluation(results, dataset_summary=summary, config=settings, command=command))
        else:
            write_file(report, render_comparison(all_results, command))
