"""firstday refresh: retrain and publish, unless the current model is better or the tables have shrunk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from firstday.cli.options import (
    ConfigOption,
    DeviceOption,
    DropOption,
    JsonFlag,
    KeepOption,
    PathOption,
    PluginOption,
    ProtocolOption,
    SetOption,
    TablesArgument,
    load_plugins,
    open_tables,
    print_json,
    require_libraries,
)
from firstday.cli.printing import print_error
from firstday.errors import BusyError, DataError
from firstday.model.folder import KEEP, check_target
from firstday.progress import open_progress
from firstday.recommend.support import with_methods
from firstday.training.refresh_model import GATE, MIN_SIZE
from firstday.training.refresh_model import refresh as run_refresh

PLACE = 5  # in firstday --help

REFUSED, BUSY = 3, 4
"""Exit statuses."""


def refresh(
    tables: TablesArgument,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Model folder.")],
    gate: Annotated[
        float,
        typer.Option(
            help="Refuse a model whose precision on held-out users, divided by the current model's, is below this "
            "(above 0, up to 1), also over several nights.",
        ),
    ] = GATE,
    keep: KeepOption = KEEP,
    min_size: Annotated[
        float,
        typer.Option(
            min=0,
            help="Reject tables with less than this share of the current model's users, items or interactions of any "
            "kind. 0: never.",
        ),
    ] = MIN_SIZE,
    force: Annotated[
        bool, typer.Option("--force", help="Publish whatever the checks of the tables and of the model say.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another refresh of the same model.")] = 0,
    path: PathOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    plugin: PluginOption = None,
    device: DeviceOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train on TABLES and publish the model, unless it is worse than the current one or the tables are damaged.

    Exit status: 0 published, 2 error or bad tables, 3 refused, 4 another refresh is running. Unless it is 0, the
    current model stays in use.

    Example: firstday refresh tables --out model --drop-bad-rows 0.01
    """
    trainable = load_plugins(plugin)
    check_target(out)
    require_libraries("refreshing a model", "train", "filelock", "torch")
    try:
        dataset, settings = open_tables(tables, path, config, overrides, protocol, drop_bad_rows, device)
        with open_progress() as progress:
            result = run_refresh(
                dataset,
                out,
                with_methods(settings, trainable),
                gate=gate,
                keep=keep,
                min_size=min_size,
                force=force,
                wait_s=wait,
                progress=progress,
            )
    except DataError as error:
        if as_json:
            print_json({"published": False, "reason": "faults", "errors": list(map(str, error.faults))})
        raise
    except BusyError as error:
        print_error(str(error))
        raise typer.Exit(BUSY) from None
    if as_json:
        print_json(result.to_json())
    else:
        typer.echo(result.sentence, err=not result.published)
    if not result.published:
        raise typer.Exit(REFUSED)
