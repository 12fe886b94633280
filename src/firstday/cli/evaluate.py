"""firstday evaluate: strategies side by side on cold users."""

from __future__ import annotations

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
    PathOption,
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
    write_json,
)
from firstday.cli.printing import print_results
from firstday.data.splits.holdout import find_cut_offs
from firstday.errors import ConfigError
from firstday.evaluation.evaluation_split import is_split, open_split
from firstday.evaluation.report.render import render_evaluation
from firstday.evaluation.run import evaluate as run_evaluation
from firstday.files import write_file
from firstday.progress import open_progress
from firstday.recommend.registry import find_strategy, import_own, strategy_names
from firstday.recommend.spec import PAPER_SEGMENT
from firstday.recommend.support import with_methods

PLACE = 3  # in firstday --help
EPILOG = f"Strategies: {', '.join(strategy_names())}; only in evaluations: {PAPER_SEGMENT}."


def evaluate(
    tables: Annotated[
        str, typer.Argument(help="Folder of tables or of a split, or a dataset name (see docs/tables.md).")
    ],
    path: PathOption = None,
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
) -> None:
    """Train on established users and evaluate lists for new users: of auto, of simple strategies, and of others.

    The simple strategies are popular, group, segment, edlae and, if the log has a clock, latest, trending and recent.

    Example: firstday evaluate movielens-100k --seeds 5 --json results.json --report report.html

    Example: firstday evaluate movielens-100k --strategy personal --all --baselines

    Example: firstday evaluate tables --cut-offs 6 --json results.json

    Example: firstday evaluate split --report report.html

    Example: firstday evaluate tables --filter 'in_stock and genre == "jazz"' --cap artist=2
    """
    if cut_offs is not None:
        overrides = [*(overrides or ()), f"registration.cut_offs={cut_offs}"]
    trainable = load_plugins(plugin)
    metrics = [import_own("--metric", path) for path in metric or ()]
    check_output(json_out)
    check_output(report, ".html")
    rules = read_rules(filter, allow, deny, cap=cap)
    for name in strategies or ():
        if name != PAPER_SEGMENT:
            find_strategy(name)
    if is_split(tables):
        if config or overrides or protocol or device or path or drop_bad_rows or seeds > 1:
            raise ConfigError(
                f"{tables}: a split has its own tables, settings and seeds; omit --config, --set, --protocol, "
                "--device, --path, --drop-bad-rows, --seeds and --cut-offs."
            )
        held_out = open_split(tables)
        dataset, settings, n_seeds = held_out.dataset, held_out.config, held_out.n_seeds
    else:
        n_seeds = seeds
        dataset, settings = open_tables(tables, path, config, overrides, protocol, drop_bad_rows, device)
    settings = with_methods(settings, trainable)
    if (moments := find_cut_offs(dataset, settings)) is not None:
        print_notes([f"{tables}: evaluation will train {moments.describe()}."])
    elif cut_offs is not None:
        raise ConfigError(
            f"--cut-offs: needs the protocol registration, but that of {tables} is sampled; omit --cut-offs, or set "
            "--protocol registration."
        )
    with open_progress() as progress:
        results = run_evaluation(
            dataset,
            settings,
            strategies=strategies or (),
            all_strategies=all_strategies,
            baselines=baselines,
            n_seeds=n_seeds,
            k=k,
            divide_by="k" if divide_by_k else "min",
            rules=rules,
            metrics=metrics,
            progress=progress,
        )
    if not write_json(results.to_json(), json_out, dataset.left_out):
        print_notes(results.notes)
        print_results(results)
    if report is not None:
        page = render_evaluation(results, dataset_summary=dataset.summary(), command=command_line())
        write_file(report, page)
