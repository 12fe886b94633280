"""firstday train: train on tables and write a model folder."""

from __future__ import annotations

from typing import Annotated

import typer

from firstday.cli.options import (
    ConfigOption,
    DeviceOption,
    DropOption,
    EngineOption,
    JsonFlag,
    KeepOption,
    PathOption,
    PluginOption,
    ProtocolOption,
    SetOption,
    SparkConfOption,
    SparkMasterOption,
    TablesArgument,
    load_plugins,
    print_json,
    print_notes,
    program_name,
    read_settings,
    start_engine,
)
from firstday.cli.printing import print_signals
from firstday.data.signal_roles import describe_signals
from firstday.engine.engines import explain_protocol, load
from firstday.model.folder import KEEP
from firstday.progress import open_progress
from firstday.recommend.model_card import describe_quality, describe_selection
from firstday.recommend.support import with_methods
from firstday.training.fit import train as run_training

PLACE = 4  # in firstday --help


def train(
    tables: TablesArgument,
    out: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="Model folder. An existing model is replaced atomically and kept as a version. With --engine spark, "
            "the folder may be in the cluster's file system, where the previous version is deleted.",
        ),
    ],
    path: PathOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    protocol: ProtocolOption = None,
    drop_bad_rows: DropOption = 0.0,
    plugin: PluginOption = None,
    device: DeviceOption = None,
    engine: EngineOption = None,
    spark_master: SparkMasterOption = None,
    spark_conf: SparkConfOption = None,
    keep: KeepOption = KEEP,
    as_json: JsonFlag = False,
) -> None:
    """Train on TABLES and write a model.

    Example: firstday train movielens-100k --out model
    """
    trainable = load_plugins(plugin)
    chosen = start_engine(engine, spark_master, spark_conf)
    chosen.check_place(out)
    settings = read_settings(tables, config, overrides, protocol, device)
    dataset = load(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows, engine=engine)
    print_notes([*dataset.notes, explain_protocol(dataset, settings)])
    with open_progress() as progress:
        recommender = run_training(dataset, with_methods(settings, trainable), progress=progress)
    chosen.save_model(recommender, out, dataset.left_out, keep=keep)
    facts = recommender.model.facts
    data = facts["data"]
    signals = list(describe_signals(data, settings))
    if as_json:
        selection = describe_selection(recommender.model)
        print_json({"model": str(out), **facts, "signals": signals, "selection": selection})
        return
    precision = facts["metrics"]["precision"]
    strategy = recommender.model.config.recommend.strategy
    if strategy != "auto":
        print_notes([f"recommend.strategy is {strategy}, so it makes the lists, not auto."])
    print_notes(data["notes"])
    typer.echo(
        f"Trained on {data['warm_users']:,} warm users and {data['items']:,} items "
        f"of {dataset.name}, {data['segments']:,} segments."
    )
    typer.echo(
        f"P@{facts['metrics']['k']} on {data['validation_users']:,} validation users, also used for weights "
        f"and early stopping: auto {precision['auto']:.1f} %, segment {precision['segment']:.1f} %, "
        f"popular {precision['popular']:.1f} %."
    )
    print_signals(signals)
    if "impressions" in data:
        typer.echo(
            f"Impressions: {data['impressions']:,}, counted by segment; in {data['impressions_used']:,} of them, the "
            "item was used."
        )
    for sentence in describe_quality(recommender.model):
        typer.echo(sentence)
    typer.echo(f"Model: {out}   Next: {program_name()} inspect {out}")
