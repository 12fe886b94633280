"""firstday train: train on tables and write the model's folder."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from firstday.artifact.folder import KEEP
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
    SeedOption,
    SparkConfOption,
    SparkMasterOption,
    TablesArgument,
    load_plugins,
    print_notes,
    read_settings,
    start_engine,
)
from firstday.cli.printing import print_table
from firstday.engine.engines import ModelPlace, load
from firstday.evaluation.comparison_tables import compare_classes
from firstday.progress import open_progress
from firstday.recommend.registry import with_methods
from firstday.recommend.strategies.auto import describe_selection
from firstday.training.fit import train as run_training


def train(
    tables: TablesArgument,
    out: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="The model's folder; an older model there is replaced in one step, and kept as a version. With "
            "--engine spark also in a file system of the cluster, where the version before is removed.",
        ),
    ],
    path: PathOption = None,
    config: ConfigOption = None,
    seed: SeedOption = None,
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
    """Train on TABLES and write the model.

    Example: firstday train movielens-100k --out model
    """
    learners = load_plugins(plugin)
    engine_name = start_engine(engine, spark_master, spark_conf)
    place = ModelPlace(out, on_cluster=engine_name == "spark")
    place.check()
    settings = read_settings(tables, config, seed, protocol, device)
    dataset = load(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows, engine=engine_name)
    print_notes(dataset.notes)
    with open_progress() as progress:
        recommender = run_training(dataset, with_methods(settings, learners), progress=progress)
    place.save(recommender, dataset.left_out, keep=keep)
    facts = recommender.model.facts
    if as_json:
        content = {"model": str(out), **facts, "selection": describe_selection(recommender.model)}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    print_notes(facts["data"]["notes"])
    precision = facts["metrics"]["precision"]
    is_given = facts["data"]["vectors"] == "precomputed"
    vectors = f", with your own vectors, {recommender.model.dimensions:,} numbers" if is_given else ""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"Trained on {facts['data']['warm_users']:,} warm users and {facts['data']['items']:,} items "
        f"of {dataset.name}, {facts['data']['segments']:,} segments{vectors}.",
        markup=False,
    )
    console.print(
        f"P@{facts['metrics']['k']} on {facts['data']['validation_users']:,} held-out users, who also chose weights "
        f"and when to stop: auto {precision['auto']:.1f} %, segment {precision['segment']:.1f} %, "
        f"popular {precision['popular']:.1f} %.",
        markup=False,
    )
    if "impressions" in facts["data"]:
        console.print(
            f"What was shown: {facts['data']['impressions']:,} impressions counted by segment, "
            f"{facts['data']['impressions_used']:,} of them used.",
            markup=False,
        )
    print_table(compare_classes(recommender.model), console)
    strategy = recommender.model.config.recommend.strategy
    if strategy != "auto":
        console.print(f"note: recommend.strategy is {strategy}, so lists are made by it and not by auto.", markup=False)
    console.print(f"Model: {out}   Next: firstday inspect {out}", markup=False)
